"""Validation rules of a play event and the reasons for rejection, the same for every encoding.

Records come in with the right types (`records`); accepted values leave in the types of the contract, identifiers not yet
hashed. A record that breaks several rules is rejected for the first one in the order of the event's table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from spam_pipeline.ingestion.addresses import canonical_addresses
from spam_pipeline.ingestion.codes import country_codes
from spam_pipeline.ingestion.records import KEPT_BYTES, REJECTION_TYPES, Decoded, Rejection, rejection_of
from spam_pipeline.ingestion.times import rfc_3339_ms

CLIENTS = ("web", "ios", "android", "embed", "other")
SOURCES_OF_PLAYS = ("search", "playlist", "profile", "feed", "recommendation", "embed", "direct", "other")

_SCHEMA_VERSION = 1
_LONGEST_EVENT_ID = 64
_CLOCK_SKEW = timedelta(minutes=10)

_MILLISECONDS = r"^-?[0-9]+$"


@dataclass(frozen=True)
class Bounds:
    """The acceptable event times of a file: from `earliest` to `latest`, both included."""

    earliest: datetime
    latest: datetime


def bounds_of(arrival_hour: datetime, start_date: date) -> Bounds:
    """Accept from the start date to ten minutes past the arrival hour, because client clocks drift."""
    start = datetime(start_date.year, start_date.month, start_date.day, tzinfo=UTC)
    return Bounds(start, arrival_hour + timedelta(hours=1) + _CLOCK_SKEW)


def apply_rules(decoded: Decoded, bounds: Bounds) -> Decoded:
    """Move records that break a rule to the rejections, and convert the others to their final values.

    `occurred_at` becomes a time, `ip` its canonical spelling, an unknown or absent client or source `other`, an empty user or user
    agent null: some clients spell what they do not know as an empty text, and all of these would be one person.
    """
    records = decoded.records.with_columns(
        occurred_ms=_occurred_ms(pl.col("occurred_at")),
        address=canonical_addresses(decoded.records["ip"]),
    )
    rules = list(_rules(bounds))
    first_broken = pl.coalesce(
        pl.when(broken).then(pl.lit(number, dtype=pl.Int64)) for number, (broken, _) in enumerate(rules)
    )
    checked = records.with_columns(first_broken.alias("broken"))
    broken = checked.filter(pl.col("broken").is_not_null())
    accepted = checked if broken.is_empty() else checked.filter(pl.col("broken").is_null())
    rejections = decoded.rejections
    if broken.height:
        rejections = pl.concat([rejections, _rejections(broken, [rejection for _, rejection in rules])])
    return Decoded(_accepted(accepted), rejections)


def _occurred_ms(text: pl.Expr) -> pl.Expr:
    in_milliseconds = pl.when(text.str.contains(_MILLISECONDS)).then(text.cast(pl.Int64, strict=False))
    return pl.coalesce(in_milliseconds, rfc_3339_ms(text))


def _rules(bounds: Bounds) -> Iterator[tuple[pl.Expr, Rejection]]:
    """Yield each violation with its rejection, in the order of the event's table."""
    occurred = pl.col("occurred_ms")
    yield pl.col("schema_version") != _SCHEMA_VERSION, rejection_of("schema_version", f"expected {_SCHEMA_VERSION}")
    yield _is_missing("event_id"), rejection_of("event_id", "required")
    too_long = pl.col("event_id").str.len_chars() > _LONGEST_EVENT_ID
    yield too_long, rejection_of("event_id", f"longer than {_LONGEST_EVENT_ID} characters")
    yield _is_missing("occurred_at"), rejection_of("occurred_at", "required")
    expected_time = rejection_of("occurred_at", "expected RFC 3339 with offset, or integer milliseconds")
    yield occurred.is_null(), expected_time
    yield occurred < _ms(bounds.earliest), rejection_of("occurred_at", "before the start date")
    yield occurred > _ms(bounds.latest), rejection_of("occurred_at", "more than 10 minutes after its arrival hour")
    yield _is_missing("track_id"), rejection_of("track_id", "required")
    yield _is_missing("device_id"), rejection_of("device_id", "required")
    is_no_address = pl.col("ip").is_not_null() & pl.col("address").is_null()
    yield is_no_address, rejection_of("ip", "expected an IPv4 or IPv6 address")
    is_no_country = ~pl.col("country").is_in(country_codes())
    yield is_no_country, rejection_of("country", "expected an ISO 3166-1 alpha-2 code")
    yield pl.col("ms_played").is_null(), rejection_of("ms_played", "required")
    yield pl.col("ms_played") < 0, rejection_of("ms_played", "expected 0 or more")


def _is_missing(field: str) -> pl.Expr:
    return pl.col(field).is_null() | (pl.col(field) == "")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def _accepted(records: pl.DataFrame) -> pl.DataFrame:
    return records.with_columns(
        occurred_at=pl.col("occurred_ms").cast(pl.Datetime("ms", "UTC")),
        ip=pl.col("address"),
        user_id=_filled("user_id"),
        user_agent=_filled("user_agent"),
        client=_one_of("client", CLIENTS),
        source=_one_of("source", SOURCES_OF_PLAYS),
    )


def _filled(field: str) -> pl.Expr:
    return pl.when(pl.col(field) != "").then(field)


def _one_of(field: str, known: tuple[str, ...]) -> pl.Expr:
    return pl.when(pl.col(field).is_in(known)).then(field).otherwise(pl.lit("other")).alias(field)


def _rejections(broken: pl.DataFrame, rejections: list[Rejection]) -> pl.DataFrame:
    named = pl.DataFrame(
        {
            "field": [rejection.field for rejection in rejections],
            "reason": [rejection.reason for rejection in rejections],
        }
    ).select(pl.int_range(pl.len(), dtype=pl.Int64).alias("broken"), "field", "reason")
    return (
        broken.select("line", "broken", pl.col("raw").bin.head(KEPT_BYTES))
        .join(named, on="broken", how="left", maintain_order="left")
        .select(*REJECTION_TYPES)
    )
