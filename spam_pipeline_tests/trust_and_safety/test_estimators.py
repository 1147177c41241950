from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]  # no types shipped
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import LabelledExamples, PlaySignals
from spam_pipeline.trust_and_safety.estimators import SUREST, Additive, SpamModel, evidence, log_odds, terms
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS

RANDOM = np.random.default_rng(5)
IS_SPAM = RANDOM.random(600) < 0.4
SIGNS = np.isin(np.arange(len(NAMES)), [7, 11])
MATRIX: Matrix = RANDOM.normal(0, 1, (600, len(NAMES))) + np.outer(IS_SPAM, SIGNS) * 2.0
ADDITIVE = Additive(-2.0, tuple(RANDOM.normal(0, 1, len(NAMES)).tolist()))


@pytest.fixture(scope="module")
def trees() -> Any:
    return HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(MATRIX, IS_SPAM)


def test_an_additive_model_is_its_intercept_and_its_evidence() -> None:
    assert log_odds(ADDITIVE, MATRIX) == pytest.approx(-2.0 + evidence(ADDITIVE, MATRIX).sum(axis=1))


def test_the_terms_of_some_signals_are_theirs_in_the_evidence_of_all() -> None:
    some, columns = (NAMES[20], NAMES[3], NAMES[7]), [20, 3, 7]
    assert np.array_equal(terms(ADDITIVE, MATRIX[:, columns], some), evidence(ADDITIVE, MATRIX)[:, columns])


def test_a_classifier_that_is_additive_has_the_evidence_of_its_terms() -> None:
    learned = LogisticRegression(C=0.01).fit(MATRIX, IS_SPAM)
    same = Additive(float(learned.intercept_[0]), tuple(learned.coef_[0].tolist()))
    assert log_odds(learned, MATRIX) == pytest.approx(log_odds(same, MATRIX))
    assert evidence(learned, MATRIX) == pytest.approx(evidence(same, MATRIX))


def test_trees_name_both_of_two_signs_that_agree(trees: Any) -> None:
    spam = MATRIX[(MATRIX[:, [7, 11]] > 1).all(axis=1)]
    added = evidence(trees, spam)
    strongest = np.sort(np.argsort(-added, axis=1)[:, :2], axis=1)
    assert (strongest == [7, 11]).all(axis=1).mean() > 0.9


def test_what_is_usual_is_no_evidence(trees: Any) -> None:
    some = MATRIX[:50].copy()
    some[:, ::2] = 0
    for estimator in (trees, ADDITIVE):
        assert not evidence(estimator, some)[:, ::2].any()
        assert not evidence(estimator, np.zeros((3, len(NAMES)))).any()


def test_a_classifier_that_is_sure_has_finite_log_odds() -> None:
    sure = LogisticRegression(C=1e9, max_iter=1000).fit(1e3 * MATRIX, IS_SPAM)
    assert np.abs(log_odds(sure, 1e6 * MATRIX)).max() == pytest.approx(np.log((1 - SUREST) / SUREST))


def test_no_rows_have_no_log_odds_and_no_evidence(trees: Any) -> None:
    for estimator in (trees, ADDITIVE):
        assert log_odds(estimator, MATRIX[:0]).shape == (0,)
        assert evidence(estimator, MATRIX[:0]).shape == (0, len(NAMES))


def test_a_model_without_an_estimator_is_the_policy() -> None:
    assert SpamModel().estimator is None


def test_signals_stand_in_the_order_of_their_kinds_and_are_columns_of_their_contracts() -> None:
    kinds = [signal.kind for signal in SIGNALS]
    assert kinds == sorted(kinds, key=list(KEY_COLUMNS).index)
    assert {signal.column for signal in SIGNALS} <= column_types(PlaySignals).keys()
    assert [name for name in column_types(LabelledExamples) if name in NAMES] == list(NAMES)
