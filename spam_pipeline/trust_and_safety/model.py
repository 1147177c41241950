"""The spam model: fitting to examples, and the evidence of each signal of an entity. Replace this file for another model.

A model here is additive: the log-odds of spam are an intercept plus a term for each signal of each entity of the play. So every
verdict decomposes exactly into its reasons, and scoring works on distinct entities rather than on plays. This one is a
logistic regression: it has one optimum, so rounded coefficients are the same on every machine. A replacement keeps these names;
the choice of examples and the measurements are in `training` and stay. scikit-learn is imported where it is used, because
that takes seconds and most commands of the pipeline train nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, Matrix

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # scikit-learn ships no types

REGULARISATION: Final = 0.1
"""scikit-learn's `C`. Strong, because attacks change: evidence is spread over all signals that agree, not put on one. A
weaker one did better on the held-out campaigns of one home; it stays strong for attacks that nobody foresaw."""

_DIGITS: Final = 6


@dataclass(frozen=True)
class SpamModel:
    """A trained spam model: an estimator over `SIGNALS`, or None for the weak-label policy alone.

    `quality` holds the measurements of `training.train`. Scoring is done by functions and not by methods, because a stage's
    code version follows names: an edit of a function makes the stages stale that score with it.
    """

    estimator: "LogisticRegression | None" = None
    quality: Mapping[str, Any] = field(default_factory=dict)


def fitted(matrix: Matrix, is_spam: npt.NDArray[np.bool_], weight: Matrix) -> "LogisticRegression":
    """Fit the estimator to weighted examples; columns of `matrix` are `SIGNALS`.

    It runs in one thread, so that sums have the same order on every machine; more threads are slower on a busy one.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see the module's docstring
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 - it comes with scikit-learn

    estimator = LogisticRegression(C=REGULARISATION, solver="newton-cholesky", tol=1e-8)
    with threadpool_limits(limits=1):
        estimator.fit(matrix, is_spam, sample_weight=weight)
    estimator.coef_ = np.ascontiguousarray(estimator.coef_.round(_DIGITS))
    estimator.intercept_ = estimator.intercept_.round(_DIGITS)
    return estimator


def is_spam_model(estimator: Any) -> bool:
    """Return true for an estimator as `fitted` returns it, with finite numbers of the right shape."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see the module's docstring

    return (
        type(estimator) is LogisticRegression
        and _has_numbers(estimator, "coef_", (1, len(NAMES)))
        and _has_numbers(estimator, "intercept_", (1,))
        and np.array_equal(getattr(estimator, "classes_", []), [False, True])
    )


def intercept(estimator: "LogisticRegression") -> float:
    """Return the log-odds of spam of a play with all signals at their usual values."""
    return float(estimator.intercept_[0])


def evidence(estimator: "LogisticRegression", matrix: Matrix, names: tuple[str, ...]) -> Matrix:
    """Return the term of each of the standardised signals `names` of each row in the log-odds of spam."""
    columns = [NAMES.index(name) for name in names]
    added: Matrix = matrix * estimator.coef_[0][columns]
    return added


def _has_numbers(estimator: Any, attribute: str, shape: tuple[int, ...]) -> bool:
    found = getattr(estimator, attribute, None)
    if not isinstance(found, np.ndarray) or found.dtype != np.float64:
        return False
    return found.shape == shape and bool(np.isfinite(found).all())
