"""What ingestion promises: plays and reference data that every other context reads, and the records it had to reject.

People, devices, networks, tracks and user agents carry 64-bit keyed hashes (`*_key`, see `pseudonyms`), which join across
all tables of the pipeline; addresses and user ids do not leave ingestion. All times are UTC. No rules of decoding live here.
"""

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.contract import Contract


class Plays(Contract):
    """One row per play: the earliest arrival of each `event_id`, ordered by `occurred_at`, then `event_id`."""

    event_id = dy.String(primary_key=True)
    occurred_at = dy.Datetime(time_unit="ms", time_zone="UTC")
    arrival_hour = dy.Datetime(time_unit="ms", time_zone="UTC")
    track_id = dy.String()
    track_key = dy.UInt64()
    user_key = dy.UInt64(nullable=True)
    device_key = dy.UInt64()
    ip_key = dy.UInt64(nullable=True)
    network_key = dy.UInt64(nullable=True)
    country = dy.String(nullable=True)
    user_agent = dy.String(nullable=True)
    user_agent_key = dy.UInt64(nullable=True)
    client = dy.String()
    source = dy.String()
    ms_played = dy.Int64()

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """Volume, and the spread over users, tracks, networks and countries that should not change from day to day."""
        return {
            "plays": pl.len(),
            "logged_out_share": pl.col("user_key").is_null().mean(),
            "users": pl.col("user_key").approx_n_unique(),
            "tracks": pl.col("track_key").approx_n_unique(),
            "networks": pl.col("network_key").approx_n_unique(),
            "countries": pl.col("country").n_unique(),
            "mean_ms_played": pl.col("ms_played").mean(),
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
    country = dy.String(nullable=True)
    user_agent = dy.String(nullable=True)
    user_agent_key = dy.UInt64(nullable=True)
    client = dy.String()
    source = dy.String()
    ms_played = dy.Int64()
    unknown_fields = dy.Int64()

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """Volume, and how much of what clients send this version of the event ignores."""
        return {"records": pl.len(), "unknown_fields": pl.col("unknown_fields").sum()}


class Rejected(Contract):
    """One row per record that broke a rule: where it is and why. Its bytes are kept apart, under the same file and line."""

    file = dy.String(primary_key=True)
    line = dy.Int64(primary_key=True)
    field = dy.String(nullable=True)
    reason = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """Volume, and in how many ways records are broken."""
        return {"rejected": pl.len(), "reasons": pl.col("reason").n_unique()}


class Tracks(Contract):
    """The catalogue: one row per track; one part per month of upload."""

    track_id = dy.String(primary_key=True)
    track_key = dy.UInt64()
    artist_id = dy.String()
    title = dy.String()
    isrc = dy.String(nullable=True)
    duration_ms = dy.Int64()
    uploaded_on = dy.Date()


class Rights(Contract):
    """Who is paid for a track: shares in parts per million, valid from a day up to and including another."""

    track_id = dy.String(primary_key=True)
    payee_id = dy.String(primary_key=True)
    valid_from = dy.Date(primary_key=True)
    valid_to = dy.Date(nullable=True)
    share_ppm = dy.Int64()


class Accounts(Contract):
    """One row per account; one part per month of creation."""

    user_key = dy.UInt64(primary_key=True)
    country = dy.String()
    tier = dy.String()
    created_on = dy.Date()


class Revenue(Contract):
    """Net revenue of a pool in minor units of its currency; one part per month."""

    month = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    net_revenue_minor = dy.Int64()


class Incidents(Contract):
    """What experts declared: one row per incident and entity; one part per event day that its window touches.

    `entity_key` is the keyed hash of the named user, device, address, track or user agent; who decided and when is empty while an incident is suspected. The expert's note stays in the
    landing zone, because free text may name people.
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
