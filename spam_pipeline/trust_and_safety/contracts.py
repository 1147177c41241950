"""What trust & safety promises: the verdict on every play, and the tolerances under which others may read it.

A consumer chooses a tolerance and filters by it; nobody outside this context interprets signals. How signals are computed
is in `signals`, how they become a probability in `model`.
"""

from collections.abc import Iterable, Sequence

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.contract import Contract
from spam_pipeline.protocol.drift import Past
from spam_pipeline.protocol.finding import Finding
from spam_pipeline.protocol.fingerprint import (
    Count,
    Drift,
    Figure,
    Fingerprint,
    Keys,
    Mean,
    Measure,
    Quantiles,
    Records,
    Share,
    Spread,
)
from spam_pipeline.protocol.limit import Limit
from spam_pipeline.trust_and_safety.spikes import spike_findings
from spam_pipeline.trust_and_safety.spikes.evidence import evidence_of_tracks

LEGITIMATE, SPAM, UNKNOWN = "legitimate", "spam", "unknown"
"""The classes of a play. `unknown` says that the evidence decides nothing."""

LONGEST_PLAY_MS = 86_400_000
"""Whoever adds up listening counts a play as a day at most: a client can claim any number, and sums must not overflow."""

ROYALTY_TOLERANCE = 0.2
"""Royalties pay a play only while its spam probability is below this: they tolerate almost no spam, and wait."""

REPORTING_TOLERANCE = 0.8
"""Reports drop a play only when its spam probability is at least this: they tolerate spam and want every listener."""

MOST_SPAM = 0.8
"""An attack can outnumber the listeners, but verdicts that call more of a day spam are kept back until a person has looked."""

HEURISTIC, DECLARED = "heuristic", "declared"
"""Reasons that are no signals: no labels stand behind the verdict, or experts decided it."""

ACTOR, DEVICE, NETWORK, TRACK = "actor", "device", "network", "track"
"""The kinds of entities that carry signals. An actor is an account, or the device of a play that is logged out."""


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
    def fingerprint(cls) -> dict[str, Measure]:
        """How many entities of each kind, and how plays spread over them: chaos is organic, structure is not."""
        return {
            "actors": _entities(ACTOR),
            "devices": _entities(DEVICE),
            "networks": _entities(NETWORK),
            "tracks": _entities(TRACK),
            "plays_per_actor": Mean(_of_kind(ACTOR, "plays")),
            "actor_short_share": Quantiles(_of_kind(ACTOR, "short_share")),
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
    def fingerprint(cls) -> dict[str, Measure]:
        """How much is labelled, by how many incidents, and which way. What experts look into is no drift."""
        return {
            "examples": Count(),
            "incidents": Figure(pl.col("incident_id").drop_nulls().n_unique()),
            "spam_examples": Count(pl.col("is_spam")),
            "cleared_examples": Count(~pl.col("is_spam") & ~pl.col("is_weak")),
            "weak_examples": Count(pl.col("is_weak")),
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
    network_key = dy.UInt64(nullable=True)
    user_agent_key = dy.UInt64(nullable=True)
    country = dy.String(nullable=True)
    client = dy.String()
    source = dy.String()
    ms_played = dy.Int64()
    play_class = dy.String(alias="class")
    spam_probability = dy.Float32(min=0.0, max=1.0)
    reasons = dy.List(dy.String())
    incident_id = dy.String(nullable=True)
    incident_status = dy.String(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """What the verdicts are and why, how much experts declared, and evidence about the most played tracks.

        An attack, or a better model, moves the mix of classes; only an error moves the class of most plays. How plays
        spread over tracks and countries is held against other days where they come from, in `Plays`.
        """
        return {
            "plays": Count(),
            "classes": Spread(pl.col("class"), drift=Drift(refuse_above=0.5)),
            "spam_share": Share(pl.col("class") == SPAM),
            "unknown_share": Share(pl.col("class") == UNKNOWN),
            "spam_expected_in_10000": Mean(_probability_in_10000(), drift=None),
            "reasons": Spread(pl.col("reasons").list.first(), drift=None),
            "incident_plays": Count(pl.col("incident_id").is_not_null()),
            "suspects": Records(evidence_of_tracks),
        }

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """A day is not nearly all spam."""
        return (Limit("spam_share", at_most=MOST_SPAM),)

    @classmethod
    def findings(cls, fingerprint: Fingerprint, history: Sequence[Past]) -> Iterable[Finding]:
        """Tracks that are suddenly played far more than before, and whether that looks like a release or an attack."""
        return spike_findings(fingerprint, history)


def _entities(kind: str) -> Keys:
    return Keys(_of_kind(kind, "entity_key"), weight=pl.col("plays"))


def _of_kind(kind: str, column: str) -> pl.Expr:
    return pl.when(pl.col("entity_kind") == kind).then(column)


def _probability_in_10000() -> pl.Expr:
    """The spam probability in whole steps of 1/10,000, which is how finely it is given; summed, it is exact.

    Its mean is the number of spam plays to expect among ten thousand.
    """
    return (pl.col("spam_probability") * 10_000).round().cast(pl.Int64, strict=False)
