"""Training examples from decided incidents.

Experts label incidents, so the label of a play is the join. Suspicion is no label. Everything else is unknown, but a model
trained only on what experts investigated knows nothing of ordinary plays. So on days with a decided incident a fixed number of
unlabelled combinations is labelled by the weak-label policy (`attack_types`), marked `is_weak`; those on which the policy
abstains are left out, and so are devices whose plays wait for a person and that fit no signature: who listens as patiently as people
do would be taught as legitimate. Training gives them a low weight (`training.WEAK_WEIGHT`).
"""

from collections.abc import Mapping

import polars as pl

from spam_pipeline.protocol import SLICE_ROWS, column_types, key_ranges, rows_in, slices_of
from spam_pipeline.trust_and_safety.attack_types import NAMED_FROM, UNSUSPICIOUS_BELOW, fits
from spam_pipeline.trust_and_safety.contracts import ACCOUNT, SUSPICION_ID, TRACK, EarningPools, LabelledExamples
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, ENTITY_COLUMNS, declared, precedence
from spam_pipeline.trust_and_safety.scoring import matrix_of_examples
from spam_pipeline.trust_and_safety.signals.catalogue import SIGNALS
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS, LOGGED_OUT_TIER, PAID_FROM_MS, with_actor

MAX_EXAMPLES_OF_INCIDENT = 2_000
"""The most examples of one incident and day, so that the largest campaign does not drown all others."""

WEAK_EXAMPLES = 2_000
"""The number of weak examples on a day with a decided incident."""

_COMBINATION = ["actor_key", "device_key", "ip_key", "network_key", "track_key"]
_POOL = ["country", "tier"]
_RANDOM = pl.col("actor_key") ^ pl.col("track_key")
"""Spread evenly, as its parts are, also over the plays of one track; equal for all plays of a combination."""


def examples_of_day(  # noqa: PLR0913 - one parameter for everything that it reads, and the size of a slice
    plays: pl.LazyFrame,
    play_signals: pl.LazyFrame,
    entity_facts: pl.LazyFrame,
    incidents: pl.LazyFrame,
    suspected_plays: pl.LazyFrame,
    *,
    slice_rows: int = SLICE_ROWS,
) -> pl.LazyFrame:
    """Build the day's `LabelledExamples`, ordered by combination; none when no decided incident matches a play.

    Memory holds the combinations of `slice_rows` plays at a time, and the examples.
    """
    decided = incidents.filter(_teaches("status"))
    if decided.select(pl.len()).collect().item() == 0:
        return LabelledExamples.empty()
    known, slices = with_actor(plays), key_ranges(_RANDOM, slices_of(rows_in(plays), slice_rows))
    samples = [
        _sampled(_combinations(_of_accounts(known.filter(bounds), entity_facts).collect(engine="streaming"), incidents))
        for bounds in slices
    ]
    labelled, unlabelled = (pl.concat(of_slices) for of_slices in zip(*samples, strict=True))
    if labelled.is_empty():
        return LabelledExamples.empty()
    chosen = pl.concat([_sample(labelled, MAX_EXAMPLES_OF_INCIDENT), _sample(unlabelled, WEAK_EXAMPLES)])
    columns = pl.Schema(column_types(LabelledExamples))
    suspects = suspected_plays.select("device_key").unique().collect().to_series()
    is_suspect = pl.col("device_key").is_in(suspects.implode())
    examples = _labelled(_with_signals(chosen, play_signals), is_suspect)
    return examples.lazy().cast(columns).select(*columns).sort(_COMBINATION)


def pools_of_day(plays: pl.LazyFrame, entity_facts: pl.LazyFrame, examples: pl.LazyFrame) -> pl.LazyFrame:
    """Count the day's earning plays in each pool, as `EarningPools`; none where there are no `examples` of the day."""
    if examples.head(1).collect().is_empty():
        return EarningPools.empty()
    earning = _of_accounts(with_actor(plays), entity_facts).filter("earns")
    counts = earning.group_by(_POOL).agg(
        event_day=pl.col("occurred_at").min().dt.date(), pool_plays=pl.len().cast(pl.Int64)
    )
    return counts.select(*column_types(EarningPools)).sort(_POOL)


def _teaches(status: str) -> pl.Expr:
    """True for decided incidents, but for confirmed suspicions, whose plays look like people's one by one.

    A model that is taught them as spam errs on people: squared error on held-out campaigns went from 0.00 to 0.19, and its audit
    refused it. Their campaign is known by its group (`suspicions.carried`) and not by its signals.
    """
    is_suspicion = pl.col("incident_id").str.starts_with(SUSPICION_ID)
    return (pl.col(status) == CLEARED) | ((pl.col(status) == CONFIRMED) & ~is_suspicion)


def _of_accounts(plays: pl.LazyFrame, entity_facts: pl.LazyFrame) -> pl.LazyFrame:
    """Add to each play whether it earns, and the country and tier of its account."""
    accounts = entity_facts.filter(pl.col("entity_kind") == ACCOUNT)
    known = accounts.select(pl.col("entity_key").alias("user_key"), pl.col("tier"), home="country")
    return plays.join(known, on="user_key", how="left").select(
        *{*_COMBINATION, *ENTITY_COLUMNS.values()},
        "occurred_at",
        country=pl.coalesce("home", "country"),
        tier=pl.col("tier").fill_null(LOGGED_OUT_TIER),
        earns=pl.col("ms_played") >= PAID_FROM_MS,
    )


def _combinations(plays: pl.DataFrame, incidents: pl.LazyFrame) -> pl.DataFrame:
    """Group plays to one row per combination of entities, with the most decided incident among them."""
    strongest = (
        pl.concat([plays.select(_COMBINATION), declared(plays, incidents)], how="horizontal")
        .filter(pl.col("incident_id").is_not_null())
        .sort(precedence("incident_status"), "incident_id", "incident_attack_type")
        .unique(_COMBINATION, keep="first", maintain_order=True)
    )
    combinations = plays.group_by(_COMBINATION).agg(
        pl.col(_POOL).sort_by(*_POOL, nulls_last=True).first(),
        plays=pl.len(),
        earning_plays=pl.col("earns").sum(),
        event_day=pl.col("occurred_at").min().dt.date(),
    )
    return combinations.join(strongest, on=_COMBINATION, how="left", nulls_equal=True)


def _sampled(combinations: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Of some of a day's combinations, draw those that can be drawn of all: labelled ones, and undeclared ones."""
    labelled = combinations.filter(_teaches("incident_status"))
    unlabelled = combinations.filter(pl.col("incident_status").is_null())
    return _sample(labelled, MAX_EXAMPLES_OF_INCIDENT), _sample(unlabelled, WEAK_EXAMPLES)


def _sample(combinations: pl.DataFrame, size: int) -> pl.DataFrame:
    """Draw at most `size` combinations per incident, deterministically: keys are keyed hashes, so their bits are random."""
    drawn = combinations.sort(_RANDOM, *_COMBINATION)
    return drawn.filter(pl.int_range(pl.len()).over("incident_id") < size)


def _with_signals(examples: pl.DataFrame, play_signals: pl.LazyFrame) -> pl.DataFrame:
    tracks = {"uploader_key": pl.col("uploader_key"), "track_age_days": pl.col("age_days")}
    examples = _joined(examples, play_signals, TRACK, tracks).with_columns(artist_key="uploader_key")
    for kind in KEY_COLUMNS:
        columns = {signal.name: pl.col(signal.column) for signal in SIGNALS if signal.kind == kind}
        examples = _joined(examples, play_signals, kind, columns)
    return examples


def _joined(
    examples: pl.DataFrame, play_signals: pl.LazyFrame, kind: str, columns: Mapping[str, pl.Expr]
) -> pl.DataFrame:
    """Add columns of the examples' entities of one kind; a join would hold those of all entities of the day."""
    key = KEY_COLUMNS[kind]
    of_kind = play_signals.filter(pl.col("entity_kind") == kind).select(pl.col("entity_key").alias(key), **columns)
    wanted = examples.lazy().select(key).unique()
    known = of_kind.join(wanted, on=key, how="semi").collect(engine="streaming")
    return examples.join(known, on=key, how="left")


def _labelled(examples: pl.DataFrame, is_suspect: pl.Expr) -> pl.DataFrame:
    """Label the examples by experts, or else by the policy; drop those on which it abstains, as it does on an unsuspicious suspect."""
    suspicion = pl.Series("suspicion", fits(matrix_of_examples(examples)).max(axis=1))
    is_weak, status = pl.col("incident_status").is_null(), pl.col("incident_status")
    is_ordinary = (pl.col("suspicion") < UNSUSPICIOUS_BELOW) & ~is_suspect
    has_label = ~is_weak | (pl.col("suspicion") >= NAMED_FROM) | is_ordinary
    return (
        examples.with_columns(suspicion)
        .filter(has_label)
        .with_columns(
            is_weak=is_weak,
            is_spam=pl.when(is_weak).then(pl.col("suspicion") >= NAMED_FROM).otherwise(status == CONFIRMED),
            attack_type=pl.col("incident_attack_type"),
        )
    )
