from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (  # type: ignore[import-untyped]  # no types shipped
    average_precision_score,
    precision_score,
    recall_score,
)

from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.quality import BINS, DIGITS, Labels, at_prevalence, figures, reliability
from spam_pipeline.trust_and_safety.signals.catalogue import Matrix

EXACT = 1.5 * 10.0**-DIGITS
"""As exact as rounding leaves figures that are the same but for the order of a sum."""

TOLERANCES = {"called": REPORTING_TOLERANCE, "withheld": ROYALTY_TOLERANCE}


class AuditBasis(NamedTuple):
    """Examples with their label, a probability in whole percent, and a weight."""

    is_spam: Labels
    probability: Matrix
    weight: Matrix


@st.composite
def audited(draw: st.DrawFn) -> AuditBasis:
    rows = draw(
        st.lists(st.tuples(st.booleans(), st.integers(0, 100), st.integers(1, 9)), min_size=1, max_size=60),
        label="label, percent and weight of each example",
    )
    is_spam, percent, weight = zip(*rows, strict=True)
    return AuditBasis(np.array(is_spam), np.array(percent) / 100, np.array(weight, dtype=np.float64))


@st.composite
def judged_of_both_kinds(draw: st.DrawFn) -> AuditBasis:
    found = draw(audited())
    return AuditBasis(
        np.append(found.is_spam, [True, False]),
        np.append(found.probability, [0.9, 0.1]),
        np.append(found.weight, [1.0, 2.0]),
    )


@given(judged_of_both_kinds())
def test_the_figures_are_those_of_scikit_learn(examples: AuditBasis) -> None:
    is_spam, probability, weight = examples
    found = figures(*examples)
    assert found["pr_auc"] == pytest.approx(
        average_precision_score(is_spam, probability, sample_weight=weight), abs=EXACT
    )
    for name, tolerance in TOLERANCES.items():
        is_found = probability >= tolerance
        recall = recall_score(is_spam, is_found, sample_weight=weight)
        false_positives = recall_score(~is_spam, is_found, sample_weight=weight, pos_label=True)
        assert found[f"{name}_spam_share"] == pytest.approx(recall, abs=EXACT)
        assert found[f"{name}_legitimate_share"] == pytest.approx(false_positives, abs=EXACT)
        assert found[f"{name}_precision"] == pytest.approx(
            precision_score(is_spam, is_found, sample_weight=weight), abs=EXACT
        )


@given(audited())
def test_error_and_calibration_are_what_adding_up_one_by_one_gives(examples: AuditBasis) -> None:
    rows = list(zip(*(column.tolist() for column in examples), strict=True))
    whole = sum(weight for *_, weight in rows)
    bins: dict[int, list[tuple[bool, float, float]]] = {}
    for row in rows:
        bins.setdefault(min(int(row[1] * BINS), BINS - 1), []).append(row)
    expected_error = sum(
        abs(sum(weight * (probability - is_spam) for is_spam, probability, weight in of_bin))
        for of_bin in bins.values()
    )
    found = figures(*examples)
    squares = sum(weight * (probability - is_spam) ** 2 for is_spam, probability, weight in rows)
    assert found["brier"] == pytest.approx(squares / whole, abs=EXACT)
    assert found["calibration_error"] == pytest.approx(expected_error / whole, abs=EXACT)


@given(audited())
def test_a_reliability_curve_accounts_for_every_example_and_for_all_spam(examples: AuditBasis) -> None:
    curve = reliability(*examples)
    assert sum(share for share, *_ in curve) == pytest.approx(1)
    spam = (examples.weight * examples.is_spam).sum() / examples.weight.sum()
    assert sum(share * rate for share, _, rate in curve) == pytest.approx(spam)
    assert all(0 < share <= 1 and 0 <= mean <= 1 and 0 <= rate <= 1 + EXACT for share, mean, rate in curve)


def test_probability_one_falls_into_the_last_bin_and_a_bin_begins_with_its_lower_end() -> None:
    curve = reliability(np.array([True, True, False]), np.array([1.0, 0.9, 0.89]), np.ones(3))
    assert [share for share, *_ in curve] == pytest.approx([1 / 3, 2 / 3])


@given(audited())
def test_an_example_of_weight_three_counts_like_three_examples(examples: AuditBasis) -> None:
    times = examples.weight.astype(np.int64)
    repeated = AuditBasis(
        np.repeat(examples.is_spam, times), np.repeat(examples.probability, times), np.ones(int(times.sum()))
    )
    assert figures(*repeated) == pytest.approx(figures(*examples), abs=EXACT)


@given(audited(), st.integers(0, 1_000))
def test_the_order_of_the_examples_does_not_matter(examples: AuditBasis, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(examples.weight))
    shuffled = AuditBasis(*(column[order] for column in examples))
    assert figures(*shuffled) == pytest.approx(figures(*examples), abs=EXACT)


def test_a_probability_at_a_tolerance_is_called_or_withheld() -> None:
    is_spam, probability = np.array([True, True, False]), np.array([0.8, 0.2, 0.19])
    found = figures(is_spam, probability, np.ones(3))
    assert (found["called_spam_share"], found["withheld_spam_share"], found["withheld_legitimate_share"]) == (0.5, 1, 0)


def test_who_is_always_right_and_sure_has_perfect_figures() -> None:
    is_spam = np.array([True, False, True, False, False])
    assert figures(is_spam, is_spam.astype(np.float64), np.ones(5)) == {
        "brier": 0,
        "calibration_error": 0,
        "called_spam_share": 1,
        "called_legitimate_share": 0,
        "called_precision": 1,
        "withheld_spam_share": 1,
        "withheld_legitimate_share": 0,
        "withheld_precision": 1,
        "pr_auc": 1,
    }


def test_a_figure_that_has_nothing_to_stand_on_is_left_out() -> None:
    only_legitimate = figures(np.array([False, False]), np.array([0.1, 0.9]), np.ones(2))
    assert only_legitimate.keys() == {
        "brier",
        "calibration_error",
        "called_legitimate_share",
        "withheld_legitimate_share",
    }
    nothing_called = figures(np.array([False, True]), np.array([0.1, 0.3]), np.ones(2))
    assert "called_precision" not in nothing_called
    assert nothing_called["withheld_precision"] == 1


@given(judged_of_both_kinds(), st.sampled_from([0.005, 0.03, 0.5]))
def test_at_a_prevalence_spam_weighs_so_much_and_proportions_within_a_label_stay(
    examples: AuditBasis, prevalence: float
) -> None:
    is_spam, _, raw = examples
    weight = at_prevalence(is_spam, raw, prevalence)
    assert weight.sum() == pytest.approx(len(raw))
    assert weight[is_spam].sum() / weight.sum() == pytest.approx(prevalence)
    for label in (is_spam, ~is_spam):
        assert weight[label] / weight[label].sum() == pytest.approx(raw[label] / raw[label].sum())


@given(judged_of_both_kinds(), st.sampled_from([0.005, 0.03, 0.5]))
def test_recall_and_false_positives_do_not_depend_on_the_prevalence(examples: AuditBasis, prevalence: float) -> None:
    is_spam, probability, raw = examples
    figures_at = figures(is_spam, probability, at_prevalence(is_spam, raw, prevalence))
    as_they_are = figures(*examples)
    for name in ("called_spam_share", "called_legitimate_share", "withheld_spam_share", "withheld_legitimate_share"):
        assert figures_at[name] == pytest.approx(as_they_are[name], abs=EXACT)
