import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.trust_and_safety.estimators import Additive, log_odds
from spam_pipeline.trust_and_safety.model import REGULARISATION, fitted
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES

RANDOM = np.random.default_rng(5)
IS_SPAM = RANDOM.random(400) < 0.4
MATRIX = RANDOM.normal(0, 1, (400, len(NAMES))) + np.outer(IS_SPAM, np.arange(len(NAMES)) == 7) * 3.0
WEIGHT = np.ones(400)


def additive(*arguments: np.ndarray) -> Additive:
    found = fitted(*arguments)
    assert isinstance(found, Additive)
    return found


@pytest.fixture(scope="module")
def estimator() -> Additive:
    return additive(MATRIX, IS_SPAM, WEIGHT)


def test_the_log_odds_are_those_of_scikit_learn(estimator: Additive) -> None:
    learned = LogisticRegression(C=REGULARISATION, tol=1e-10, max_iter=10_000).fit(MATRIX, IS_SPAM, WEIGHT)
    assert log_odds(estimator, MATRIX) == pytest.approx(learned.decision_function(MATRIX), abs=1e-3)


def test_what_tells_spam_apart_speaks_most(estimator: Additive) -> None:
    assert np.abs(estimator.coefficients).argmax() == 7


def test_an_example_of_weight_two_counts_like_two(estimator: Additive) -> None:
    twice = additive(np.vstack([MATRIX, MATRIX]), np.tile(IS_SPAM, 2), np.ones(800))
    weighted = additive(MATRIX, IS_SPAM, 2 * WEIGHT)
    assert weighted.coefficients == pytest.approx(twice.coefficients, abs=2e-6)
    assert weighted.coefficients != pytest.approx(estimator.coefficients, abs=2e-6)


def test_the_order_of_the_examples_does_not_matter_to_the_last_bit(estimator: Additive) -> None:
    order = np.random.default_rng(1).permutation(len(MATRIX))
    assert additive(MATRIX[order], IS_SPAM[order], WEIGHT[order]) == estimator
