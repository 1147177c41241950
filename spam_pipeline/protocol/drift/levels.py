"""Numbers against their own history: the expectation for a partition, and how far from it chance alone reaches.

A history is explained by a level, by a level with a linear trend, by a level for each weekday, or by the latter with a trend:
least squares, with the prediction interval of Student's t (Seber and Lee, Linear Regression Analysis, 2003, ch. 5.3). The
simplest explanation counts that the history does not contradict, that is, of which no richer one does better by an F test;
where a trend and weekdays do as well as each other, the one that is more charitable to the partition.

Residuals carry whatever makes partitions differ, clusters of rows included; the sampling variance of independent rows is the
least that is ever allowed for. Columns of all arrays are numbers, rows are partitions.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spam_pipeline.protocol.drift.moments import Moment
from spam_pipeline.protocol.drift.quantiles import f_ratio, student_t

Floats = npt.NDArray[np.float64]

_SPARE = 5
"""Degrees of freedom that an explanation richer than a level has to leave: with fewer it would explain anything."""

_FLOOR_FREEDOM = 10
"""Degrees of freedom credited to the sampling variance: it is known, except for how much clusters of rows add to it."""

_CHANCE_OF_RICHER = 0.001
"""The chance with which a simpler explanation that is true is put aside."""

_CHANCE_OF_OUTLIER = 1e-6
"""The chance with which a history without any outlier loses a partition as one: small, for a past that has some is a warning."""

_EXACT = 1e-12
"""The variance of rounding: a number that sampling cannot change, such as the entropy of one value, is no more exact than that."""

_NONE_LEFT = 1e-9
"""A partition whose leverage is one but for rounding is explained by itself and has no residual."""


class Numbers(NamedTuple):
    """Numbers on their scales, and their sampling variances: of one partition each a vector, of a history each a matrix."""

    values: Floats
    variances: Floats


class Expected(NamedTuple):
    """The expectation of each number, and how far on either side of it chance reaches."""

    values: Floats
    reach: Floats

    def is_far(self, seen: Numbers) -> npt.NDArray[np.bool_]:
        """True for the numbers that are farther away than chance reaches."""
        return np.asarray(abs(seen.values - self.values) > self.reach)


class _Explanation(NamedTuple):
    """A linear model: its terms, the row of each past partition, and the row of the partition under test."""

    terms: frozenset[str]
    past: Floats
    now: Floats


class _Fit(NamedTuple):
    """A fitted explanation: prediction, its leverage, sum of squared residuals and their degrees of freedom.

    `all_squares` and `all_freedom` are the latter two before an outlier was left out.
    """

    terms: frozenset[str]
    expected: Floats
    leverage: Floats
    squares: Floats
    freedom: npt.NDArray[np.int64]
    all_squares: Floats
    all_freedom: int


def expected_of(history: Numbers, moments: Sequence[Moment], seen: Numbers, now: Moment, chance: float) -> Expected:
    """The expectation for the partition at `now`, with a reach that is exceeded either way with no more than this chance.

    `history` has at least three rows, at `moments`; every number is there in every row.
    """
    floor = np.maximum(history.variances.mean(axis=0), _EXACT)
    fits = [_fit(explanation, moments, now, history.values, floor) for explanation in _explanations(moments, now)]
    evaluated = [(fit, _reach(fit, floor, seen.variances, chance)) for fit in fits]
    distances = np.stack(
        [
            np.where(_counts(fit, fits, floor), abs(seen.values - fit.expected) / reach, np.inf)
            for fit, reach in evaluated
        ]
    )
    best, columns = distances.argmin(axis=0), np.arange(floor.size)
    return Expected(
        np.stack([fit.expected for fit, _ in evaluated])[best, columns],
        np.stack([reach for _, reach in evaluated])[best, columns],
    )


def _explanations(moments: Sequence[Moment], now: Moment) -> list[_Explanation]:
    """All explanations that the history is long enough for; a weekday's level needs two partitions of that weekday."""
    weekdays = sorted({moment.weekday for moment in moments if moment.weekday is not None})
    level = [np.ones(len(moments))]
    trend = [np.array([float(moment.place - now.place) for moment in moments])]
    weekly = [np.array([float(moment.weekday == weekday) for moment in moments]) for weekday in weekdays]
    at_weekday = [float(now.weekday == weekday) for weekday in weekdays]
    found = [_explanation("", level, [1.0]), _explanation("trend", level + trend, [1.0, 0.0])]
    if len(weekdays) > 1 and sum(moment.weekday == now.weekday for moment in moments) > 1:
        found.append(_explanation("weekday", weekly, at_weekday))
        found.append(_explanation("weekday trend", weekly + trend, [*at_weekday, 0.0]))
    return [item for item in found if not item.terms or len(moments) - item.now.size >= _SPARE]


def _explanation(terms: str, columns: list[Floats], now: list[float]) -> _Explanation:
    return _Explanation(frozenset(terms.split()), np.stack(columns, axis=1), np.array(now))


def _fit(explanation: _Explanation, moments: Sequence[Moment], now: Moment, values: Floats, floor: Floats) -> _Fit:
    """Least squares; of each number the partition that fits worst is left out if it is an outlier.

    Leaving out row i changes the prediction by -c_i e_i / (1 - h_i), the sum of squares by -e_i^2 / (1 - h_i) and the leverage
    by c_i^2 / (1 - h_i), with residuals e, leverages h and weights c of the prediction (Cook and Weisberg 1982, ch. 2.2).
    """
    inverse = np.linalg.pinv(explanation.past)
    weights = explanation.now @ inverse
    residuals = values - explanation.past @ (inverse @ values)
    room = 1.0 - np.einsum("ij,ji->i", explanation.past, inverse)
    squares, freedom = (residuals**2).sum(axis=0), len(moments) - explanation.now.size
    shares = np.divide(residuals**2, room[:, None], out=np.zeros_like(residuals), where=room[:, None] > _NONE_LEFT)
    is_kept = [moment.weekday is not None and moment.weekday == now.weekday for moment in moments]
    candidates = shares if "weekday" in explanation.terms else np.where(np.array(is_kept)[:, None], 0.0, shares)
    worst, columns = candidates.argmax(axis=0), np.arange(floor.size)
    worth = candidates[worst, columns]
    is_out = worth > _outlying(squares - worth, freedom - 1, floor, len(moments))
    weight, spare = weights[worst], np.maximum(room[worst], _NONE_LEFT)
    return _Fit(
        explanation.terms,
        expected=weights @ values - np.where(is_out, weight * residuals[worst, columns] / spare, 0.0),
        leverage=weights @ weights + np.where(is_out, weight**2 / spare, 0.0),
        squares=np.maximum(squares - np.where(is_out, worth, 0.0), 0.0),
        freedom=freedom - is_out.astype(np.int64),
        all_squares=squares,
        all_freedom=freedom,
    )


def _outlying(squares: Floats, freedom: int, floor: Floats, partitions: int) -> Floats:
    """The squared deleted residual (on the scale of a single partition) from which on the worst of `partitions` is an outlier."""
    if freedom < 2:  # noqa: PLR2004 - two partitions cannot outvote a third
        return np.full_like(floor, np.inf)
    limit = student_t(_CHANCE_OF_OUTLIER / (2 * partitions), freedom)
    return np.asarray(limit**2 * np.maximum(squares / freedom, floor))


def _counts(fit: _Fit, fits: Sequence[_Fit], floor: Floats) -> npt.NDArray[np.bool_]:
    """True for the numbers of which an explanation counts: nothing simpler does as well, and nothing richer does better.

    Where that leaves none, the level counts, which comes first.
    """
    needed = [_is_better(fit, other, floor) for other in fits if other.terms < fit.terms]
    enough = [~_is_better(other, fit, floor) for other in fits if other.terms > fit.terms]
    return reduce(np.logical_and, needed + enough, np.ones(floor.size, dtype=np.bool_))


def _is_better(richer: _Fit, fit: _Fit, floor: Floats) -> npt.NDArray[np.bool_]:
    more = fit.all_freedom - richer.all_freedom
    variance = np.maximum(richer.all_squares / richer.all_freedom, floor)
    limit = f_ratio(_CHANCE_OF_RICHER, more, richer.all_freedom)
    return np.asarray((fit.all_squares - richer.all_squares) / more > limit * variance)


def _reach(fit: _Fit, floor: Floats, seen: Floats, chance: float) -> Floats:
    """Half the width of the prediction interval: the wider of what the history's scatter and what sampling alone gives.

    A partition with fewer rows than the past ones has more sampling variance, by the factor with which rows are clustered too.
    """
    scatter = fit.squares / fit.freedom
    by_history = np.array([student_t(chance / 2, int(freedom)) for freedom in fit.freedom])
    by_sampling = np.array([student_t(chance / 2, max(int(freedom), _FLOOR_FREEDOM)) for freedom in fit.freedom])
    thinner = np.maximum(seen - floor, 0.0)
    clustered = np.maximum(scatter / floor, 1.0)
    return np.asarray(
        np.maximum(
            by_history * np.sqrt(scatter * (1 + fit.leverage) + clustered * thinner),
            by_sampling * np.sqrt(floor * (1 + fit.leverage) + clustered * thinner),
        )
    )
