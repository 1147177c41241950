from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Revenue
from spam_pipeline.protocol.fingerprint import Recorded
from spam_pipeline.protocol.operating import breaches
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE, LabelledExamples
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.evaluation import MIN_ARTIST_PLAYS, UNKNOWN, evaluation_of, rows_of
from spam_pipeline.trust_and_safety.evaluation_contract import (
    ALL,
    ARTIST,
    ATTACK_TYPE,
    CAMPAIGNS,
    COUNTRY,
    CURRENCY,
    FIGURES,
    LISTENER,
    MOST_ROWS,
    NETWORK,
    PREVALENCES,
    RELIABILITY,
    TIER,
    TRACK_AGE,
    USUAL_PREVALENCE,
    ModelEvaluation,
)
from spam_pipeline.trust_and_safety.training import MIN_DAYS_TO_HOLD_OUT, SPAM_PRIOR, WEAK_WEIGHT, held_out
from spam_pipeline_tests.contract_helpers import findings_about, fingerprint_of, numbers_of
from spam_pipeline_tests.trust_and_safety.made_up_examples import trained_on
from spam_pipeline_tests.trust_and_safety.play_generator import farm_examples, policy_model

WHOLE_KINDS = [ALL, ATTACK_TYPE, COUNTRY, TIER, TRACK_AGE, LISTENER, NETWORK]
DAYS = [date(2026, 1, 31), date(2026, 2, 1)]
REVENUE = pl.LazyFrame(
    {
        "month": ["2026-01", "2026-01", "2026-02", "2026-02", "2026-02"],
        "country": ["DE", "US", "DE", "US", "US"],
        "tier": ["free", "free", "free", "free", "free"],
        "currency": ["EUR", "USD", "EUR", "USD", "KWD"],
        "net_revenue_minor": [7_000_000_001, 123_457, -5, 98_765_432_101_234, 31],
    }
)
EXAMPLES = (
    farm_examples(MIN_DAYS_TO_HOLD_OUT)
    .filter(pl.col("track_key") % 4 == 0)
    .with_columns(incident_id="campaign on " + pl.col("incident_id") + pl.col("event_day").cast(pl.String))
    .collect()
    .lazy()
)


@pytest.fixture(scope="module")
def model() -> SpamModel:
    return trained_on(EXAMPLES)


Example = dict[str, Any]


@st.composite
def held_out_example(draw: st.DrawFn) -> Example:
    is_spam = draw(st.booleans())
    plays = draw(st.integers(1, 60))
    return {
        "event_day": draw(st.sampled_from(DAYS)),
        "is_spam": is_spam,
        "is_weak": not is_spam and draw(st.booleans()),
        "plays": plays,
        "earning_plays": draw(st.integers(0, plays)),
        "attack_type": draw(st.sampled_from([None, "bot_farm", "loop_bot"])),
        "country": draw(st.sampled_from([None, "DE", "US"])),
        "tier": draw(st.sampled_from(["free", "premium"])),
        "uploader_key": draw(st.sampled_from([None, 7, 2**64 - 1])),
        "track_age_days": draw(st.sampled_from([None, 0, 29, 30, 400])),
        "actor_plays": draw(st.sampled_from([None, 1.0, 49.0, 50.0])),
        "network_actors": draw(st.sampled_from([None, 1.0, 9.0, 10.0])),
        "spam_probability": draw(st.integers(0, 100)) / 100,
    }


SCHEMA = {
    **{name: column.dtype for name, column in LabelledExamples.columns().items()},
    "spam_probability": pl.Float64(),
}


POOLS = pl.LazyFrame(
    [
        {"event_day": day, "country": country, "tier": tier, "pool_plays": 60 + 7 * len(country or "") + len(tier)}
        for day in DAYS
        for country in (None, "DE", "US")
        for tier in ("free", "premium")
    ]
)


def evaluated(examples: pl.LazyFrame, model: SpamModel, revenue: pl.LazyFrame) -> pl.LazyFrame:
    return evaluation_of(held_out(examples), POOLS, model, revenue)


def pool_plays_of(example: Example) -> int:
    """The earning plays of an example's pool."""
    named = zip(
        ("event_day", "country", "tier"), (example[name] for name in ("event_day", "country", "tier")), strict=True
    )
    (found,) = POOLS.filter(*(pl.col(name).eq_missing(pl.lit(value)) for name, value in named)).collect()["pool_plays"]
    return int(found)


def frame_of(examples: list[Example]) -> pl.DataFrame:
    return pl.DataFrame(examples, schema={name: SCHEMA[name] for name in examples[0]})


def weighted(examples: list[Example], prevalence: float) -> list[tuple[float, Example]]:
    raw = [example["plays"] * (WEAK_WEIGHT if example["is_weak"] else 1.0) for example in examples]
    totals = {
        label: sum(weight for weight, example in zip(raw, examples, strict=True) if example["is_spam"] is label)
        for label in (True, False)
    }
    return [
        (weight * (prevalence if example["is_spam"] else 1 - prevalence) / totals[example["is_spam"]], example)
        for weight, example in zip(raw, examples, strict=True)
    ]


def figures_one_by_one(examples: list[Example], prevalence: float) -> Iterator[tuple[str, float]]:
    known = weighted(examples, prevalence)
    total = sum(weight for weight, _ in known)
    for name, tolerance in (("called", REPORTING_TOLERANCE), ("withheld", ROYALTY_TOLERANCE)):
        found = [(weight, example) for weight, example in known if example["spam_probability"] >= tolerance]
        for label, is_spam in (("spam", True), ("legitimate", False)):
            of_label = sum(weight for weight, example in known if example["is_spam"] is is_spam)
            if of_label:
                of_found = sum(weight for weight, example in found if example["is_spam"] is is_spam)
                yield f"{name}_{label}_share", of_found / of_label
        if found and len({example["is_spam"] for example in examples}) == 2:
            right = sum(weight for weight, example in found if example["is_spam"])
            yield f"{name}_precision", right / sum(weight for weight, _ in found)
    errors = [(weight, (example["spam_probability"] - example["is_spam"]) ** 2) for weight, example in known]
    yield "brier", sum(weight * error for weight, error in errors) / total
    if len({example["is_spam"] for example in examples}) == 2:
        yield "calibration_error", calibration_error(known)
        yield "pr_auc", average_precision(known)


def calibration_error(known: list[tuple[float, Example]]) -> float:
    off: dict[int, float] = defaultdict(float)
    for weight, example in known:
        off[min(int(example["spam_probability"] * 10), 9)] += weight * (
            example["spam_probability"] - example["is_spam"]
        )
    return sum(abs(distance) for distance in off.values()) / sum(weight for weight, _ in known)


def average_precision(known: list[tuple[float, Example]]) -> float:
    spam = sum(weight for weight, example in known if example["is_spam"])
    area, recall_before = 0.0, 0.0
    for threshold in sorted({example["spam_probability"] for _, example in known}, reverse=True):
        found = [(weight, example) for weight, example in known if example["spam_probability"] >= threshold]
        right = sum(weight for weight, example in found if example["is_spam"])
        area += (right / spam - recall_before) * right / sum(weight for weight, _ in found)
        recall_before = right / spam
    return area


def slice_of(kind: str, example: Example) -> str:
    age, actor_plays, actors = example["track_age_days"], example["actor_plays"], example["network_actors"]
    return {
        ALL: ALL,
        ATTACK_TYPE: example["attack_type"] or "undeclared",
        COUNTRY: example["country"] or UNKNOWN,
        TIER: example["tier"],
        TRACK_AGE: UNKNOWN if age is None else "new" if age < 30 else "old",
        LISTENER: UNKNOWN if actor_plays is None else "super_fan" if actor_plays >= 50 else "ordinary",
        NETWORK: UNKNOWN if actors is None else "shared" if actors >= 10 else "private",
    }[kind]


@settings(max_examples=40)
@given(st.lists(held_out_example(), min_size=1, max_size=30))
def test_every_slice_has_the_figures_that_its_examples_give_one_by_one(examples: list[Example]) -> None:
    rows = list(rows_of(CAMPAIGNS, frame_of(examples), POOLS, REVENUE))
    seen = {
        (row["slice_kind"], row["slice"], row["prevalence"]): row for row in rows if row["slice_kind"] in WHOLE_KINDS
    }
    assert len(seen) == sum(row["slice_kind"] in WHOLE_KINDS for row in rows)
    for (kind, name, prevalence), row in seen.items():
        part = [example for example in examples if slice_of(kind, example) == name]
        assert row["spam_plays"] == sum(example["plays"] for example in part if example["is_spam"])
        assert row["legitimate_plays"] == sum(example["plays"] for example in part if not example["is_spam"])
        measured = {figure: row[figure] for figure in FIGURES if figure in row}
        assert measured == pytest.approx(dict(figures_one_by_one(part, prevalence)), abs=2e-6)


@settings(max_examples=40)
@given(st.lists(held_out_example(), min_size=1, max_size=30))
def test_the_slices_of_each_kind_hold_every_play_exactly_once(examples: list[Example]) -> None:
    rows = pl.DataFrame(list(rows_of(CAMPAIGNS, frame_of(examples), POOLS, REVENUE)), infer_schema_length=None)
    usual = rows.filter(pl.col("prevalence") == USUAL_PREVALENCE)
    for kind in [*WHOLE_KINDS, RELIABILITY]:
        plays = usual.filter(pl.col("slice_kind") == kind).select(pl.sum_horizontal("spam_plays", "legitimate_plays"))
        assert plays.sum().item() == sum(example["plays"] for example in examples)


@settings(max_examples=40)
@given(st.lists(held_out_example(), min_size=1, max_size=30))
def test_money_is_what_exact_fractions_say_rounded_once(examples: list[Example]) -> None:
    exact: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for example in examples:
        month = example["event_day"].isoformat()[:7]
        of_pool = REVENUE.filter(pl.col("month") == month, pl.col("tier") == example["tier"]).collect()
        for pool in of_pool.filter(pl.col("country").eq_missing(example["country"])).iter_rows(named=True):
            days = 31 if month == "2026-01" else 28
            net = Fraction(max(pool["net_revenue_minor"], 0), days * pool_plays_of(example))
            is_withheld = example["spam_probability"] >= ROYALTY_TOLERANCE
            worth = example["earning_plays"] * net
            label, wrongly = ("spam", "paid") if example["is_spam"] else ("legitimate", "withheld")
            exact[pool["currency"], f"{label}_minor"] += worth
            if is_withheld is not example["is_spam"]:
                exact[pool["currency"], f"wrongly_{wrongly}_minor"] += worth
    rows = [row for row in rows_of(CAMPAIGNS, frame_of(examples), POOLS, REVENUE) if row["slice_kind"] == CURRENCY]
    seen = {(row["slice"], name): row[name] for row in rows for name in row if name.endswith("_minor")}
    assert exact.keys() <= seen.keys() | {key for key, worth in exact.items() if worth == 0}
    for which, amount in seen.items():
        assert abs(amount - exact[which]) <= Fraction(1, 2) + Fraction(30, 1_000_000_000)


def test_the_worst_artist_is_the_one_who_would_lose_the_largest_share_of_legitimate_plays() -> None:
    common: Example = dict.fromkeys(("attack_type", "country", "track_age_days", "actor_plays", "network_actors"))
    common |= {"event_day": DAYS[0], "is_weak": False, "earning_plays": 0, "tier": "free"}
    plays_of = [
        (1, False, MIN_ARTIST_PLAYS, 0.1),
        (2, False, MIN_ARTIST_PLAYS, 0.1),
        (2, False, MIN_ARTIST_PLAYS, 0.9),
        (2, True, 500, 0.9),
        (3, False, MIN_ARTIST_PLAYS - 1, 0.9),
        (None, False, 500, 0.9),
    ]
    names = ("uploader_key", "is_spam", "plays", "spam_probability")
    examples = [{**common, **dict(zip(names, values, strict=True))} for values in plays_of]
    rows = [row for row in rows_of(CAMPAIGNS, frame_of(examples), POOLS, REVENUE) if row["slice_kind"] == ARTIST]
    seen = [
        (row["slice"], row["spam_plays"], row["legitimate_plays"], row["withheld_legitimate_share"]) for row in rows
    ]
    assert seen == [("0000000000000002", 0, 40, 0.5), ("0000000000000001", 0, 20, 0.0)]


def test_under_a_lower_prevalence_the_same_errors_leave_less_precision_and_the_same_recall(model: SpamModel) -> None:
    evaluation = evaluated(EXAMPLES, model, Revenue.empty()).collect()
    of_all = evaluation.filter(pl.col("slice_kind") == ALL, pl.col("split") == CAMPAIGNS)
    assert of_all.get_column("prevalence").to_list() == list(PREVALENCES)
    assert of_all.get_column("withheld_spam_share").n_unique() == 1
    assert of_all.get_column("withheld_spam_share").min() > 0.9
    assert of_all.get_column("withheld_precision").is_sorted()


def test_an_evaluation_keeps_its_contract_and_agrees_with_what_the_model_says_of_itself(model: SpamModel) -> None:
    evaluation = evaluated(EXAMPLES, model, Revenue.empty())
    assert findings_about(ModelEvaluation, evaluation) == []
    seen = numbers_of(ModelEvaluation, evaluation)
    own = {name: value for name, value in model.quality["numbers"].items() if name in seen}
    assert "held_out_campaigns_brier" in own
    assert {name: seen[name] for name in own} == pytest.approx(own)
    assert seen["is_published"] == 1
    assert breaches(ModelEvaluation.limits(), seen) == []


def test_the_headline_is_at_the_prevalence_that_models_are_trained_to() -> None:
    assert USUAL_PREVALENCE == SPAM_PRIOR


def test_the_evaluation_of_a_challenger_says_that_another_model_is_published(model: SpamModel) -> None:
    numbers = {**model.quality["numbers"], "held_out_campaigns_brier": 0.5}
    champion = SpamModel(model.estimator, {**model.quality, "numbers": numbers})
    assert not evaluated(EXAMPLES, champion, Revenue.empty()).collect().get_column("is_published").any()


def test_the_evaluation_of_a_first_model_that_was_refused_says_that_the_policy_is_published() -> None:
    evaluation = evaluated(EXAMPLES, policy_model(), Revenue.empty()).collect()
    assert not evaluation.get_column("is_policy").any()
    assert not evaluation.get_column("is_published").any()


def test_the_same_examples_in_another_order_give_the_same_evaluation(model: SpamModel) -> None:
    shuffled = EXAMPLES.collect().sample(fraction=1, shuffle=True, seed=5).lazy()
    runs = [evaluated(examples, model, REVENUE).collect() for examples in (EXAMPLES, shuffled)]
    assert_frame_equal(*runs, check_exact=True)


def test_without_examples_there_is_nothing_to_evaluate() -> None:
    evaluation = evaluated(LabelledExamples.empty(), policy_model(), Revenue.empty())
    assert evaluation.collect().is_empty()
    assert findings_about(ModelEvaluation, evaluation) == []
    assert numbers_of(ModelEvaluation, evaluation).keys() <= {"is_policy", "is_published"}


def test_while_too_little_is_labelled_the_policy_is_evaluated_on_what_experts_decided() -> None:
    experts = EXAMPLES.filter(~pl.col("is_weak")).head(20)
    evaluation = evaluated(pl.concat([experts, EXAMPLES.filter(pl.col("is_weak"))]), policy_model(), REVENUE).collect()
    assert evaluation.get_column("is_policy").all()
    assert evaluation.get_column("split").unique().to_list() == [CAMPAIGNS]
    of_all = evaluation.filter(pl.col("slice_kind") == ALL)
    assert set(of_all.get_column("spam_plays")) == {experts.select(pl.col("plays").sum()).collect().item()}
    assert of_all.get_column("withheld_spam_share").min() > 0.9


def test_tables_for_people_are_short_and_leave_no_kind_of_slice_out(model: SpamModel) -> None:
    many = EXAMPLES.with_columns(country=pl.lit("c") + (pl.col("actor_key") % 100).cast(pl.String))
    fingerprint = fingerprint_of(ModelEvaluation, evaluated(many, model, Revenue.empty()))
    tables = {name: found.rows for name, found in fingerprint.items() if isinstance(found, Recorded)}
    assert tables.keys() == {"prevalences", "attack_types", "slices", "reliability", "artists", "money"}
    assert all(len(rows) <= MOST_ROWS for rows in tables.values())
    assert {row["slice_kind"] for row in tables["slices"]} == {COUNTRY, TIER, TRACK_AGE, LISTENER, NETWORK}
