"""Fitting the spam model to examples. Replace this file for another model: `docs/data-scientists.md` has one of trees.

This one is a logistic regression: it has one optimum, so rounded coefficients are the same on every machine. What a fitted model
is used for is in `estimators`; the choice of examples and the measurements are in `training` and stay. scikit-learn is imported
where it is used, because that takes seconds and most commands of the pipeline train nothing.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from spam_pipeline.trust_and_safety.estimators import Additive, Estimator
from spam_pipeline.trust_and_safety.signals.catalogue import Matrix

REGULARISATION: Final = 0.1
"""scikit-learn's `C`. Strong, because attacks change: evidence is spread over all signals that agree, not put on one. A
weaker one did better on the held-out campaigns of one home; it stays strong for attacks that nobody foresaw."""

TRUSTED_TYPES: Final[tuple[str, ...]] = ()
"""Types that the file of a model may name beyond those that skops knows to be harmless (plain values, arrays, most estimators)."""

_DIGITS: Final = 6


def fitted(matrix: Matrix, is_spam: npt.NDArray[np.bool_], weight: Matrix) -> Estimator:
    """Fit an estimator to weighted examples; columns of `matrix` are `SIGNALS`."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    classifier = LogisticRegression(C=REGULARISATION, solver="newton-cholesky", tol=1e-8)
    classifier.fit(matrix, is_spam, sample_weight=weight)
    coefficients = classifier.coef_[0].round(_DIGITS)
    return Additive(float(classifier.intercept_[0].round(_DIGITS)), tuple(coefficients.tolist()))
