from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol import Finding, HistoricFingerprint
from spam_pipeline.protocol.operating import breaches
from spam_pipeline.trust_and_safety.champion import findings_against_champion
from spam_pipeline.trust_and_safety.contracts import ROYALTY_TOLERANCE, LabelledExamples
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.model_file import BRIER_OF_KNOWING_NOTHING, SPAM_MODEL
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, Matrix
from spam_pipeline.trust_and_safety.training import (
    MIN_DAYS_TO_HOLD_OUT,
    MIN_EXAMPLES,
    MOST_CAMPAIGNS,
    PROBES,
    SPAM_PRIOR,
    WEAK_WEIGHT,
    held_out_by_campaign,
    held_out_by_time,
    learned,
    probability_of,
    raw_weights,
)
from spam_pipeline_tests.trust_and_safety.made_up_examples import campaign, ordinary, trained_on, undeclared

CUT_OFF = {"device_cut_off_share": 4.0, "track_cut_off_share": 3.0}
LOOP = {"device_top_track_share": 4.0, "device_hours": 4.0}
KEYS = ["event_day", "actor_key", "device_key", "track_key"]
DAYS = 8
ORDINARY = [ordinary(day, size=100) for day in range(DAYS)]
EXAMPLES = pl.concat([*ORDINARY, *(campaign(f"farm {day}", CUT_OFF, on_day=day) for day in range(DAYS))])
PAIRED_SIGNALS = NAMES[6:14]
PAIRS = [(f"first {number}", f"second {number}") for number in range(len(PAIRED_SIGNALS))]


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return trained_on(EXAMPLES.lazy())


def spam_probability(model: SpamModel, examples: pl.DataFrame) -> Matrix:
    assert model.estimator is not None
    return probability_of(model.estimator, examples)


def numbers_of(examples: pl.DataFrame) -> dict[str, float]:
    numbers: dict[str, float] = trained_on(examples.lazy()).quality["numbers"]
    return numbers


def mean_probability(held_out: pl.DataFrame, incident_id: str) -> float:
    found = held_out.filter(pl.col("incident_id") == incident_id).get_column("spam_probability").mean()
    assert isinstance(found, float)
    return found


# Learning


def test_nothing_labelled_gives_the_policy_which_says_so() -> None:
    model = trained_on(LabelledExamples.empty())
    assert model.estimator is None
    assert model.quality == {
        "numbers": {"is_policy": 1.0, "examples": 0.0, "spam_examples": 0.0, "incidents": 0.0},
        "campaigns": [],
        "probes": [],
    }


@pytest.mark.parametrize("scarce_kind", [pl.col("is_spam"), ~pl.col("is_spam")], ids=["spam", "legitimate plays"])
def test_too_few_examples_of_either_kind_give_the_policy(scarce_kind: pl.Expr) -> None:
    scarce, plenty = EXAMPLES.filter(scarce_kind), EXAMPLES.filter(~scarce_kind)
    assert trained_on(pl.concat([scarce.head(MIN_EXAMPLES - 1), plenty]).lazy()).estimator is None
    assert trained_on(pl.concat([scarce.head(MIN_EXAMPLES), plenty]).lazy()).estimator is not None


def test_suspicion_of_the_policy_alone_is_not_enough_to_learn_from() -> None:
    assert trained_on(pl.concat([*ORDINARY, undeclared(CUT_OFF, size=500, is_spam=True)]).lazy()).estimator is None


def test_the_model_is_the_same_whatever_the_order_of_its_examples(trained: SpamModel) -> None:
    models = [trained, trained_on(EXAMPLES.sample(fraction=1, shuffle=True, seed=3).lazy())]
    assert models[0].estimator == models[1].estimator
    assert models[0].quality == models[1].quality


def test_a_trained_model_tells_the_attack_it_saw_from_the_plays_around_it(trained: SpamModel) -> None:
    probability, is_spam = spam_probability(trained, EXAMPLES), EXAMPLES["is_spam"].to_numpy()
    assert np.median(probability[is_spam]) > 0.8
    assert probability[is_spam].min() > ROYALTY_TOLERANCE > probability[~is_spam].max()


def test_an_example_of_the_policy_counts_less_than_one_of_the_experts() -> None:
    found = raw_weights(pl.DataFrame({"is_weak": [False, True]}))
    assert found.tolist() == [1, WEAK_WEIGHT]


def test_probabilities_are_those_of_a_world_with_the_prior_share_of_spam() -> None:
    indistinguishable = pl.concat([ordinary(0), campaign("strange", {}, size=200)])
    assert probability_of(learned(indistinguishable), indistinguishable).mean() == pytest.approx(SPAM_PRIOR, abs=0.02)


def test_a_signal_that_no_example_has_teaches_nothing() -> None:
    model = trained_on(EXAMPLES.with_columns(track_spike=pl.lit(None, pl.Float64)).lazy())
    assert model.estimator is not None
    assert model.estimator.coefficients[NAMES.index("track_spike")] == 0


@settings(max_examples=25)
@given(
    spam=st.dictionaries(st.sampled_from(NAMES), st.floats(-6, 6), max_size=4),
    legitimate=st.dictionaries(st.sampled_from(NAMES), st.floats(-6, 6), max_size=4),
    weak_spam=st.integers(0, 40),
    is_weak=st.booleans(),
)
def test_whatever_is_labelled_learning_ends_with_sound_numbers(
    spam: dict[str, float], legitimate: dict[str, float], weak_spam: int, *, is_weak: bool
) -> None:
    examples = pl.concat(
        [
            campaign("spam", spam),
            campaign(None if is_weak else "cleared", legitimate, is_spam=False, is_weak=is_weak),
            undeclared(legitimate, size=weak_spam, is_spam=True),
        ]
    )
    probability = probability_of(learned(examples), examples)
    assert ((probability > 0) & (probability < 1)).all()


# What nobody declared


def test_doubtful_examples_of_the_policy_teach_nothing() -> None:
    hidden = undeclared(CUT_OFF, on_day=2, size=10)
    first, second = learned(pl.concat([EXAMPLES, hidden])), learned(EXAMPLES)
    assert first == second


def test_what_experts_cleared_teaches_however_doubtful_it_is() -> None:
    cleared = campaign("cleared", CUT_OFF, on_day=2, size=10, is_spam=False)
    assert learned(pl.concat([EXAMPLES, cleared])) != learned(EXAMPLES)


def test_an_attack_that_nobody_labelled_does_not_become_legitimate() -> None:
    unlabelled = {**CUT_OFF, "network_new_account_share": 1.5}
    hidden = pl.concat([undeclared(unlabelled, on_day=day, size=4) for day in range(DAYS)])
    probability = probability_of(learned(pl.concat([EXAMPLES, hidden])), hidden)
    assert (probability > ROYALTY_TOLERANCE).mean() > 0.9


def test_what_the_policy_suspects_is_learned_from_but_less_than_what_experts_confirmed() -> None:
    by_policy = pl.concat([EXAMPLES, *(undeclared(LOOP, on_day=day, is_spam=True) for day in range(DAYS))])
    by_experts = pl.concat([EXAMPLES, *(campaign("loop", LOOP, on_day=day) for day in range(DAYS))])
    unseen = undeclared(LOOP, on_day=DAYS)
    probabilities = [probability_of(learned(known), unseen).mean() for known in (EXAMPLES, by_policy, by_experts)]
    assert probabilities == sorted(probabilities)
    assert probabilities[1] > 5 * probabilities[0]
    assert probabilities[2] > 1.1 * probabilities[1]


# Holding out


def test_everything_but_the_policys_suspicion_is_held_out_once() -> None:
    suspected = undeclared(LOOP, on_day=1, is_spam=True)
    found = held_out_by_campaign(pl.concat([EXAMPLES, suspected]))
    assert found.sort(KEYS).select(KEYS).equals(EXAMPLES.sort(KEYS).select(KEYS))


def test_a_campaign_is_judged_by_a_model_that_has_not_learned_from_it() -> None:
    strange = campaign("strange", LOOP, on_day=3)
    both = pl.concat([EXAMPLES, strange])
    assert probability_of(learned(both), strange).mean() > 0.4
    assert mean_probability(held_out_by_campaign(both), "strange") < 0.1
    assert mean_probability(held_out_by_campaign(both), "farm 3") > 0.5


def test_a_campaign_of_many_days_is_held_out_as_a_whole() -> None:
    long = pl.concat([EXAMPLES, *(campaign("strange", LOOP, on_day=day) for day in range(DAYS))])
    assert mean_probability(held_out_by_campaign(long), "strange") < 0.1


def test_an_incident_of_two_attack_types_is_one_campaign() -> None:
    parts = [campaign("strange", LOOP, on_day=day, attack_type=f"type {day}") for day in (1, 2)]
    model = trained_on(pl.concat([EXAMPLES, *parts]).lazy())
    (row,) = [row for row in model.quality["campaigns"] if row["incident_id"] == "strange"]
    assert (row["attack_type"], row["examples"], row["withheld_share"]) == ("type 1", 80, 0)


def paired_campaigns(pairs: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Two campaigns each show in a signal of their own: either is recognised unless both are held out together."""
    return pl.concat(
        [
            campaign(name, {signal: 6.0}, on_day=day, size=60)
            for signal, pair in zip(PAIRED_SIGNALS, pairs, strict=True)
            for day, name in enumerate(pair)
        ]
    )


def test_a_late_incident_moves_no_other_campaign_to_another_group() -> None:
    examples = pl.concat([*ORDINARY, paired_campaigns(PAIRS)])
    late = [campaign(f"late {number}", CUT_OFF, on_day=number) for number in range(3)]
    groups = []
    for known in (examples, pl.concat([examples, *late])):
        held_out = held_out_by_campaign(known)
        groups.append([mean_probability(held_out, first) > 0.15 for first, _ in PAIRS])
    assert groups[0] == groups[1]
    assert set(groups[0]) == {True, False}, "some pairs are held out together, and some are not"


def test_a_day_of_what_nobody_declared_is_held_out_as_a_whole() -> None:
    days = held_out_by_campaign(EXAMPLES.with_columns(pl.col("event_day").min())).filter("is_weak")
    assert days.is_empty(), "with all ordinary plays on one day none are left to learn from"


def test_the_last_days_are_judged_by_a_model_of_the_days_before() -> None:
    changed = pl.concat([EXAMPLES, *(campaign(f"loop {day}", LOOP, on_day=day) for day in (6, 7))])
    found = held_out_by_time(changed)
    last = sorted(changed["event_day"].unique())[-2:]
    assert found.sort(KEYS).select(KEYS).equals(changed.filter(pl.col("event_day").is_in(last)).sort(KEYS).select(KEYS))
    assert mean_probability(found, "farm 7") > 0.5
    assert mean_probability(found, "loop 7") < 0.1


def test_a_campaign_that_began_before_the_last_days_is_not_held_out_with_them() -> None:
    found = held_out_by_time(EXAMPLES.with_columns(incident_id=pl.col("incident_id").replace("farm 7", "farm 1")))
    assert set(found["incident_id"].drop_nulls()) == {"farm 6"}
    assert set(found.filter(pl.col("incident_id").is_null())["event_day"]) == set(ORDINARY[6]["event_day"]) | set(
        ORDINARY[7]["event_day"]
    )


def test_with_few_labelled_days_all_are_needed_for_learning() -> None:
    few = EXAMPLES.filter(pl.col("event_day") < pl.col("event_day").min() + pl.duration(days=MIN_DAYS_TO_HOLD_OUT - 1))
    assert held_out_by_time(few).is_empty()
    assert not any(name.startswith("held_out_time") for name in numbers_of(few))


# Quality


def test_quality_is_measured_on_what_was_held_out(trained: SpamModel) -> None:
    found = trained.quality["numbers"]
    assert (found["examples"], found["spam_examples"], found["incidents"]) == (EXAMPLES.height, 40 * DAYS, DAYS)
    assert (found["held_out_campaigns_examples"], found["held_out_time_examples"]) == (EXAMPLES.height, 2 * 140)
    for prefix in ("held_out_campaigns", "held_out_time"):
        assert found[f"{prefix}_withheld_spam_share"] > 0.95
        assert found[f"{prefix}_withheld_legitimate_share"] < 0.001
        assert found[f"{prefix}_brier"] < BRIER_OF_KNOWING_NOTHING
    assert breaches(SPAM_MODEL.limits, found) == []


def test_one_campaign_alone_proves_nothing_and_no_quality_is_claimed() -> None:
    one = EXAMPLES.with_columns(incident_id=pl.when(pl.col("is_spam")).then(pl.lit("the only one")))
    assert not any(name.startswith("held_out") for name in numbers_of(one))


def test_each_campaign_has_its_figures_weighted_by_plays_the_latest_first(trained: SpamModel) -> None:
    rows = trained.quality["campaigns"]
    assert [row["incident_id"] for row in rows] == [None, *(f"farm {day}" for day in reversed(range(DAYS)))]
    held_out = held_out_by_campaign(EXAMPLES.sort(EXAMPLES.columns)).filter(pl.col("incident_id") == "farm 7")
    expected = np.average((held_out["spam_probability"].to_numpy() - 1) ** 2, weights=held_out["plays"].to_numpy())
    assert rows[1] == {
        "incident_id": "farm 7",
        "attack_type": "some attack",
        "is_spam": True,
        "last_day": "2026-01-12",
        "examples": 40,
        "plays": held_out["plays"].sum(),
        "brier": pytest.approx(expected, abs=1e-6),
        "withheld_share": 1,
    }


def test_the_figures_of_so_many_campaigns_are_kept() -> None:
    many = [campaign(f"farm {number}", CUT_OFF, on_day=number, size=2) for number in range(MOST_CAMPAIGNS + 20)]
    rows = trained_on(pl.concat([*ORDINARY, *many]).lazy()).quality["campaigns"]
    assert [row["incident_id"] for row in rows] == [
        f"farm {number}" for number in reversed(range(20, MOST_CAMPAIGNS + 20))
    ]


def test_probes_are_examples_with_their_probability(trained: SpamModel) -> None:
    probes = trained.quality["probes"]
    assert len({row["probe"] for row in probes}) == PROBES
    assert {row["percent"] for row in probes} <= set((100 * spam_probability(trained, EXAMPLES)).round().tolist())


def test_probes_stay_the_same_while_examples_are_added(trained: SpamModel) -> None:
    before = {row["probe"] for row in trained.quality["probes"]}
    after = {row["probe"] for row in trained_on(pl.concat([EXAMPLES, ordinary(DAYS)]).lazy()).quality["probes"]}
    assert {probe for probe in before if probe <= max(after)} <= after
    assert len(before & after) > 0.8 * PROBES


# Champion and challenger, trained


def test_a_model_that_learned_more_of_the_same_passes_beside_the_one_before(trained: SpamModel) -> None:
    more = pl.concat([EXAMPLES, ordinary(DAYS), campaign("farm 8", CUT_OFF, on_day=DAYS), campaign("new", LOOP)])
    assert [finding.rule for finding in against(trained, more)] == ["flips"]


def test_a_model_whose_labels_were_turned_over_is_refused_beside_the_one_before(trained: SpamModel) -> None:
    turned = EXAMPLES.with_columns(
        is_spam=pl.when(pl.col("incident_id").is_in(["farm 0", "farm 1"]))
        .then(pl.lit(value=False))
        .otherwise("is_spam")
    )
    refused = [finding for finding in against(trained, turned) if finding.rule == "champion"]
    assert "campaigns of spam" in {finding.about for finding in refused}


def against(champion: SpamModel, challenger: pl.DataFrame) -> list[Finding]:
    known, new = SPAM_MODEL.fingerprint(champion), SPAM_MODEL.fingerprint(trained_on(challenger.lazy()))
    return list(findings_against_champion(new, [HistoricFingerprint("all", known)]))
