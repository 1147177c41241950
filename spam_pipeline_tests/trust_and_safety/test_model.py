from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit  # type: ignore[import-untyped]  # no types shipped
from sklearn.linear_model import LogisticRegression, SGDClassifier  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import LabelledExamples, PlaySignals
from spam_pipeline.trust_and_safety.model import SpamModel, evidence, fitted, intercept, is_spam_model
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS

RANDOM = np.random.default_rng(5)
IS_SPAM = RANDOM.random(400) < 0.4
MATRIX = RANDOM.normal(0, 1, (400, len(NAMES))) + np.outer(IS_SPAM, np.arange(len(NAMES)) == 7) * 3.0
WEIGHT = np.ones(400)


@pytest.fixture(scope="module")
def estimator() -> Any:
    return fitted(MATRIX, IS_SPAM, WEIGHT)


def test_what_signals_add_is_exactly_what_scikit_learn_predicts(estimator: Any) -> None:
    log_odds = intercept(estimator) + evidence(estimator, MATRIX, NAMES).sum(axis=1)
    assert expit(log_odds) == pytest.approx(estimator.predict_proba(MATRIX)[:, 1], abs=1e-12)


def test_a_play_about_which_everything_is_usual_has_the_intercept_alone(estimator: Any) -> None:
    usual = np.zeros((1, len(NAMES)))
    assert not evidence(estimator, usual, NAMES).any()
    assert intercept(estimator) == pytest.approx(estimator.decision_function(usual)[0])


def test_the_evidence_of_some_signals_is_theirs_in_the_evidence_of_all(estimator: Any) -> None:
    some = (NAMES[20], NAMES[3], NAMES[7])
    columns = [20, 3, 7]
    found = evidence(estimator, MATRIX[:, columns], some)
    assert np.array_equal(found, evidence(estimator, MATRIX, NAMES)[:, columns])


def test_what_tells_spam_apart_speaks_most(estimator: Any) -> None:
    assert np.abs(evidence(estimator, np.ones((1, len(NAMES))), NAMES)[0]).argmax() == 7


def test_an_example_of_weight_two_counts_like_two(estimator: Any) -> None:
    twice = fitted(np.vstack([MATRIX, MATRIX]), np.tile(IS_SPAM, 2), np.ones(800))
    weighted = fitted(MATRIX, IS_SPAM, 2 * WEIGHT)
    assert weighted.coef_ == pytest.approx(twice.coef_, abs=2e-6)
    assert weighted.coef_ != pytest.approx(estimator.coef_, abs=2e-6)


def test_the_order_of_the_examples_does_not_matter_to_the_last_bit(estimator: Any) -> None:
    order = np.random.default_rng(1).permutation(len(MATRIX))
    other = fitted(MATRIX[order], IS_SPAM[order], WEIGHT[order])
    assert np.array_equal(other.coef_, estimator.coef_)
    assert np.array_equal(other.intercept_, estimator.intercept_)


def test_what_is_fitted_is_a_spam_model(estimator: Any) -> None:
    assert is_spam_model(estimator)


def changed(estimator: Any, **attributes: Any) -> Any:
    copy = deepcopy(estimator)
    for name, value in attributes.items():
        setattr(copy, name, value)
    return copy


def without_classes(estimator: Any) -> Any:
    copy = deepcopy(estimator)
    del copy.classes_
    return copy


def coefficients(value: float, count: int = len(NAMES)) -> npt.NDArray[np.float64]:
    return np.full((1, count), value)


def test_what_cannot_score_the_signals_is_no_spam_model(estimator: Any) -> None:
    other_columns: Matrix = MATRIX[:, :3]
    for wrong in (
        None,
        SGDClassifier(),
        LogisticRegression(),
        LogisticRegression().fit(other_columns, IS_SPAM),
        LogisticRegression().fit(MATRIX, np.where(IS_SPAM, "spam", "legitimate")),
        changed(estimator, coef_=coefficients(np.nan)),
        changed(estimator, coef_=coefficients(np.inf)),
        changed(estimator, coef_=coefficients(0.0, len(NAMES) + 1)),
        changed(estimator, coef_=coefficients(0.0).astype(np.float32)),
        changed(estimator, coef_=coefficients(0.0).tolist()),
        changed(estimator, intercept_=np.array([np.nan])),
        changed(estimator, intercept_=0.0),
        changed(estimator, classes_=np.array([True, False])),
        without_classes(estimator),
    ):
        assert not is_spam_model(wrong), wrong


def test_a_model_without_an_estimator_is_the_policy() -> None:
    assert SpamModel().estimator is None


def test_signals_stand_in_the_order_of_their_kinds_and_are_columns_of_their_contracts() -> None:
    kinds = [signal.kind for signal in SIGNALS]
    assert kinds == sorted(kinds, key=list(KEY_COLUMNS).index)
    assert {signal.column for signal in SIGNALS} <= column_types(PlaySignals).keys()
    assert [name for name in column_types(LabelledExamples) if name in NAMES] == list(NAMES)
