"""The spam model: what is learned from examples, and what each signal of an entity then says. The file to replace for another model.

A model here is additive: the log-odds of spam are an intercept plus what each signal of each entity of the play adds. So every verdict
can be taken apart into its reasons exactly, and scoring works on distinct entities rather than on plays. This one is a logistic
regression: one optimum, so that rounding its coefficients makes them the same on every machine. Another one keeps the names here;
which examples it learns from, and how it is measured, is in `training` and does not change with it. scikit-learn is imported
where it is used, because that takes seconds and most commands of the pipeline train nothing.
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
"""scikit-learn's `C`. Strong, because attacks change: evidence is spread over all signals that agree, not put on one."""

_DIGITS: Final = 6


@dataclass(frozen=True)
class SpamModel:
    """What is known about spam: an estimator over `SIGNALS`, or with none the weak-label policy alone.

    `quality` holds what was measured in training (see `training.train`). Scoring is done by functions and not by methods, because a
    stage's code version follows names: who scores is stale when they change.
    """

    estimator: "LogisticRegression | None" = None
    quality: Mapping[str, Any] = field(default_factory=dict)


def fitted(matrix: Matrix, is_spam: npt.NDArray[np.bool_], weight: Matrix) -> "LogisticRegression":
    """The estimator that these weighted examples support; columns of `matrix` are `SIGNALS`.

    One thread does the sums, so that their order is the same on every machine; waiting for more takes longer on a busy one.
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
    """Whether what came out of a file is an estimator as `fitted` gives it, with sound numbers."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see the module's docstring

    return (
        type(estimator) is LogisticRegression
        and _has_numbers(estimator, "coef_", (1, len(NAMES)))
        and _has_numbers(estimator, "intercept_", (1,))
        and np.array_equal(getattr(estimator, "classes_", []), [False, True])
    )


def intercept(estimator: "LogisticRegression") -> float:
    """The log-odds of spam of a play about which everything is usual."""
    return float(estimator.intercept_[0])


def evidence(estimator: "LogisticRegression", matrix: Matrix, names: tuple[str, ...]) -> Matrix:
    """What each of the standardised signals `names` of each row adds to the log-odds of spam, against its usual value."""
    columns = [NAMES.index(name) for name in names]
    added: Matrix = matrix * estimator.coef_[0][columns]
    return added


def _has_numbers(estimator: Any, attribute: str, shape: tuple[int, ...]) -> bool:
    found = getattr(estimator, attribute, None)
    if not isinstance(found, np.ndarray) or found.dtype != np.float64:
        return False
    return found.shape == shape and bool(np.isfinite(found).all())
