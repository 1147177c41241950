"""Turning decided incidents into examples that a model can learn from.

Experts label incidents, so the label of a play is the join. Suspicion is no label. Everything else is unknown, yet a model
that only ever saw confirmed spam learns nothing; so on days with a decided incident a fixed number of unlabelled
combinations is taken for legitimate, marked `is_weak`. Some of them are undiscovered spam: training gives them a
low weight (`training.WEAK_WEIGHT`).
"""

import polars as pl

from spam_pipeline.protocol.contract import column_types
from spam_pipeline.trust_and_safety.contracts import LabelledExamples
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, ENTITY_COLUMNS, declared, precedence
from spam_pipeline.trust_and_safety.model_signals import SIGNALS
from spam_pipeline.trust_and_safety.signals import KEY_COLUMNS, with_actor

MAX_EXAMPLES_OF_INCIDENT = 2_000
"""Of one incident and day, so that the largest campaign does not drown all others."""

WEAK_EXAMPLES = 2_000
"""Unlabelled combinations taken as weak examples on a day with a decided incident."""

_COMBINATION = list(KEY_COLUMNS.values())


def examples_of_day(plays: pl.LazyFrame, play_signals: pl.LazyFrame, incidents: pl.LazyFrame) -> pl.LazyFrame:
    """The day's examples as `LabelledExamples`, ordered by combination; none when no decided incident meets a play."""
    decided = incidents.filter(pl.col("status").is_in([CONFIRMED, CLEARED]))
    if decided.select(pl.len()).collect().item() == 0:
        return LabelledExamples.empty()
    combinations = _combinations(plays, incidents)
    labelled = combinations.filter(pl.col("incident_status").is_in([CONFIRMED, CLEARED]))
    if labelled.is_empty():
        return LabelledExamples.empty()
    unlabelled = combinations.filter(pl.col("incident_status").is_null())
    chosen = pl.concat([_sample(labelled, MAX_EXAMPLES_OF_INCIDENT), _sample(unlabelled, WEAK_EXAMPLES)])
    status = pl.col("incident_status")
    examples = chosen.with_columns(is_spam=status.eq_missing(CONFIRMED), is_weak=status.is_null())
    columns = pl.Schema(column_types(LabelledExamples))
    return _with_signals(examples.lazy(), play_signals).cast(columns).select(*columns).sort(_COMBINATION)


def _combinations(plays: pl.LazyFrame, incidents: pl.LazyFrame) -> pl.DataFrame:
    """One row per combination of entities, with the most decided incident among its plays."""
    known = with_actor(plays).select(*{*_COMBINATION, *ENTITY_COLUMNS.values()}, "occurred_at").collect()
    found = declared(known, incidents)
    strongest = (
        pl.concat([known.select(_COMBINATION), found], how="horizontal")
        .filter(pl.col("incident_id").is_not_null())
        .sort(precedence("incident_status"), "incident_id")
        .unique(_COMBINATION, keep="first", maintain_order=True)
    )
    combinations = known.group_by(_COMBINATION).agg(plays=pl.len(), event_day=pl.col("occurred_at").min().dt.date())
    return combinations.join(strongest, on=_COMBINATION, how="left", nulls_equal=True)


def _sample(combinations: pl.DataFrame, size: int) -> pl.DataFrame:
    """At most `size` combinations per incident, always the same ones: keys are keyed hashes, so their bits are a draw."""
    drawn = combinations.sort(pl.col("actor_key") ^ pl.col("track_key"), *_COMBINATION)
    return drawn.filter(pl.int_range(pl.len()).over("incident_id") < size)


def _with_signals(examples: pl.LazyFrame, play_signals: pl.LazyFrame) -> pl.LazyFrame:
    for kind, key in KEY_COLUMNS.items():
        columns = {signal.name: pl.col(signal.column) for signal in SIGNALS if signal.kind == kind}
        known = play_signals.filter(pl.col("entity_kind") == kind).select(pl.col("entity_key").alias(key), **columns)
        examples = examples.join(known, on=key, how="left")
    return examples
