"""The contracts of ingestion: plays and reference data for every other context, and the records that were rejected.

People, devices, networks, tracks and user agents carry 64-bit keyed hashes (`*_key`, see `pseudonyms`), which join across
all tables of the pipeline; addresses and user ids do not leave ingestion. All times are UTC. Decoding is elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import Contract, Finding, HistoricFingerprint, Severity
from spam_pipeline.protocol.fingerprint import (
    Count,
    Drift,
    Figure,
    Fingerprint,
    Keys,
    Measure,
    Quantiles,
    Recorded,
    Records,
    Share,
    Spread,
    Total,
    Totals,
    numbers,
)

TOLERATED_REJECTED_SHARE = 0.01
"""At most one rejected record in a hundred: some clients are always broken, but with more than this the sender is."""

_HOUR_MS = 3_600_000
_FILES_NAMED = 3

REFUSED_WHEN_MOST_MOVED = Drift(refuse_above=0.5)
"""For distributions that no campaign shifts by half: beyond that, the sending or the decoding side has made an error."""


VOLUME = Drift(refuse_fall_above=0.8)
"""For numbers of plays: a day with less than a fifth of what its weekday and trend let expect is one that did not arrive."""

TOLERATED_LOSS = 0.1
"""For numbers of plays: a version with over a tenth less than what is published is refused until somebody decides. Late files
add plays, and corrected ones move few; a folder that a sync has lost takes most of a day."""

TOLERATED_LOSS_OF_ROWS = 0.2
"""For rows of reference files, which people edit, and for money in them."""

TOLERATED_LOSS_OF_DECLARATIONS = 0.9
"""For incidents: an expert who narrows a window takes most of its days away, but nobody withdraws nearly everything at once."""


class Plays(Contract):
    """Plays: one row per `event_id`, its earliest arrival; ordered by `occurred_at`, then `event_id`.

    `is_hosting` is true where the play's network belongs to a hosting company, and null without an address or a known owner.
    """

    event_id = dy.String(primary_key=True)
    occurred_at = dy.Datetime(time_unit="ms", time_zone="UTC")
    arrival_hour = dy.Datetime(time_unit="ms", time_zone="UTC")
    track_id = dy.String()
    track_key = dy.UInt64()
    user_key = dy.UInt64(nullable=True)
    device_key = dy.UInt64()
    ip_key = dy.UInt64(nullable=True)
    network_key = dy.UInt64(nullable=True)
    is_hosting = dy.Bool(nullable=True)
    country = dy.String(nullable=True)
    user_agent = dy.String(nullable=True)
    user_agent_key = dy.UInt64(nullable=True)
    client = dy.String()
    source = dy.String()
    ms_played = dy.Int64()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, which may vary; and the distribution over listeners, tracks, places, hours and durations, which should not."""
        return {
            "plays": Count(drift=VOLUME, tolerated_loss=TOLERATED_LOSS),
            **_listening(),
            "users": Keys(pl.col("user_key")),
            "networks": Keys(pl.col("network_key")),
            "user_agents": Keys(pl.col("user_agent_key")),
            "tracks": Keys(pl.col("track_key"), name=pl.col("track_id")),
            "hours": Spread(pl.col("occurred_at").to_physical() // _HOUR_MS % 24),
        }


class ReceivedPlays(Contract):
    """Accepted records as they arrived, duplicates included; one part per event day, in file order.

    `unknown_fields` counts the members of a record that this version of the event does not define; they are ignored.
    """

    event_id = dy.String()
    occurred_at = dy.Datetime(time_unit="ms", time_zone="UTC")
    arrival_hour = dy.Datetime(time_unit="ms", time_zone="UTC")
    track_id = dy.String()
    track_key = dy.UInt64()
    user_key = dy.UInt64(nullable=True)
    device_key = dy.UInt64()
    ip_key = dy.UInt64(nullable=True)
    network_key = dy.UInt64(nullable=True)
    is_hosting = dy.Bool(nullable=True)
    country = dy.String(nullable=True)
    user_agent = dy.String(nullable=True)
    user_agent_key = dy.UInt64(nullable=True)
    client = dy.String()
    source = dy.String()
    ms_played = dy.Int64()
    unknown_fields = dy.Int64()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE
    excusing_part = "gaps"

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume by event day, the hours of arrival, the values that clients send or omit, and the share of unknown fields.

        A wrong unit or a field that is no longer filled shows here first, and is refused here.
        """
        return {
            "records": Count(drift=VOLUME, tolerated_loss=TOLERATED_LOSS),
            "records_of_day": Totals(None, by=pl.col("occurred_at").dt.date(), tolerated_loss=TOLERATED_LOSS),
            "arrival_hours": Spread(pl.col("arrival_hour").dt.hour()),
            "unknown_fields_share": Share(pl.col("unknown_fields") > 0),
            **_listening(),
            "without_address_share": _null_share("ip_key"),
            "without_owner_share": _null_share("is_hosting"),
            "without_country_share": _null_share("country"),
            "without_user_agent_share": _null_share("user_agent_key"),
        }

    @classmethod
    def findings(cls, fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
        """What was lost of the landed files, refused above the share of records that may be rejected; and what manifests miss."""
        del history
        yield from _missed_by_manifests(numbers(fingerprint))
        loss = _loss(numbers(fingerprint))
        if loss is None:
            return
        first = fingerprint["files_first_damaged"]
        rows = first.rows if isinstance(first, Recorded) else ()
        seen = f"{loss}, such as " + ", ".join(f"{row['file']} ({row['damage']})" for row in rows)
        expected = f"at most {TOLERATED_REJECTED_SHARE:.2%} of what landed"
        severity = Severity.REFUSE if loss.share > TOLERATED_REJECTED_SHARE else Severity.WARN
        yield Finding("lost", "lost bytes", severity, expected, seen, size=loss.share)


class Rejected(Contract):
    """Rejected records: one row each, with location and reason. Their bytes are in a private part, by file and line."""

    file = dy.String(primary_key=True)
    line = dy.Int64(primary_key=True)
    field = dy.String(nullable=True)
    reason = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and reasons of rejection. Errors come in bursts, so neither is compared with other days."""
        return {
            "records": Count(),
            "reasons": Spread(pl.col("reason"), drift=None),
            "fields": Spread(pl.col("field"), drift=None),
        }


class Gaps(Contract):
    """Declared gaps: one row for each day or hour (0 to 23) of arrival for which somebody said that nothing arrives, and why."""

    file = dy.String(primary_key=True)
    hour = dy.Int64(nullable=True, min=0, max=23)
    declared_by = dy.String()
    declared_at = dy.Datetime(time_unit="ms", time_zone="UTC")
    reason = dy.String()


class Manifests(Contract):
    """What producers said they had sent: one row for each manifest and unit (`files`, `records`, `bytes`).

    `hour` (0 to 23) is the hour of arrival that it speaks for, null for the whole day.
    """

    file = dy.String(primary_key=True)
    unit = dy.String(primary_key=True)
    hour = dy.Int64(nullable=True, min=0, max=23)
    sent = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """What was sent, by unit and hour, or by unit alone for a whole day."""
        of_hour = pl.format("{}_of_hour_{}", "unit", "hour")
        return {"sent": Totals(pl.col("sent"), by=pl.coalesce(of_hour, "unit"))}


class ReceivedFiles(Contract):
    """Landed files of plays: one row each, also for one without any record.

    `bytes` are those that landed, `lost_bytes` those of them that could not be read, for the reason in `damage`; of a file that
    `is_cut_off` more is missing, which never landed. `accepted` and `rejected` are records; what could not be read is one rejected
    record, however much it was.
    """

    file = dy.String(primary_key=True)
    arrival_hour = dy.Datetime(time_unit="ms", time_zone="UTC")
    bytes = dy.Int64(min=0)
    accepted = dy.Int64(min=0)
    rejected = dy.Int64(min=0)
    lost_bytes = dy.Int64(min=0)
    is_cut_off = dy.Bool()
    damage = dy.String(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How many files landed and how large they are; how many of them are damaged, and what of them was lost."""
        is_damaged, hour = pl.col("damage").is_not_null(), pl.col("arrival_hour").dt.hour()
        records = pl.col("accepted") + pl.col("rejected")
        return {
            "files": Count(),
            "records": Total(records),
            "files_of_hour": Totals(None, by=hour),
            "records_of_hour": Totals(records, by=hour),
            "bytes_of_hour": Totals(pl.col("bytes"), by=hour),
            "bytes": Total(pl.col("bytes")),
            "lost_bytes": Total(pl.col("lost_bytes")),
            "damaged": Count(is_damaged),
            "damaged_bytes": Total(pl.when(is_damaged).then("bytes")),
            "cut_off_bytes": Total(pl.when("is_cut_off").then("bytes")),
            "first_damaged": Records(_first_damaged),
        }


class ErasedRecords(Contract):
    """Records of erased people that were taken out of landed files of plays: one row for each file that has lost any.

    With `accepted` and `rejected` of the file they are what was sent. Nothing says whose they were.
    """

    file = dy.String(primary_key=True)
    arrival_hour = dy.Datetime(time_unit="ms", time_zone="UTC")
    erased = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How many files have lost records, and how many records that were."""
        return {"files": Count(), "records": Total(pl.col("erased"))}


class Tracks(Contract):
    """The track catalogue: one row per track; one part per month of upload."""

    track_id = dy.String(primary_key=True)
    track_key = dy.UInt64()
    artist_id = dy.String()
    title = dy.String()
    isrc = dy.String(nullable=True)
    duration_ms = dy.Int64()
    uploaded_on = dy.Date()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Size of the catalogue and duration of tracks. Growth is not drift."""
        return {
            "tracks": Count(tolerated_loss=TOLERATED_LOSS_OF_ROWS),
            "artists": Figure(pl.col("artist_id").n_unique()),
            "duration_ms": Quantiles(pl.col("duration_ms"), drift=None),
        }


class Rights(Contract):
    """Rights in tracks: shares of payees in parts per million, valid from a day up to and including another."""

    track_id = dy.String(primary_key=True)
    payee_id = dy.String(primary_key=True)
    valid_from = dy.Date(primary_key=True)
    valid_to = dy.Date(nullable=True)
    share_ppm = dy.Int64()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of claims, of payees and of tracks."""
        return {
            "claims": Count(tolerated_loss=TOLERATED_LOSS_OF_ROWS),
            "payees": Figure(pl.col("payee_id").n_unique()),
            "tracks": Figure(pl.col("track_id").n_unique()),
        }


class Agreements(Contract):
    """Payout rule of a payee, `pro_rata` or `user_centric`, from the first month that begins on or after `valid_from`.

    One row per payee and change; one part per month of `valid_from`. A payee without a row is paid pro-rata.
    """

    payee_id = dy.String(primary_key=True)
    valid_from = dy.Date(primary_key=True)
    rule = dy.String()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of agreements, of payees and of each rule."""
        return {
            "agreements": Count(tolerated_loss=TOLERATED_LOSS_OF_ROWS),
            "payees": Figure(pl.col("payee_id").n_unique()),
            "rules": Spread(pl.col("rule"), drift=None),
        }


class Accounts(Contract):
    """One row per account; one part per month of creation."""

    user_key = dy.UInt64(primary_key=True)
    country = dy.String()
    tier = dy.String()
    created_on = dy.Date()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of accounts, and their distribution over tiers and countries."""
        return {
            "accounts": Count(tolerated_loss=TOLERATED_LOSS_OF_ROWS),
            "tiers": Spread(pl.col("tier"), drift=None),
            "countries": Spread(pl.col("country"), drift=None),
        }


class Revenue(Contract):
    """Net revenue of a pool in minor units of its currency; one part per month."""

    month = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    net_revenue_minor = dy.Int64()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of pools, and the exact money in them by currency."""
        return {
            "pools": Count(tolerated_loss=TOLERATED_LOSS_OF_ROWS),
            "net_revenue_minor": Totals(
                pl.col("net_revenue_minor"), by=pl.col("currency"), tolerated_loss=TOLERATED_LOSS_OF_ROWS
            ),
        }


class Incidents(Contract):
    """Incidents declared by experts, by event day: one row per day, incident, entity and window that touches the day; one part per day.

    So a line of the landed file is a row on every day of its window: count `incident_id` distinctly, or the rows of one `day`.
    `entity_key` is the keyed hash of the user, device, address, track or user agent; `decided_by` and `decided_at` are empty
    while an incident is suspected. The expert's note stays in the landing zone, because free text may name people.
    """

    day = dy.Date(primary_key=True)
    incident_id = dy.String(primary_key=True)
    entity_type = dy.String(primary_key=True)
    entity_key = dy.UInt64(primary_key=True)
    starts_at = dy.Datetime(primary_key=True, time_unit="ms", time_zone="UTC")
    ends_at = dy.Datetime(time_unit="ms", time_zone="UTC")
    status = dy.String()
    attack_type = dy.String()
    decided_by = dy.String(nullable=True)
    decided_at = dy.Datetime(nullable=True, time_unit="ms", time_zone="UTC")

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of declarations (one row per incident, entity and day) by status and attack type."""
        return {
            "declarations": Count(tolerated_loss=TOLERATED_LOSS_OF_DECLARATIONS),
            "incidents": Figure(pl.col("incident_id").n_unique()),
            "statuses": Spread(pl.col("status"), drift=None),
            "attack_types": Spread(pl.col("attack_type"), drift=None),
        }


@dataclass(frozen=True)
class _Loss:
    """What was lost of a day's files, in bytes, and the bytes that the day would have with it."""

    bytes: float
    of: float
    damaged: int
    files: int

    @property
    def share(self) -> float:
        return self.bytes / self.of if self.of else 1.0

    def __str__(self) -> str:
        return f"{self.share:.2%} ({self.bytes:,.0f} of {self.of:,.0f} bytes, {self.damaged:,} of {self.files:,} files)"


def _loss(seen: Mapping[str, float]) -> _Loss | None:
    """What damaged files have lost: what could not be read of them, or what they lack of an average whole file if that is more.

    A file that was cut off has lost what never landed: nobody knows how much, so that it counts as much again as did land. Without any
    whole file everything is lost. None without damage.
    """
    names = ("files", "bytes", "lost_bytes", "damaged", "damaged_bytes", "cut_off_bytes")
    files, landed, unread, damaged, of_damaged, of_cut_off = (seen.get(f"files_{name}", 0) for name in names)
    if not damaged:
        return None
    whole, read = files - damaged, landed - unread
    if not whole:
        return _Loss(landed, landed, int(damaged), int(files))
    lacking = damaged * (landed - of_damaged) / whole - (of_damaged - unread)
    lost = max(unread + of_cut_off, lacking)
    return _Loss(lost, read + lost, int(damaged), int(files))


def _first_damaged(files: pl.LazyFrame) -> pl.LazyFrame:
    damaged = files.filter(pl.col("damage").is_not_null())
    return damaged.sort("file").head(_FILES_NAMED).select("file", "damage", "bytes", "lost_bytes")


def _listening() -> dict[str, Measure]:
    """Listening behaviour, measured identically on received records and on plays.

    No release and no attack changes how long most plays are, or logs most listeners in or out: such a shift is refused.
    """
    return {
        "ms_played": Quantiles(pl.col("ms_played"), drift=REFUSED_WHEN_MOST_MOVED),
        "logged_out_share": _null_share("user_key"),
        "clients": Spread(pl.col("client")),
        "sources": Spread(pl.col("source")),
        "countries": Spread(pl.col("country")),
    }


def _null_share(column: str) -> Share:
    return Share(pl.col(column).is_null(), drift=REFUSED_WHEN_MOST_MOVED)


def _missed_by_manifests(found: Mapping[str, float]) -> Iterator[Finding]:
    """Findings where what landed in an hour or on a day is not what the producer said had been sent.

    The numbers of a manifest are named like those of the files that landed.
    """
    for name, sent in found.items():
        what = name.removeprefix("manifests_sent_")
        landed = found.get(f"files_{what}", 0)
        if what != name and landed != sent:
            size = abs(landed - sent) / max(sent, 1)
            yield Finding(
                "manifest",
                what.replace("_", " "),
                Severity.REFUSE,
                f"{sent:,.0f}, as sent",
                f"{landed:,.0f}",
                size=size,
            )
