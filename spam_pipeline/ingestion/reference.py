"""The reference tables: the layout of each CSV file, and its typed, pseudonymous frames, in parts.

CSV is read, and rows are rejected, in `csv_tables`. Who earns from a track, and what an incident means for a play, is
decided by other contexts.
"""

from collections.abc import Collection, Mapping

import polars as pl

from spam_pipeline.ingestion.addresses import canonical_addresses
from spam_pipeline.ingestion.codes import CURRENCIES_SINCE, CURRENCIES_UNTIL, country_codes, currency_codes
from spam_pipeline.ingestion.contracts import Accounts, Agreements, Incidents, Revenue, Rights, Tracks
from spam_pipeline.ingestion.csv_tables import Column, Table, TableRead, read_table
from spam_pipeline.ingestion.pseudonyms import KEY_PREFIX, key_in_text, keyed_hash
from spam_pipeline.ingestion.times import iso_date, rfc_3339_ms
from spam_pipeline.protocol import WHOLE, Contract, LandedFile, column_types

Parts = dict[str, pl.LazyFrame]
"""Frames by the name of their part; `rejected` holds the rejected rows."""

REJECTED = "rejected"
TIERS = ("free", "premium")
LARGEST_REVENUE_MINOR = 10**15
"""More than any audience pays in a month in any currency, and small enough to add up thousands of such pools."""

PAYOUT_RULES = ("pro_rata", "user_centric")
STATUSES = ("suspected", "confirmed", "cleared")
ENTITY_TYPES = ("user", "device", "ip", "track", "user_agent")

LONGEST_INCIDENT_DAYS = 400
"""The longest window of one line of an incident."""

_PARTS_PER_MILLION = 1_000_000
_MONTH = "%Y-%m"
_ENTITY = f"an id (of an ip an IPv4 or IPv6 address), or {KEY_PREFIX} and 16 hexadecimal digits"


def tracks_by_month(file: LandedFile, identifier_key: str) -> Parts:
    """Read `Tracks`, by month of upload."""
    table = Table(
        {
            "track_id": _text("track_id"),
            "artist_id": _text("artist_id"),
            "title": _text("title"),
            "isrc": _text("isrc", is_optional=True),
            "duration_ms": _integer("duration_ms"),
            "uploaded_at": _date_of_moment("uploaded_at"),
        },
        key=["track_id"],
    )
    read = _read(file, table)
    rows = read.rows.rename({"uploaded_at": "uploaded_on"}).with_columns(
        track_key=keyed_hash(read.rows["track_id"], "track", identifier_key)
    )
    return _in_parts(rows, Tracks, pl.col("uploaded_on").dt.strftime(_MONTH), read.rejected)


def all_rights(file: LandedFile) -> Parts:
    """Read `Rights` as one part."""
    table = Table(
        {
            "track_id": _text("track_id"),
            "payee_id": _text("payee_id"),
            "share_ppm": _integer("share_ppm", _PARTS_PER_MILLION),
            "valid_from": _date("valid_from"),
            "valid_to": _date("valid_to", is_optional=True),
        },
        key=["track_id", "payee_id", "valid_from"],
        rules=[(pl.col("valid_to") < pl.col("valid_from"), "valid_to", "before valid_from")],
    )
    read = _read(file, table)
    return {WHOLE: pl.LazyFrame(schema=column_types(Rights))} | _in_parts(
        read.rows, Rights, pl.lit(WHOLE), read.rejected
    )


def agreements_by_month(file: LandedFile) -> Parts:
    """Read `Agreements`, by the month in which they begin."""
    table = Table(
        {
            "payee_id": _text("payee_id"),
            "rule": _one_of("rule", PAYOUT_RULES),
            "valid_from": _date("valid_from"),
        },
        key=["payee_id", "valid_from"],
    )
    read = _read(file, table)
    return _in_parts(read.rows, Agreements, pl.col("valid_from").dt.strftime(_MONTH), read.rejected)


def accounts_by_month(file: LandedFile, identifier_key: str) -> Parts:
    """Read `Accounts`, by month of creation."""
    table = Table(
        {
            "user_id": _text("user_id"),
            "country": _one_of("country", country_codes(), "an ISO 3166-1 alpha-2 code"),
            "tier": _one_of("tier", TIERS),
            "created_on": _date("created_on"),
        },
        key=["user_id"],
    )
    read = _read(file, table)
    rows = read.rows.with_columns(user_key=keyed_hash(read.rows["user_id"], "user", identifier_key))
    return _in_parts(rows, Accounts, pl.col("created_on").dt.strftime(_MONTH), read.rejected)


def revenue_by_month(file: LandedFile) -> Parts:
    """Read `Revenue`, by month."""
    month = pl.when(iso_date(pl.col("month") + "-01").is_not_null()).then("month")
    table = Table(
        {
            "month": Column(month, "a month as YYYY-MM"),
            "country": _one_of("country", country_codes(), "an ISO 3166-1 alpha-2 code"),
            "tier": _one_of("tier", TIERS),
            "currency": _one_of("currency", currency_codes(), "an ISO 4217 code of money"),
            "net_revenue_minor": _integer("net_revenue_minor", LARGEST_REVENUE_MINOR),
        },
        key=["month", "country", "tier", "currency"],
        rules=[
            (pl.col("month") > _month_of("currency", CURRENCIES_UNTIL), "currency", "withdrawn before this month"),
            (pl.col("month") < _month_of("currency", CURRENCIES_SINCE), "currency", "not introduced by this month"),
        ],
    )
    read = _read(file, table)
    return _in_parts(read.rows, Revenue, pl.col("month"), read.rejected)


def incidents_by_day(file: LandedFile, identifier_key: str) -> Parts:
    """Read `Incidents`, by event day; an incident is in every day that its window [starts_at, ends_at) touches."""
    entity_key = pl.struct("entity_type", "entity_id").map_batches(
        lambda named: _entity_keys(named.struct.unnest(), identifier_key), return_dtype=pl.UInt64
    )
    is_decided = pl.col("status") != "suspected"
    too_long = pl.col("ends_at") - pl.col("starts_at") > pl.duration(days=LONGEST_INCIDENT_DAYS)
    table = Table(
        {
            "incident_id": _text("incident_id"),
            "status": _one_of("status", STATUSES),
            "attack_type": _text("attack_type"),
            "entity_type": _one_of("entity_type", tuple(ENTITY_TYPES)),
            "entity_id": Column(entity_key, _ENTITY),
            "starts_at": _moment("starts_at"),
            "ends_at": _moment("ends_at"),
            "decided_by": _text("decided_by", is_optional=True),
            "decided_at": _moment("decided_at", is_optional=True),
        },
        key=["incident_id", "entity_type", "entity_id", "starts_at"],
        rules=[
            (is_decided & pl.col("decided_by").is_null(), "decided_by", "required unless suspected"),
            (is_decided & pl.col("decided_at").is_null(), "decided_at", "required unless suspected"),
            (pl.col("ends_at") <= pl.col("starts_at"), "ends_at", "not after starts_at"),
            (too_long, "ends_at", f"more than {LONGEST_INCIDENT_DAYS} days after starts_at"),
        ],
    )
    read = _read(file, table)
    days = pl.date_ranges(pl.col("starts_at").dt.date(), (pl.col("ends_at") - pl.duration(milliseconds=1)).dt.date())
    rows = read.rows.rename({"entity_id": "entity_key"}).with_columns(day=days).explode("day")
    return _in_parts(rows, Incidents, pl.col("day").dt.to_string("%Y-%m-%d"), read.rejected)


def _read(file: LandedFile, table: Table) -> TableRead:
    with file.open() as raw:
        return read_table(raw.read(), file.path, table)


def _in_parts(rows: pl.DataFrame, contract: type[Contract], part: pl.Expr, rejected: pl.DataFrame) -> Parts:
    """Split rows into parts, with the contract's columns and ordered by its key."""
    order = contract.primary_key()
    named = rows.with_columns(part=part).sort("part", *order)
    columns = [pl.col(name).cast(dtype) for name, dtype in column_types(contract).items()]
    by_part = named.partition_by("part", as_dict=True, maintain_order=True)
    frames = {str(name): frame.lazy().select(columns) for (name,), frame in by_part.items()}
    return {**frames, REJECTED: rejected.lazy()}


def _entity_keys(named: pl.DataFrame, identifier_key: str) -> pl.Series:
    """The keys that plays carry: those that are named as such, and the hashes of ids; null for what is neither.

    Once a row has its key, two spellings of one entity are one, and no part has an incident's entity twice.
    """
    kind, text = pl.col("entity_type"), pl.col("entity_id")
    is_key, is_address = text.str.starts_with(KEY_PREFIX), kind == "ip"
    addresses = pl.when(is_address).then(text).map_batches(canonical_addresses, return_dtype=pl.String)
    ids = named.with_columns(id=pl.when(is_key).then(None).when(is_address).then(addresses).otherwise(text))
    keys = {known: keyed_hash(ids["id"], known, identifier_key).alias(known) for known in ENTITY_TYPES}
    of_kind = (pl.when(kind == known).then(known) for known in ENTITY_TYPES)
    return (
        ids.with_columns(keys.values())
        .select(pl.coalesce(pl.when(is_key).then(key_in_text(text)), *of_kind))
        .to_series()
    )


def _text(name: str, *, is_optional: bool = False) -> Column:
    return Column(pl.col(name), "text", is_optional)


def _month_of(name: str, months: Mapping[str, str]) -> pl.Expr:
    return pl.col(name).replace_strict(months, default=None, return_dtype=pl.String)


def _one_of(name: str, known: Collection[str], expected: str | None = None) -> Column:
    return Column(pl.when(pl.col(name).is_in(known)).then(name), expected or " or ".join(known))


def _integer(name: str, largest: int | None = None) -> Column:
    """A non-negative integer of at most 18 digits."""
    number = pl.when(pl.col(name).str.contains(r"^[0-9]{1,18}$")).then(pl.col(name).cast(pl.Int64, strict=False))
    if largest is None:
        return Column(number, "a whole number from 0")
    return Column(pl.when(number <= largest).then(number), f"a whole number from 0 to {largest}")


def _date(name: str, *, is_optional: bool = False) -> Column:
    return Column(iso_date(pl.col(name)), "a date as YYYY-MM-DD", is_optional)


def _moment(name: str, *, is_optional: bool = False) -> Column:
    """A time; a date stands for its midnight, UTC."""
    return Column(_moment_of(pl.col(name)), "RFC 3339 with offset, or a date as YYYY-MM-DD", is_optional)


def _date_of_moment(name: str) -> Column:
    return Column(_moment_of(pl.col(name)).dt.date(), "a date as YYYY-MM-DD, or RFC 3339 with offset")


def _moment_of(text: pl.Expr) -> pl.Expr:
    time = pl.Datetime("ms", "UTC")
    return pl.coalesce(rfc_3339_ms(text).cast(time), iso_date(text).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"))
