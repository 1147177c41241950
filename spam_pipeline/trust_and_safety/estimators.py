"""Estimators: what a spam model may be, its log-odds of spam, and the evidence of each signal.

Either it is `Additive`: the log-odds of a play are an intercept plus a term for each signal of each of its entities. Then a verdict
decomposes exactly into its reasons, and scoring works on distinct entities rather than on plays. Or it is any classifier of
scikit-learn, which is asked play by play. Fitting is in `model`, the file in `model_file`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import scipy  # type: ignore[import-untyped]  # it ships no types, and loads scipy.special when that is used

from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, Matrix

SUREST: Final = 1e-6
"""Probabilities of a classifier are kept this far from 0 and 1, where log-odds are infinite."""

ROWS_AT_ONCE: Final = 100_000
"""The number of plays whose signals are put side by side for a classifier, to bound memory."""

_EXPLAINED_AT_ONCE: Final = 2_000
"""Each of them is asked about twice for each of its signals, which are 184,000 rows."""


@dataclass(frozen=True)
class Additive:
    """The log-odds of spam where every signal is usual, and what a spread of each of `NAMES` adds to them."""

    intercept: float
    coefficients: tuple[float, ...]


Estimator = Additive | Any
"""An additive model, or a fitted classifier of scikit-learn for the classes False and True, over the columns `NAMES`."""


@dataclass(frozen=True)
class SpamModel:
    """A trained spam model: an estimator over `SIGNALS`, or None for the weak-label policy alone.

    `quality` holds the measurements of `training.train`. Scoring is done by functions and not by methods, because a stage's
    code version follows names: an edit of a function makes the stages stale that score with it.
    """

    estimator: Estimator | None = None
    quality: Mapping[str, Any] = field(default_factory=dict)


def log_odds(estimator: Estimator, matrix: Matrix) -> Matrix:
    """Return the log-odds of spam of each row of standardised signals."""
    if isinstance(estimator, Additive):
        summed: Matrix = estimator.intercept + terms(estimator, matrix, NAMES).sum(axis=1)
        return summed
    if not len(matrix):
        return np.zeros(0)
    probability = estimator.predict_proba(matrix)[:, 1]
    found: Matrix = scipy.special.logit(np.clip(probability, SUREST, 1 - SUREST))
    return found


def terms(estimator: Additive, matrix: Matrix, names: tuple[str, ...]) -> Matrix:
    """Return the term of each of the standardised signals `names` of each row in the log-odds of spam."""
    columns = [NAMES.index(name) for name in names]
    added: Matrix = matrix * np.array(estimator.coefficients)[columns]
    return added


def evidence(estimator: Estimator, matrix: Matrix) -> Matrix:
    """Return what each signal of each row adds to the log-odds of spam; zero where it is usual.

    Of a classifier it is the mean of what the signal adds when all others are usual, and of what is lost without it: signs that
    agree hide behind each other in the second, those that count only together are missing in the first. For an additive
    model both are its terms.
    """
    if isinstance(estimator, Additive):
        return terms(estimator, matrix, NAMES)
    chunks = [matrix[start : start + _EXPLAINED_AT_ONCE] for start in range(0, len(matrix), _EXPLAINED_AT_ONCE)]
    return np.concatenate([np.zeros((0, matrix.shape[1])), *(_ablated(estimator, chunk) for chunk in chunks)])


def _ablated(estimator: Estimator, matrix: Matrix) -> Matrix:
    """Ask about each row without each of its signals, and about that signal alone, all at once: a call costs as much as 1,000 rows."""
    row, column = np.nonzero(matrix)
    position = np.arange(len(row))
    without, alone = matrix[row], np.zeros((len(row), matrix.shape[1]))
    alone[position, column] = without[position, column]
    without[position, column] = 0
    usual = np.zeros((1, matrix.shape[1]))
    asked = log_odds(estimator, np.vstack([matrix, without, alone, usual]))
    whole, rest, gained, base = np.split(asked, np.cumsum([len(matrix), len(row), len(row)]))
    added = np.zeros_like(matrix)
    added[row, column] = (whole[row] - rest + gained - base) / 2
    return added
