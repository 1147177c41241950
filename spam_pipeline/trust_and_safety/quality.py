"""Quality of probabilities against labels: the figures by which model versions are compared.

Each example has a weight, so that the same examples can represent any prevalence of spam. Data are held out in `training`,
and slices chosen in `evaluation`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.signals.catalogue import Matrix

DIGITS: Final = 6
BINS: Final = 10
"""The number of equally wide bins of a reliability curve."""

Labels = npt.NDArray[np.bool_]


def at_prevalence(is_spam: Labels, raw: Matrix, prevalence: float) -> Matrix:
    """Reweight examples so that `prevalence` of the weight is spam; weights sum to the number of examples.

    >>> is_spam, raw = np.array([True, False, False, False]), np.ones(4)
    >>> at_prevalence(is_spam, raw, prevalence=0.03).round(4).tolist()
    [0.12, 1.2933, 1.2933, 1.2933]
    """
    total = np.where(is_spam, raw[is_spam].sum(), raw[~is_spam].sum())
    weight: Matrix = raw * np.where(is_spam, prevalence, 1 - prevalence) * len(raw) / total
    return weight


def figures(is_spam: Labels, probability: Matrix, weight: Matrix) -> dict[str, float]:
    """Measure probabilities, also at the consumers' tolerances; a figure without data behind it is left out.

    `called_*` is at the reporting tolerance, `withheld_*` at the royalty tolerance; `*_spam_share` is recall, `*_legitimate_share` the
    false positive rate. `brier` is the mean squared error (Brier 1950), `calibration_error` the expected one over `BINS`
    bins (Naeini et al. 2015), `pr_auc` the average precision.
    """
    from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]  # noqa: PLC0415 - takes seconds

    found = {"brier": float((weight * (probability - is_spam) ** 2).sum() / weight.sum())}
    found["calibration_error"] = float(
        sum(share * abs(mean - rate) for share, mean, rate in reliability(is_spam, probability, weight))
    )
    for name, tolerance in (("called", REPORTING_TOLERANCE), ("withheld", ROYALTY_TOLERANCE)):
        found |= _at_tolerance(name, is_spam, probability >= tolerance, weight)
    if is_spam.any() and not is_spam.all():
        found["pr_auc"] = float(average_precision_score(is_spam, probability, sample_weight=weight))
    return {name: round(value, DIGITS) for name, value in found.items()}


def _at_tolerance(name: str, is_spam: Labels, is_found: Labels, weight: Matrix) -> dict[str, float]:
    shares = (("spam", is_spam), ("legitimate", ~is_spam))
    found = {
        f"{name}_{label}_share": float(weight[of & is_found].sum() / weight[of].sum())
        for label, of in shares
        if of.any()
    }
    if is_found.any() and is_spam.any():
        found[f"{name}_precision"] = float(weight[is_spam & is_found].sum() / weight[is_found].sum())
    return found


def reliability(is_spam: Labels, probability: Matrix, weight: Matrix) -> list[tuple[float, float, float]]:
    """Return the share of the weight, mean probability and share of spam of each bin that is not empty."""
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    sums = [np.bincount(bins, of, BINS) for of in (weight, weight * probability, weight * is_spam)]
    return [
        (float(total / weight.sum()), float(expected / total), float(spam / total))
        for total, expected, spam in zip(*sums, strict=True)
        if total > 0
    ]
