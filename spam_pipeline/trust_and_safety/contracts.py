"""What trust & safety promises: the verdict on every play, and the tolerances under which others may read it.

A consumer chooses a tolerance and filters by it; nobody outside this context interprets signals. How signals are computed
is in `signals`, how they become a probability in `model`.
"""

import math

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.contract import Contract

LEGITIMATE, SPAM, UNKNOWN = "legitimate", "spam", "unknown"
"""The classes of a play. `unknown` says that the evidence decides nothing."""

LONGEST_PLAY_MS = 86_400_000
"""Whoever adds up listening counts a play as a day at most: a client can claim any number, and sums must not overflow."""

ROYALTY_TOLERANCE = 0.2
"""Royalties pay a play only while its spam probability is below this: they tolerate almost no spam, and wait."""

REPORTING_TOLERANCE = 0.8
"""Reports drop a play only when its spam probability is at least this: they tolerate spam and want every listener."""

HEURISTIC, DECLARED = "heuristic", "declared"
"""Reasons that are no signals: no labels stand behind the verdict, or experts decided it."""

ACTOR, DEVICE, NETWORK, TRACK = "actor", "device", "network", "track"
"""The kinds of entities that carry signals. An actor is an account, or the device of a play that is logged out."""


def effective_number(counts: pl.Expr) -> pl.Expr:
    """How many equally busy members would be as mixed as these: 2^H, with the Miller-Madow correction of the entropy H.

    The plug-in entropy of a small sample is too low; the correction adds (members - 1) / (2 * plays * ln 2) bits. Null
    when there is nothing to count.
    """
    plays, members = counts.sum(), counts.count()
    plug_in = plays.log(2) - (counts * counts.log(2)).sum() / plays
    corrected = plug_in + (members - 1) / (2 * math.log(2) * plays)
    return pl.when(plays > 0).then((2**corrected).round(6))


class PlaySignals(Contract):
    """Behaviour of one day: one row per actor, device, network and track that has a play, ordered by kind and key.

    A signal is null where it makes no sense for the kind, or where too few plays stand behind it. Shares lie between 0
    and 1; `effective_*` are effective numbers (2^entropy); `short_share` counts plays that end just past 30 s.
    """

    entity_kind = dy.String(primary_key=True)
    entity_key = dy.UInt64(primary_key=True)
    plays = dy.Int64()
    actors = dy.Int64(nullable=True)
    tracks = dy.Int64(nullable=True)
    networks = dy.Int64(nullable=True)
    countries = dy.Int64(nullable=True)
    hours = dy.Int64(nullable=True)
    gap_mean_s = dy.Float64(nullable=True)
    gap_variation = dy.Float64(nullable=True)
    short_share = dy.Float64(nullable=True)
    embed_share = dy.Float64(nullable=True)
    logged_out_share = dy.Float64(nullable=True)
    new_country_share = dy.Float64(nullable=True)
    top_track_share = dy.Float64(nullable=True)
    top_network_share = dy.Float64(nullable=True)
    top_source_share = dy.Float64(nullable=True)
    plays_per_actor = dy.Float64(nullable=True)
    actors_per_user_agent = dy.Float64(nullable=True)
    effective_user_agents = dy.Float64(nullable=True)
    effective_networks = dy.Float64(nullable=True)
    effective_hours = dy.Float64(nullable=True)
    spike = dy.Float64(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """How many entities of each kind, and how plays spread over networks and tracks: chaos is organic, structure is not."""

        def plays_of(kind: str) -> pl.Expr:
            return pl.col("plays").filter(pl.col("entity_kind") == kind)

        kinds = (ACTOR, DEVICE, NETWORK, TRACK)
        return {
            **{f"{kind}s": plays_of(kind).count() for kind in kinds},
            "plays_per_actor": plays_of(ACTOR).mean(),
            "effective_networks": effective_number(plays_of(NETWORK)),
            "effective_tracks": effective_number(plays_of(TRACK)),
            "busiest_network_share": plays_of(NETWORK).max() / plays_of(NETWORK).sum(),
            "median_short_share": pl.col("short_share").filter(pl.col("entity_kind") == ACTOR).median(),
        }


class LabelledExamples(Contract):
    """What experts' incidents say about a day: combinations of actor, device, network and track with their signals.

    `is_spam` comes from confirmed (true) and cleared (false) incidents. Suspicion is no label. Rows with `is_weak` are a
    sample of plays that nobody declared, taken for legitimate at a low weight: unlabelled means unknown, and most of it
    is organic. `plays` counts the day's plays of the combination. Signals are named `<entity kind>_<signal>`.
    """

    event_day = dy.Date()
    incident_id = dy.String(nullable=True)
    is_spam = dy.Bool()
    is_weak = dy.Bool()
    plays = dy.Int64()
    actor_key = dy.UInt64()
    device_key = dy.UInt64()
    network_key = dy.UInt64(nullable=True)
    track_key = dy.UInt64()
    actor_plays = dy.Float64(nullable=True)
    actor_tracks = dy.Float64(nullable=True)
    actor_networks = dy.Float64(nullable=True)
    actor_countries = dy.Float64(nullable=True)
    actor_hours = dy.Float64(nullable=True)
    actor_gap_mean_s = dy.Float64(nullable=True)
    actor_gap_variation = dy.Float64(nullable=True)
    actor_short_share = dy.Float64(nullable=True)
    actor_embed_share = dy.Float64(nullable=True)
    actor_new_country_share = dy.Float64(nullable=True)
    actor_top_track_share = dy.Float64(nullable=True)
    device_actors = dy.Float64(nullable=True)
    device_networks = dy.Float64(nullable=True)
    network_actors = dy.Float64(nullable=True)
    network_short_share = dy.Float64(nullable=True)
    network_logged_out_share = dy.Float64(nullable=True)
    network_top_track_share = dy.Float64(nullable=True)
    network_plays_per_actor = dy.Float64(nullable=True)
    network_actors_per_user_agent = dy.Float64(nullable=True)
    track_plays = dy.Float64(nullable=True)
    track_short_share = dy.Float64(nullable=True)
    track_embed_share = dy.Float64(nullable=True)
    track_logged_out_share = dy.Float64(nullable=True)
    track_top_network_share = dy.Float64(nullable=True)
    track_top_source_share = dy.Float64(nullable=True)
    track_plays_per_actor = dy.Float64(nullable=True)
    track_effective_networks = dy.Float64(nullable=True)
    track_effective_hours = dy.Float64(nullable=True)
    track_spike = dy.Float64(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """How much is labelled, by how many incidents, and which way."""
        return {
            "examples": pl.len(),
            "incidents": pl.col("incident_id").drop_nulls().n_unique(),
            "spam_examples": pl.col("is_spam").sum(),
            "cleared_examples": (~pl.col("is_spam") & ~pl.col("is_weak")).sum(),
            "weak_examples": pl.col("is_weak").sum(),
        }


class ClassifiedPlays(Contract):
    """Every play, augmented: class, calibrated spam probability, the reasons, and the declared incident it belongs to.

    Ordered like `Plays`. `reasons` is a list of signal names, strongest first, empty where nothing points to spam; a verdict
    without labels behind it says so with the last reason `heuristic`, one that experts decided has the one reason
    `declared`. `incident_status` is `suspected`, `confirmed` or `cleared` where an incident is declared.
    """

    event_id = dy.String(primary_key=True)
    occurred_at = dy.Datetime(time_unit="ms", time_zone="UTC")
    arrival_hour = dy.Datetime(time_unit="ms", time_zone="UTC")
    track_id = dy.String()
    track_key = dy.UInt64()
    user_key = dy.UInt64(nullable=True)
    device_key = dy.UInt64()
    country = dy.String(nullable=True)
    client = dy.String()
    source = dy.String()
    ms_played = dy.Int64()
    play_class = dy.String(alias="class")
    spam_probability = dy.Float32()
    reasons = dy.List(dy.String())
    incident_id = dy.String(nullable=True)
    incident_status = dy.String(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, pl.Expr]:
        """How much of the day is called spam or left open, and how much of it experts declared."""
        return {
            "plays": pl.len(),
            "spam_share": (pl.col("class") == SPAM).mean(),
            "unknown_share": (pl.col("class") == UNKNOWN).mean(),
            "mean_spam_probability": pl.col("spam_probability").mean(),
            "incident_plays": pl.col("incident_id").count(),
        }
