"""Learning a spam model from labelled examples, and measuring it on days and campaigns it has not seen.

The estimator is a logistic regression: additive, so that a verdict can be explained; calibrated at a stated prior; and with
one optimum, so that rounding its coefficients makes them the same on every machine. scikit-learn is imported where it is
used, because that takes seconds and most commands of the pipeline train nothing.
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.model import SpamModel, spam_probability
from spam_pipeline.trust_and_safety.model_signals import Matrix, matrix_of_examples

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # scikit-learn ships no types

MIN_EXAMPLES = 30
"""With fewer examples of spam, or of legitimate plays, nothing is learned and the heuristic stands."""

SPAM_PRIOR = 0.03
"""The share of plays taken to be spam before any evidence: platforms report 0.5 to 8 %. Examples are weighted to it."""

WEAK_WEIGHT = 0.25
"""What an unlabelled example counts against one that experts cleared."""

MIN_DAYS_TO_HOLD_OUT = 4
"""With fewer labelled days all of them are needed for learning, and no quality is claimed."""

_DIGITS = 6


def train(examples: pl.LazyFrame) -> SpamModel:
    """The model that `examples` (as `LabelledExamples`) support, whatever their order.

    Its quality counts `examples`, `spam_examples` and `incidents`; `is_heuristic` is 1 when too little is labelled. With
    enough labelled days, `held_out_*` is measured by a model that has seen neither the last days nor their campaigns.
    """
    known = examples.collect()
    known = known.sort(known.columns)
    quality = {
        "examples": float(known.height),
        "spam_examples": float(known.get_column("is_spam").sum()),
        "incidents": float(known.get_column("incident_id").drop_nulls().n_unique()),
    }
    if not _is_enough(known):
        return SpamModel(None, {"is_heuristic": 1.0, **quality})
    return SpamModel(_fitted(known), {"is_heuristic": 0.0, **quality, **_held_out_quality(known)})


def _is_enough(examples: pl.DataFrame) -> bool:
    spam = int(examples.get_column("is_spam").sum())
    return min(spam, examples.height - spam) >= MIN_EXAMPLES


def _fitted(examples: pl.DataFrame) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see the module's docstring

    labels = examples.get_column("is_spam").to_numpy()
    estimator = LogisticRegression(solver="newton-cholesky", tol=1e-8)
    estimator.fit(matrix_of_examples(examples), labels, sample_weight=weights(examples))
    estimator.coef_ = np.ascontiguousarray(estimator.coef_.round(_DIGITS))
    estimator.intercept_ = estimator.intercept_.round(_DIGITS)
    return estimator


def weights(examples: pl.DataFrame) -> Matrix:
    """The weight of each example: all spam together weighs `SPAM_PRIOR` of the number of examples, all else the rest."""
    is_spam = examples.get_column("is_spam").to_numpy()
    raw = np.where(examples.get_column("is_weak").to_numpy(), WEAK_WEIGHT, 1.0)
    share = np.where(is_spam, SPAM_PRIOR, 1 - SPAM_PRIOR)
    total = np.where(is_spam, raw[is_spam].sum(), raw[~is_spam].sum())
    weighted: Matrix = raw * share * examples.height / total
    return weighted


def _held_out_quality(examples: pl.DataFrame) -> dict[str, float]:
    days = examples.get_column("event_day").unique().sort().to_list()
    if len(days) < MIN_DAYS_TO_HOLD_OUT:
        return {}
    first_held_out = days[-(len(days) // MIN_DAYS_TO_HOLD_OUT)]
    earlier = examples.filter(pl.col("event_day") < first_held_out)
    later = examples.filter(pl.col("event_day") >= first_held_out)
    seen = earlier.get_column("incident_id").drop_nulls().unique().implode()
    unseen = later.filter(~pl.col("incident_id").is_in(seen).fill_null(value=False))
    if not _is_enough(earlier) or unseen.get_column("is_spam").n_unique() != 2:  # noqa: PLR2004 - spam and legitimate
        return {}
    return _measured(SpamModel(_fitted(earlier)), unseen)


def _measured(model: SpamModel, examples: pl.DataFrame) -> dict[str, float]:
    """Quality at the consumers' tolerances, weighted to the prior. Precision is left out when nothing is called spam."""
    is_spam = examples.get_column("is_spam").to_numpy()
    weight = weights(examples)
    probability = spam_probability(model, matrix_of_examples(examples))
    called_spam, withheld = probability >= REPORTING_TOLERANCE, probability >= ROYALTY_TOLERANCE
    spam = weight[is_spam].sum()
    quality = {
        "held_out_examples": float(examples.height),
        "held_out_recall": weight[is_spam & called_spam].sum() / spam,
        "held_out_withheld_spam_share": weight[is_spam & withheld].sum() / spam,
        "held_out_withheld_legitimate_share": weight[~is_spam & withheld].sum() / weight[~is_spam].sum(),
        "held_out_brier": (weight * (probability - is_spam) ** 2).sum() / weight.sum(),
    }
    if called_spam.any():
        quality["held_out_precision"] = weight[is_spam & called_spam].sum() / weight[called_spam].sum()
    return {name: round(float(value), _DIGITS) for name, value in quality.items()}
