import numpy as np
import polars as pl
import pytest

from spam_pipeline.protocol.limit import breaches
from spam_pipeline.trust_and_safety.contracts import LabelledExamples
from spam_pipeline.trust_and_safety.model import spam_probability
from spam_pipeline.trust_and_safety.model_file import BRIER_OF_KNOWING_NOTHING, SPAM_MODEL
from spam_pipeline.trust_and_safety.model_signals import NAMES, matrix_of_examples
from spam_pipeline.trust_and_safety.training import (
    MIN_DAYS_TO_HOLD_OUT,
    MIN_EXAMPLES,
    SPAM_PRIOR,
    WEAK_WEIGHT,
    train,
    weights,
)
from spam_pipeline_tests.trust_and_safety.play_generator import farm_examples

EXAMPLES = farm_examples(MIN_DAYS_TO_HOLD_OUT)


def with_a_campaign_per_day(examples: pl.LazyFrame) -> pl.LazyFrame:
    return examples.with_columns(incident_id=pl.col("incident_id") + pl.col("event_day").cast(pl.String))


def test_nothing_labelled_gives_the_heuristic_which_says_so() -> None:
    model = train(LabelledExamples.empty())
    assert model.estimator is None
    assert model.quality == {"is_heuristic": 1.0, "examples": 0.0, "spam_examples": 0.0, "incidents": 0.0}


@pytest.mark.parametrize("scarce_kind", [pl.col("is_spam"), ~pl.col("is_spam")], ids=["spam", "legitimate plays"])
def test_too_few_examples_of_either_kind_give_the_heuristic(scarce_kind: pl.Expr) -> None:
    frame = farm_examples(1).collect()
    scarce, plenty = frame.filter(scarce_kind), frame.filter(~scarce_kind)
    assert train(pl.concat([scarce.head(MIN_EXAMPLES - 1), plenty]).lazy()).estimator is None
    assert train(pl.concat([scarce.head(MIN_EXAMPLES), plenty]).lazy()).estimator is not None


def test_the_model_is_the_same_whatever_the_order_of_its_examples() -> None:
    models = [train(EXAMPLES), train(EXAMPLES.collect().sample(fraction=1, shuffle=True, seed=3).lazy())]
    coefficients = [model.estimator.coef_ for model in models if model.estimator is not None]
    assert np.array_equal(*coefficients)
    assert models[0].quality == models[1].quality


def test_a_trained_model_tells_the_attack_it_saw_from_the_plays_around_it() -> None:
    frame = EXAMPLES.collect()
    probability = spam_probability(train(EXAMPLES), matrix_of_examples(frame))
    is_spam = frame.get_column("is_spam").to_numpy()
    assert probability[is_spam].min() > 0.8
    assert np.quantile(probability[~is_spam], 0.99) < 0.2


def test_all_spam_together_weighs_the_prior_and_weak_examples_weigh_less_than_cleared_ones() -> None:
    frame = pl.DataFrame({"is_spam": [True, True, False, False], "is_weak": [False, False, False, True]})
    found = weights(frame)
    assert found.sum() == pytest.approx(4)
    assert found[:2].sum() == pytest.approx(4 * SPAM_PRIOR)
    assert found[3] == pytest.approx(WEAK_WEIGHT * found[2])


def test_quality_is_measured_on_days_and_campaigns_that_the_model_has_not_seen() -> None:
    quality = train(with_a_campaign_per_day(EXAMPLES)).quality
    last = EXAMPLES.collect().filter(pl.col("event_day") == pl.col("event_day").max())
    assert quality["held_out_examples"] == last.height
    assert quality["held_out_recall"] > 0.9
    assert quality["held_out_precision"] > 0.9
    assert breaches(SPAM_MODEL.limits, quality) == []
    assert quality["held_out_brier"] < BRIER_OF_KNOWING_NOTHING


def test_one_campaign_over_all_days_proves_nothing_and_no_quality_is_claimed() -> None:
    assert "held_out_recall" not in train(EXAMPLES).quality


def test_with_few_labelled_days_all_are_needed_for_learning() -> None:
    assert "held_out_recall" not in train(with_a_campaign_per_day(farm_examples(MIN_DAYS_TO_HOLD_OUT - 1))).quality


def test_a_signal_that_no_example_has_teaches_nothing() -> None:
    without_past = farm_examples(1)
    assert without_past.select(pl.col("track_spike").count()).collect().item() == 0
    model = train(without_past)
    assert model.estimator is not None
    assert model.estimator.coef_[0, NAMES.index("track_spike")] == 0
