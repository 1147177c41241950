"""The contracts of trust & safety: the verdict on every play, and the tolerances at which other contexts read it.

A consumer chooses a tolerance and filters by it; nobody outside this context interprets signals. Signals are computed
in `signals`, probabilities in `model`.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import dataframely as dy
import polars as pl

from spam_pipeline.ingestion.contracts import TOLERATED_LOSS
from spam_pipeline.protocol import Contract, Finding, HistoricFingerprint, Limit, ShowAsEarlier
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
from spam_pipeline.trust_and_safety.incidents import SUSPECTED
from spam_pipeline.trust_and_safety.spikes import spike_findings
from spam_pipeline.trust_and_safety.spikes.evidence import evidence_of_tracks

LEGITIMATE, SPAM, UNKNOWN = "legitimate", "spam", "unknown"
"""The classes of a play. `unknown`: the evidence supports neither of the others."""

LONGEST_PLAY_MS = 86_400_000
"""Sums of listening time cap a play at one day: a client can claim any number, and sums must not overflow."""

ROYALTY_TOLERANCE = 0.2
"""Royalties pay a play only while its spam probability is below this: they tolerate almost no spam, and wait."""

REPORTING_TOLERANCE = 0.8
"""Reports drop a play only when its spam probability is at least this: they tolerate spam and want every listener."""

MOST_SPAM = 0.8
"""An attack can outnumber the listeners, but a day with a larger share of spam is held back until somebody has reviewed it."""

POLICY, DECLARED, CARRIED, SUSPICION = "weak_label_policy", "declared", "confirmed_campaign", "suspicion"
"""Reasons that are not signals: no label supports the verdict, only the stated policy; experts decided it; the device belongs to a
campaign that experts confirmed; or the play waits for a person to decide a suspicion."""

SUSPICION_ID = "suspected-"
"""The ids of suspicions begin so; a person's decision about one is an incident of the same id."""

ACTOR, DEVICE, ADDRESS, NETWORK, TRACK, UPLOADER = "actor", "device", "address", "network", "track", "uploader"
"""The kinds of entities with signals. An actor is an account, or the device of a logged-out play; an uploader is the artist of
a track."""

ACCOUNT, USER_AGENT = "account", "user_agent"
"""The kinds of entities, beside tracks, with facts. Only accounts have an age and a tier, so they are not actors."""


class EntityFacts(Contract):
    """Reference facts of the accounts, tracks and user agents with a play on the day: one row each, ordered by kind and key.

    `since` is when an account was created or a track uploaded; `country` and `tier` are the account's; `artist_key`, a hash
    of the public artist id, and `duration_ms` are the track's; `platform` and `is_automated` are what a user agent claims.
    All are null for the other kinds. An unknown entity has no row.
    """

    entity_kind = dy.String(primary_key=True)
    entity_key = dy.UInt64(primary_key=True)
    since = dy.Date(nullable=True)
    country = dy.String(nullable=True)
    tier = dy.String(nullable=True)
    artist_key = dy.UInt64(nullable=True)
    duration_ms = dy.Int64(nullable=True)
    is_automated = dy.Bool(nullable=True)
    platform = dy.String(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of known entities of each kind, and the claims of the day's user agents."""
        return {
            "accounts": Count(pl.col("entity_kind") == ACCOUNT),
            "tracks": Count(pl.col("entity_kind") == TRACK),
            "user_agents": Count(pl.col("entity_kind") == USER_AGENT),
            "automated_user_agents": Count(pl.col("is_automated").fill_null(value=False)),
            "platforms": Spread(pl.col("platform"), weight=(pl.col("entity_kind") == USER_AGENT).cast(pl.Int64)),
        }


class PlaySignals(Contract):
    """Behavioural signals of one day: one row per actor, device, address, network, track and uploader, ordered by kind and key.

    A signal is null where it does not apply to the kind or cannot be computed. Shares lie between 0 and 1; `docs/signals.md`
    has every formula. `uploader_key` names the uploader of a track.
    """

    schema_version: ClassVar[int] = 2

    entity_kind = dy.String(primary_key=True)
    entity_key = dy.UInt64(primary_key=True)
    uploader_key = dy.UInt64(nullable=True)
    plays = dy.Int64()
    age_days = dy.Int64(nullable=True)
    devices = dy.Int64(nullable=True)
    networks = dy.Int64(nullable=True)
    countries = dy.Int64(nullable=True)
    new_country_share = dy.Float64(nullable=True)
    actors = dy.Int64(nullable=True)
    hours = dy.Int64(nullable=True)
    gap_variation = dy.Float64(nullable=True)
    short_share = dy.Float64(nullable=True)
    cut_off_share = dy.Float64(nullable=True)
    complete_share = dy.Float64(nullable=True)
    top_track_share = dy.Float64(nullable=True)
    top_uploader_share = dy.Float64(nullable=True)
    abroad_share = dy.Float64(nullable=True)
    automated_share = dy.Float64(nullable=True)
    disguised_share = dy.Float64(nullable=True)
    plays_per_actor = dy.Float64(nullable=True)
    new_account_share = dy.Float64(nullable=True)
    actors_per_user_agent = dy.Float64(nullable=True)
    hosting_share = dy.Float64(nullable=True)
    embed_share = dy.Float64(nullable=True)
    top_network_share = dy.Float64(nullable=True)
    top_source_share = dy.Float64(nullable=True)
    effective_hours = dy.Float64(nullable=True)
    tracks_per_actor = dy.Float64(nullable=True)
    devoted_share = dy.Float64(nullable=True)
    spike = dy.Float64(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of entities of each kind, and the spread of plays over them: organic plays spread, attacks concentrate."""
        return {
            "actors": _entities(ACTOR),
            "devices": _entities(DEVICE),
            "networks": _entities(NETWORK),
            "tracks": _entities(TRACK),
            "plays_per_actor": Mean(_of_kind(ACTOR, "plays")),
            "device_cut_off_share": Quantiles(_of_kind(DEVICE, "cut_off_share")),
        }


class LabelledExamples(Contract):
    """Labelled examples of a day: combinations of actor, device, address, network and track with their signals.

    `is_spam` comes from confirmed (true) and cleared (false) incidents; suspicion is no label. Rows with `is_weak` are a sample of
    undeclared plays labelled by the weak-label policy, without those on which it abstains. `plays` counts the day's plays of
    the combination, `earning_plays` those of 30 s or more. `country` and `tier` are the account's; a logged-out listener has the
    country of the play and the tier `free`. Signals are named `<entity kind>_<signal>`.
    """

    schema_version: ClassVar[int] = 3

    event_day = dy.Date()
    incident_id = dy.String(nullable=True)
    attack_type = dy.String(nullable=True)
    is_spam = dy.Bool()
    is_weak = dy.Bool()
    plays = dy.Int64()
    earning_plays = dy.Int64()
    country = dy.String(nullable=True)
    tier = dy.String()
    actor_key = dy.UInt64()
    device_key = dy.UInt64()
    ip_key = dy.UInt64(nullable=True)
    network_key = dy.UInt64(nullable=True)
    track_key = dy.UInt64()
    uploader_key = dy.UInt64(nullable=True)
    track_age_days = dy.Int64(nullable=True)
    actor_plays = dy.Float64(nullable=True)
    actor_age_days = dy.Float64(nullable=True)
    actor_devices = dy.Float64(nullable=True)
    actor_networks = dy.Float64(nullable=True)
    actor_countries = dy.Float64(nullable=True)
    actor_new_country_share = dy.Float64(nullable=True)
    device_plays = dy.Float64(nullable=True)
    device_actors = dy.Float64(nullable=True)
    device_hours = dy.Float64(nullable=True)
    device_gap_variation = dy.Float64(nullable=True)
    device_short_share = dy.Float64(nullable=True)
    device_cut_off_share = dy.Float64(nullable=True)
    device_complete_share = dy.Float64(nullable=True)
    device_top_track_share = dy.Float64(nullable=True)
    device_top_uploader_share = dy.Float64(nullable=True)
    device_abroad_share = dy.Float64(nullable=True)
    device_automated_share = dy.Float64(nullable=True)
    device_disguised_share = dy.Float64(nullable=True)
    address_actors = dy.Float64(nullable=True)
    address_plays_per_actor = dy.Float64(nullable=True)
    address_cut_off_share = dy.Float64(nullable=True)
    address_new_account_share = dy.Float64(nullable=True)
    network_actors = dy.Float64(nullable=True)
    network_actors_per_user_agent = dy.Float64(nullable=True)
    network_cut_off_share = dy.Float64(nullable=True)
    network_new_account_share = dy.Float64(nullable=True)
    network_hosting_share = dy.Float64(nullable=True)
    track_plays = dy.Float64(nullable=True)
    track_plays_per_actor = dy.Float64(nullable=True)
    track_short_share = dy.Float64(nullable=True)
    track_cut_off_share = dy.Float64(nullable=True)
    track_complete_share = dy.Float64(nullable=True)
    track_new_account_share = dy.Float64(nullable=True)
    track_abroad_share = dy.Float64(nullable=True)
    track_embed_share = dy.Float64(nullable=True)
    track_top_network_share = dy.Float64(nullable=True)
    track_top_source_share = dy.Float64(nullable=True)
    track_effective_hours = dy.Float64(nullable=True)
    track_spike = dy.Float64(nullable=True)
    uploader_plays = dy.Float64(nullable=True)
    uploader_tracks_per_actor = dy.Float64(nullable=True)
    uploader_plays_per_actor = dy.Float64(nullable=True)
    uploader_cut_off_share = dy.Float64(nullable=True)
    uploader_new_account_share = dy.Float64(nullable=True)
    uploader_devoted_share = dy.Float64(nullable=True)
    uploader_spike = dy.Float64(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of examples and incidents, and the mix of labels. Experts choose what to investigate, so no drift is judged."""
        return {
            "examples": Count(),
            "incidents": Figure(pl.col("incident_id").drop_nulls().n_unique()),
            "spam_examples": Count(pl.col("is_spam") & ~pl.col("is_weak")),
            "cleared_examples": Count(~pl.col("is_spam") & ~pl.col("is_weak")),
            "weak_examples": Count(pl.col("is_weak")),
            "weak_spam_examples": Count(pl.col("is_weak") & pl.col("is_spam")),
        }


class EarningPools(Contract):
    """The plays of 30 s or more on a day with examples, by country and tier, ordered by both: what a pool is divided by.

    Any play of a day changes one of them, so they are no columns of examples, of which a model is trained again when they change.
    """

    event_day = dy.Date()
    country = dy.String(nullable=True)
    tier = dy.String()
    pool_plays = dy.Int64()


class ClassifiedPlays(Contract):
    """Classified plays: class, calibrated spam probability, reasons, and the declared incident of every play.

    Ordered like `Plays`. `reasons` are the signals that raised the probability, strongest first, each with its value and the
    usual value; empty where none did. A verdict without any labels ends in the reason `weak_label_policy`, one by experts has
    the only reason `declared`. `attack_type` is the declared one, or the one whose signature fits a play that is not
    legitimate. `incident_status` is `suspected`, `confirmed` or `cleared` where an incident is declared. The plays of a suspicion
    have its id, are `suspected` and `unknown`, with the only reason `suspicion`. Those that a confirmed incident carries to have
    its id, no status, and the only reason `confirmed_campaign`.
    """

    schema_version: ClassVar[int] = 2

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
    reasons = dy.List(
        dy.Struct({"signal": dy.String(), "value": dy.Float64(nullable=True), "usual": dy.Float64(nullable=True)})
    )
    attack_type = dy.String(nullable=True)
    incident_id = dy.String(nullable=True)
    incident_status = dy.String(nullable=True)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """The mix of verdicts and reasons, the share that experts declared, and evidence about the most played tracks.

        An attack, or a better model, shifts the mix of classes; only an error changes the class of most plays. The spread of
        plays over tracks and countries is compared with other days in `Plays`.
        """
        return {
            "plays": Count(drift=Drift(), tolerated_loss=TOLERATED_LOSS),
            "classes": Spread(pl.col("class"), weight=_is_unsuspected(), drift=Drift(refuse_above=0.5)),
            "spam_share": Share(pl.col("class") == SPAM),
            "unknown_share": Share(pl.col("class") == UNKNOWN),
            "spam_expected_in_10000": Mean(_probability_in_10000(), drift=None),
            "reasons": Spread(pl.col("reasons").list.first().struct.field("signal"), drift=None),
            "attack_types": Spread(pl.col("attack_type"), drift=None),
            "incident_plays": Count(pl.col("incident_id").is_not_null()),
            "suspects": Records(evidence_of_tracks),
        }

    @classmethod
    def earlier_schemas(cls) -> dict[int, ShowAsEarlier]:
        """Schema 1 had the names of signals as reasons, and no attack type."""
        return {1: with_named_reasons}

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """Limit the share of spam in a day."""
        return (Limit("spam_share", at_most=MOST_SPAM),)

    @classmethod
    def findings(cls, fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
        """Report tracks with a sudden spike, and whether the evidence suggests a release or an attack."""
        return spike_findings(fingerprint, history)


def with_named_reasons(classified: pl.LazyFrame) -> pl.LazyFrame:
    """Convert classified plays to the columns of schema 1."""
    names = pl.col("reasons").list.eval(pl.element().struct.field("signal"))
    return classified.drop("attack_type").with_columns(reasons=names)


def _is_unsuspected() -> pl.Expr:
    """1 for a play, and 0 for one that waits for a person: a suspicion begins from one day to the next, which is no drift."""
    waits = pl.col("incident_id").str.starts_with(SUSPICION_ID) & (pl.col("incident_status") == SUSPECTED)
    return 1 - waits.fill_null(value=False).cast(pl.Int64)


def _entities(kind: str) -> Keys:
    return Keys(_of_kind(kind, "entity_key"), weight=pl.col("plays"))


def _of_kind(kind: str, column: str) -> pl.Expr:
    return pl.when(pl.col("entity_kind") == kind).then(column)


def _probability_in_10000() -> pl.Expr:
    """The spam probability in whole steps of 1/10,000, its own precision, so that sums are exact.

    Its mean is the expected number of spam plays among ten thousand.
    """
    return (pl.col("spam_probability") * 10_000).round().cast(pl.Int64, strict=False)
