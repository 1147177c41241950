"""Classification of plays: the model's probability, overruled where experts declared an incident, and held where one is suspected.

Probabilities are computed in `scoring`, reasons in `reasons`. The order of the plays is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.protocol import column_types, in_slices, rows_in
from spam_pipeline.trust_and_safety.contracts import (
    CARRIED,
    DECLARED,
    LEGITIMATE,
    POLICY,
    REPORTING_TOLERANCE,
    ROYALTY_TOLERANCE,
    SPAM,
    SUSPICION,
    UNKNOWN,
    ClassifiedPlays,
)
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, ENTITY_COLUMNS, SUSPECTED, declared
from spam_pipeline.trust_and_safety.reasons import explained, only_reason
from spam_pipeline.trust_and_safety.scoring import entities_of, spam_probability
from spam_pipeline.trust_and_safety.signals.known_plays import with_actor
from spam_pipeline.trust_and_safety.suspicions_contract import CarriedDevices, SuspectedPlays

DIGITS: Final = 2
"""Decimals of a probability. More mean nothing to anybody, and would change every verdict whenever a model is trained."""

CARRIED_PROBABILITY: Final = 0.95
"""The probability of a play of a confirmed campaign that nobody declared: of a hundred such devices a few are fans."""

_SLICE_ROWS: Final = 1_000_000
"""Plays that are classified at a time: with the signals of their entities, their reasons and all their columns, 0.8 GB."""

_REASONS: Final = column_types(ClassifiedPlays)["reasons"]


@dataclass(frozen=True)
class Groups:
    """What is known of groups on the day: devices that confirmed incidents carry to, and the plays of suspicions."""

    carried_devices: pl.LazyFrame = field(default_factory=CarriedDevices.empty)
    suspected_plays: pl.LazyFrame = field(default_factory=SuspectedPlays.empty)


def classify(  # noqa: PLR0913 - one parameter for everything that it reads, and the size of a slice
    plays: pl.LazyFrame,
    play_signals: pl.LazyFrame,
    model: SpamModel,
    incidents: pl.LazyFrame,
    groups: Groups,
    *,
    slice_rows: int = _SLICE_ROWS,
) -> pl.LazyFrame:
    """Classify every play, as `ClassifiedPlays`, in the order of `plays`.

    A confirmed incident makes a play spam with probability 1, a cleared one legitimate with probability 0; one declared as
    suspected is named and leaves the probability to the model. Of undeclared plays those of a carried device are spam with
    `CARRIED_PROBABILITY`, and those of a suspicion are unknown, unless the model calls them spam without it. Memory holds
    `slice_rows` plays at a time with the signals of their entities.
    """

    def slices() -> Iterator[pl.DataFrame]:
        for start in range(0, rows_in(plays), slice_rows):
            yield _classified(plays.slice(start, slice_rows), play_signals, model, incidents, groups)

    return in_slices(slices, column_types(ClassifiedPlays))


def _classified(
    plays: pl.LazyFrame, play_signals: pl.LazyFrame, model: SpamModel, incidents: pl.LazyFrame, groups: Groups
) -> pl.DataFrame:
    known = with_actor(plays).select("actor_key", *ENTITY_COLUMNS.values(), "network_key", "occurred_at").collect()
    verdicts = pl.concat(
        [_scored(known, play_signals, model), declared(known, incidents), _grouped(known, groups)], how="horizontal"
    )
    overruled = (
        verdicts.lazy()
        .with_columns(*_overruled())
        .with_columns(*_carried())
        .with_columns(*_suspected())
        .with_columns(_class_of_probability())
    )
    augmented = pl.concat([plays, overruled], how="horizontal")
    columns = pl.Schema(column_types(ClassifiedPlays))
    return augmented.select(*columns).cast(columns).collect(engine="streaming")


def _scored(plays: pl.DataFrame, play_signals: pl.LazyFrame, model: SpamModel) -> pl.DataFrame:
    """Add `spam_probability`, `reasons` and `attack_type` of each play, by the model alone."""
    scored = entities_of(plays, play_signals)
    probability = spam_probability(model, scored).round(DIGITS)
    found = explained(model, scored, np.flatnonzero(probability >= ROYALTY_TOLERANCE))
    verdicts = pl.DataFrame({"spam_probability": probability}).with_row_index("row")
    ordinary = only_reason(POLICY) if model.estimator is None else pl.lit([], dtype=_REASONS)
    explanations = verdicts.join(found, on="row", how="left", maintain_order="left")
    return explanations.drop("row").with_columns(pl.col("reasons").fill_null(ordinary))


def _grouped(plays: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Find the carried incident and the suspicion of each play, in the order of plays; null where there is none."""
    carried = groups.carried_devices.select("device_key", carried_by="incident_id", carried_type="attack_type")
    held = groups.suspected_plays.select("device_key", "track_key", "suspicion_id", suspected_type="attack_type")
    found = (
        plays.lazy()
        .select("device_key", "track_key")
        .join(carried, on="device_key", how="left", maintain_order="left")
        .join(held, on=["device_key", "track_key"], how="left", maintain_order="left")
    )
    return found.select("carried_by", "carried_type", "suspicion_id", "suspected_type").collect()


def _carried() -> list[pl.Expr]:
    """Call the plays of a carried device."""
    is_carried = pl.col("carried_by").is_not_null() & pl.col("incident_id").is_null()
    return _where(
        is_carried,
        spam_probability=pl.max_horizontal("spam_probability", pl.lit(CARRIED_PROBABILITY)),
        reasons=only_reason(CARRIED),
        attack_type=pl.col("carried_type"),
        incident_id=pl.col("carried_by"),
    )


def _suspected() -> list[pl.Expr]:
    """Hold plays of a suspicion: a probability between the tolerances, so that reports count them and royalties wait."""
    probability = pl.col("spam_probability")
    is_held = (
        pl.col("suspicion_id").is_not_null() & pl.col("incident_id").is_null() & (probability < REPORTING_TOLERANCE)
    )
    return _where(
        is_held,
        spam_probability=pl.max_horizontal(probability, pl.lit(ROYALTY_TOLERANCE)),
        reasons=only_reason(SUSPICION),
        attack_type=pl.col("suspected_type"),
        incident_id=pl.col("suspicion_id"),
        incident_status=pl.lit(SUSPECTED),
    )


def _where(is_so: pl.Expr, **values: pl.Expr) -> list[pl.Expr]:
    """Replace these columns where it is so."""
    return [pl.when(is_so).then(value).otherwise(name).alias(name) for name, value in values.items()]


def _overruled() -> list[pl.Expr]:
    status, of_incident = pl.col("incident_status"), pl.col("incident_attack_type")
    probability = pl.when(status == CONFIRMED).then(1.0).when(status == CLEARED).then(0.0)
    is_decided = status.is_in([CONFIRMED, CLEARED])
    return [
        probability.otherwise(pl.col("spam_probability")).alias("spam_probability"),
        pl.when(is_decided).then(only_reason(DECLARED)).otherwise(pl.col("reasons")).alias("reasons"),
        pl.when(status == CLEARED)
        .then(None)
        .when(status.is_not_null())
        .then(of_incident)
        .otherwise(pl.col("attack_type"))
        .alias("attack_type"),
    ]


def _class_of_probability() -> pl.Expr:
    probability = pl.col("spam_probability")
    spam = pl.when(probability >= REPORTING_TOLERANCE).then(pl.lit(SPAM))
    return spam.when(probability < ROYALTY_TOLERANCE).then(pl.lit(LEGITIMATE)).otherwise(pl.lit(UNKNOWN)).alias("class")
