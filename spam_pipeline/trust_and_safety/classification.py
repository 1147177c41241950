"""The verdict on every play: the model's probability, overruled where experts declared an incident.

Scoring works on chunks of numbers that are looked up per entity, never on rows of Python objects. The order of the
plays is kept.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.protocol.contract import column_types
from spam_pipeline.trust_and_safety.contracts import (
    DECLARED,
    HEURISTIC,
    LEGITIMATE,
    REPORTING_TOLERANCE,
    ROYALTY_TOLERANCE,
    SPAM,
    UNKNOWN,
    ClassifiedPlays,
)
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED, ENTITY_COLUMNS, declared
from spam_pipeline.trust_and_safety.model import MAX_REASONS, SpamModel, spam_probability, strongest_signals
from spam_pipeline.trust_and_safety.model_signals import NAMES, entity_tables, matrices_of_plays
from spam_pipeline.trust_and_safety.signals import KEY_COLUMNS, with_actor

DIGITS = 4
"""Decimals of a probability: what is beyond them differs between machines and means nothing."""

_CODES = len(NAMES) + 1


def classify(
    plays: pl.LazyFrame, play_signals: pl.LazyFrame, model: SpamModel, incidents: pl.LazyFrame
) -> pl.LazyFrame:
    """Every play with its verdict, as `ClassifiedPlays`, in the order of `plays`.

    A confirmed incident makes a play spam with probability 1, a cleared one legitimate with probability 0; a suspected
    one is named and leaves the probability to the model.
    """
    known = with_actor(plays).select(*{*KEY_COLUMNS.values(), *ENTITY_COLUMNS.values()}, "occurred_at").collect()
    found = declared(known, incidents)
    scored = _scored(known, play_signals, model)
    verdicts = pl.concat([scored, found], how="horizontal").lazy().with_columns(*_overruled())
    augmented = pl.concat([plays, verdicts.with_columns(_class_of_probability())], how="horizontal")
    columns = pl.Schema(column_types(ClassifiedPlays))
    return augmented.select(*columns).cast(columns)


def _scored(plays: pl.DataFrame, play_signals: pl.LazyFrame, model: SpamModel) -> pl.DataFrame:
    """`spam_probability` and `reasons` of each play, by the model alone."""
    probability = np.empty(plays.height)
    codes = np.zeros(plays.height, dtype=np.int64)
    start = 0
    for matrix in matrices_of_plays(entity_tables(play_signals), plays):
        chunk = slice(start, start + len(matrix))
        probability[chunk] = spam_probability(model, matrix).round(DIGITS)
        suspicious = probability[chunk] >= ROYALTY_TOLERANCE
        codes[chunk][suspicious] = _coded(strongest_signals(model, matrix[suspicious]))
        start = chunk.stop
    return pl.DataFrame({"spam_probability": probability, "reasons": _reasons(codes, model)})


def _coded(strongest: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """One number per row of positions, so that equal lists of reasons are built once and not per play."""
    digits = strongest.astype(np.int64) + 1
    return digits @ _CODES ** np.arange(MAX_REASONS - 1, -1, -1)


def _reasons(codes: npt.NDArray[np.int64], model: SpamModel) -> pl.Series:
    distinct, position = np.unique(codes, return_inverse=True)
    suffix = [HEURISTIC] if model.estimator is None else []
    lists = [[*_decoded(int(code)), *suffix] for code in distinct]
    return pl.Series(lists, dtype=pl.List(pl.String)).gather(position)


def _decoded(code: int) -> list[str]:
    digits = [code // _CODES**power % _CODES for power in range(MAX_REASONS - 1, -1, -1)]
    return [NAMES[digit - 1] for digit in digits if digit]


def _overruled() -> list[pl.Expr]:
    status = pl.col("incident_status")
    probability = pl.when(status == CONFIRMED).then(1.0).when(status == CLEARED).then(0.0)
    decided = pl.when(status.is_in([CONFIRMED, CLEARED])).then(pl.lit([DECLARED]))
    return [
        probability.otherwise(pl.col("spam_probability")).alias("spam_probability"),
        decided.otherwise(pl.col("reasons")).alias("reasons"),
    ]


def _class_of_probability() -> pl.Expr:
    probability = pl.col("spam_probability")
    spam = pl.when(probability >= REPORTING_TOLERANCE).then(pl.lit(SPAM))
    return spam.when(probability < ROYALTY_TOLERANCE).then(pl.lit(LEGITIMATE)).otherwise(pl.lit(UNKNOWN)).alias("class")
