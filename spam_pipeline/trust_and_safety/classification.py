"""Classification of plays: the model's probability, overruled where experts declared an incident.

Probabilities are computed in `scoring`, reasons in `reasons`. The order of the plays is kept.
"""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import (
    DECLARED,
    LEGITIMATE,
    POLICY,
    REPORTING_TOLERANCE,
    ROYALTY_TOLERANCE,
    SPAM,
    UNKNOWN,
    ClassifiedPlays,
)
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, ENTITY_COLUMNS, declared
from spam_pipeline.trust_and_safety.model import SpamModel
from spam_pipeline.trust_and_safety.reasons import explained, only_reason
from spam_pipeline.trust_and_safety.scoring import entities_of, spam_probability
from spam_pipeline.trust_and_safety.signals.known_plays import with_actor

DIGITS: Final = 2
"""Decimals of a probability. More mean nothing to anybody, and would change every verdict whenever a model is trained."""

_REASONS: Final = column_types(ClassifiedPlays)["reasons"]


def classify(
    plays: pl.LazyFrame, play_signals: pl.LazyFrame, model: SpamModel, incidents: pl.LazyFrame
) -> pl.LazyFrame:
    """Classify every play, as `ClassifiedPlays`, in the order of `plays`.

    A confirmed incident makes a play spam with probability 1, a cleared one legitimate with probability 0; a suspected
    one is named and leaves the probability to the model.
    """
    known = with_actor(plays).select("actor_key", *ENTITY_COLUMNS.values(), "network_key", "occurred_at").collect()
    verdicts = pl.concat([_scored(known, play_signals, model), declared(known, incidents)], how="horizontal")
    overruled = verdicts.lazy().with_columns(*_overruled()).with_columns(_class_of_probability())
    augmented = pl.concat([plays, overruled], how="horizontal")
    columns = pl.Schema(column_types(ClassifiedPlays))
    return augmented.select(*columns).cast(columns)


def _scored(plays: pl.DataFrame, play_signals: pl.LazyFrame, model: SpamModel) -> pl.DataFrame:
    """Add `spam_probability`, `reasons` and `attack_type` of each play, by the model alone."""
    scored = entities_of(plays, play_signals)
    probability = spam_probability(model, scored).round(DIGITS)
    found = explained(model, scored, np.flatnonzero(probability >= ROYALTY_TOLERANCE))
    verdicts = pl.DataFrame({"spam_probability": probability}).with_row_index("row")
    ordinary = only_reason(POLICY) if model.estimator is None else pl.lit([], dtype=_REASONS)
    explanations = verdicts.join(found, on="row", how="left", maintain_order="left")
    return explanations.drop("row").with_columns(pl.col("reasons").fill_null(ordinary))


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
