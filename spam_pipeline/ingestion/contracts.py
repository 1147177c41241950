"""What ingestion promises: plays and reference data that every other context reads, and the records it had to reject.

People, devices, networks, tracks and user agents carry 64-bit keyed hashes (`*_key`, see `pseudonyms`), which join across
all tables of the pipeline; addresses and user ids do not leave ingestion. All times are UTC. No rules of decoding live here.
"""

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import Contract
from spam_pipeline.protocol.fingerprint import (
    Count,
    Drift,
    Figure,
    Keys,
    Measure,
    Quantiles,
    Share,
    Spread,
    Totals,
)

TOLERATED_REJECTED_SHARE = 0.01
"""Up to one record in a hundred may be broken: clients in the field are never all sound. With more, the sending side is."""

_HOUR_MS = 3_600_000

REFUSED_WHEN_MOST_MOVED = Drift(refuse_above=0.5)
"""For what no campaign moves so far: when more than half of the rows moved, whoever sends or decodes them made an error."""


class Plays(Contract):
    """One row per play: the earliest arrival of each `event_id`, ordered by `occurred_at`, then `event_id`.

    `is_hosting` tells whether the play's network belongs to a company that rents out machines; null: no address, or nobody
    is known to own it.
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
        """Volume, which may vary; and how plays spread over who, what, from where, when and how long, which should not."""
        return {
            "plays": Count(),
            **_listening(),
            "users": Keys(pl.col("user_key")),
            "networks": Keys(pl.col("network_key")),
            "user_agents": Keys(pl.col("user_agent_key")),
            "tracks": Keys(pl.col("track_key"), name=pl.col("track_id")),
            "hours": Spread(pl.col("occurred_at").to_physical() // _HOUR_MS % 24),
        }


class ReceivedPlays(Contract):
    """Every accepted record as it arrived, duplicates included; one part per event day, in the order of its file.

    `unknown_fields` counts the members of the record that this version of the event does not know and that were ignored.
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

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, what clients say and leave out, and how much of it this version of the event ignores.

        A wrong unit or a field that is no longer filled shows here first, and is refused here.
        """
        return {
            "records": Count(),
            "unknown_fields_share": Share(pl.col("unknown_fields") > 0),
            **_listening(),
            "without_address_share": _null_share("ip_key"),
            "without_owner_share": _null_share("is_hosting"),
            "without_country_share": _null_share("country"),
            "without_user_agent_share": _null_share("user_agent_key"),
        }


class Rejected(Contract):
    """One row per record that broke a rule: where it is and why. Its bytes are kept apart, under the same file and line."""

    file = dy.String(primary_key=True)
    line = dy.Int64(primary_key=True)
    field = dy.String(nullable=True)
    reason = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and in which ways records are broken. Faults come in bursts, so neither is held against other days."""
        return {
            "rejected": Count(),
            "reasons": Spread(pl.col("reason"), drift=None),
            "fields": Spread(pl.col("field"), drift=None),
        }


class Tracks(Contract):
    """The catalogue: one row per track; one part per month of upload."""

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
        """How large the catalogue is, and how long tracks are. It grows, which is no drift."""
        return {
            "tracks": Count(),
            "artists": Figure(pl.col("artist_id").n_unique()),
            "duration_ms": Quantiles(pl.col("duration_ms"), drift=None),
        }


class Rights(Contract):
    """Who is paid for a track: shares in parts per million, valid from a day up to and including another."""

    track_id = dy.String(primary_key=True)
    payee_id = dy.String(primary_key=True)
    valid_from = dy.Date(primary_key=True)
    valid_to = dy.Date(nullable=True)
    share_ppm = dy.Int64()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How many claims there are, by how many payees and about how many tracks."""
        return {
            "claims": Count(),
            "payees": Figure(pl.col("payee_id").n_unique()),
            "tracks": Figure(pl.col("track_id").n_unique()),
        }


class Agreements(Contract):
    """By which rule a payee is paid, `pro_rata` or `user_centric`, from the first month that begins on `valid_from` or later.

    One row per payee and change; one part per month in which `valid_from` lies. A payee without a row is paid
    pro-rata.
    """

    payee_id = dy.String(primary_key=True)
    valid_from = dy.Date(primary_key=True)
    rule = dy.String()

    tolerated_rejected_share = TOLERATED_REJECTED_SHARE

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How many agreements there are, with how many payees and by which rules."""
        return {
            "agreements": Count(),
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
        """How many accounts there are, and in which tiers and countries."""
        return {
            "accounts": Count(),
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
        """How many pools there are, and exactly how much money is in them, by currency."""
        return {
            "pools": Count(),
            "net_revenue_minor": Totals(pl.col("net_revenue_minor"), by="currency"),
        }


class Incidents(Contract):
    """What experts declared: one row per incident and entity; one part per event day that its window touches.

    `entity_key` is the keyed hash of the named user, device, address, track or user agent; who decided and when is empty
    while an incident is suspected. The expert's note stays in the landing zone, because free text may name people.
    """

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
        """How much is declared (one row per incident, entity and day), and how it was decided."""
        return {
            "declarations": Count(),
            "incidents": Figure(pl.col("incident_id").n_unique()),
            "statuses": Spread(pl.col("status"), drift=None),
            "attack_types": Spread(pl.col("attack_type"), drift=None),
        }


def _listening() -> dict[str, Measure]:
    """How people listen, the same for records as they came and for plays.

    No release and no attack changes how long most plays are, or makes most listeners log in or out: such a move is refused.
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
