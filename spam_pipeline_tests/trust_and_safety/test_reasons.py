from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.special import logit  # type: ignore[import-untyped]  # no types shipped

from spam_pipeline.trust_and_safety.attack_types import ATTACK_TYPES, NAMED_FROM, SIGNATURES, Condition
from spam_pipeline.trust_and_safety.contracts import POLICY, TRACK, PlaySignals
from spam_pipeline.trust_and_safety.estimators import ROWS_AT_ONCE, Additive, SpamModel, evidence
from spam_pipeline.trust_and_safety.reasons import MAX_REASONS, explained
from spam_pipeline.trust_and_safety.scoring import PlaysWithEntities, entities_of, fits_of, spam_probability
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS, with_actor
from spam_pipeline.trust_and_safety.training import learned
from spam_pipeline_tests.trust_and_safety.play_generator import (
    bot_farm,
    farm_examples,
    loop_bot,
    organic,
    policy_model,
    signals_on,
    together,
)

PLAYS = with_actor(together(organic(0, 60), loop_bot(0), bot_farm(0, 5))).collect()
SCORED = entities_of(PLAYS, signals_on(PLAYS.lazy().drop("actor_key"), 0))
EVERY_PLAY = np.arange(PLAYS.height)
USUAL = {signal.name: signal.usual for signal in SIGNALS}


@pytest.fixture(scope="module")
def trained() -> SpamModel:
    return SpamModel(learned(farm_examples(1).collect()))


@pytest.fixture(scope="module")
def of_every_play(trained: SpamModel) -> pl.DataFrame:
    return explained(trained, SCORED, EVERY_PLAY)


def test_a_verdict_can_be_taken_apart_exactly(trained: SpamModel) -> None:
    assert isinstance(trained.estimator, Additive)
    added = evidence(trained.estimator, SCORED.matrix(EVERY_PLAY)).sum(axis=1)
    log_odds = logit(spam_probability(trained, SCORED))
    assert trained.estimator.intercept + added == pytest.approx(log_odds, abs=1e-6)


def test_reasons_are_the_signals_that_add_most_strongest_first_and_none_that_speak_against(
    trained: SpamModel, of_every_play: pl.DataFrame
) -> None:
    added = evidence(trained.estimator, SCORED.matrix(EVERY_PLAY)).round(6)
    for row, reasons in zip(added, of_every_play["reasons"].to_list(), strict=True):
        named = [row[NAMES.index(reason["signal"])] for reason in reasons]
        assert named == sorted((amount for amount in row if amount > 0), reverse=True)[:MAX_REASONS]


def test_a_reason_has_the_signals_value_and_what_is_usual(of_every_play: pl.DataFrame) -> None:
    values = SCORED.values(EVERY_PLAY)
    for row, reasons in zip(values, of_every_play["reasons"].to_list(), strict=True):
        for reason in reasons:
            seen = row[NAMES.index(reason["signal"])]
            assert reason["usual"] == USUAL[reason["signal"]]
            assert reason["value"] == pytest.approx(seen, abs=5e-5)


def one_play(**values: float) -> PlaysWithEntities:
    """A play whose entities have these signals; about the others nothing is known."""
    rows = [
        {"entity_kind": kind, "entity_key": 1, "uploader_key": 1 if kind == TRACK else None}
        | {signal.column: values.get(signal.name) for signal in SIGNALS if signal.kind == kind}
        for kind in KEY_COLUMNS
    ]
    signals = pl.DataFrame([dict.fromkeys(PlaySignals.columns()) | row for row in rows], infer_schema_length=None)
    play = pl.DataFrame(
        {name: [1] for name in KEY_COLUMNS.values()}, schema_overrides=dict.fromkeys(KEY_COLUMNS.values(), pl.UInt64)
    )
    return entities_of(play, signals.cast({"entity_key": pl.UInt64, "uploader_key": pl.UInt64}).lazy())


def model_with(coefficients: Mapping[str, float]) -> SpamModel:
    """A learned model with these coefficients per spread; the other signals say nothing."""
    return SpamModel(Additive(-3.0, tuple(coefficients.get(name, 0.0) for name in NAMES)))


def named(model: SpamModel, scored: PlaysWithEntities) -> list[dict[str, Any]]:
    (reasons,) = explained(model, scored, np.array([0]))["reasons"].to_list()
    return list(reasons)


def test_reasons_of_a_play_by_hand() -> None:
    model = model_with(
        {
            "device_hours": 1.0,
            "device_cut_off_share": 2.0,
            "track_embed_share": 4.0,
            "address_actors": -9.0,
            "uploader_spike": 1.0,
        }
    )
    seen = one_play(device_hours=12, device_cut_off_share=0.3333333, address_actors=500, track_embed_share=0.01)
    assert named(model, seen) == [
        {"signal": "device_cut_off_share", "value": 0.3333, "usual": 0.03},
        {"signal": "device_hours", "value": 12, "usual": 4},
    ], "what is unknown, below usual, or speaks against is no reason"


def test_signals_that_add_the_same_are_named_in_the_order_of_the_catalogue() -> None:
    alike = ["track_embed_share", "device_abroad_share", "device_automated_share", "network_hosting_share"]
    model = model_with(dict.fromkeys(alike, 1.0))
    signals = {signal.name: signal for signal in SIGNALS}
    seen = one_play(**{name: signals[name].usual + 2 * signals[name].spread for name in alike})
    assert [reason["signal"] for reason in named(model, seen)] == sorted(alike, key=NAMES.index)[:MAX_REASONS]


def test_a_play_that_nothing_speaks_against_has_no_reasons() -> None:
    assert named(model_with(dict.fromkeys(NAMES, -1.0)), one_play(device_hours=24, track_embed_share=1)) == []


def test_the_policy_names_the_first_signs_of_the_attack_that_fits_best_and_says_that_it_is_a_policy() -> None:
    met = {condition.signal: condition.ends for condition in SIGNATURES["bot_farm"]}
    found = named(policy_model(), one_play(**met))
    assert [reason["signal"] for reason in found] == ["network_cut_off_share", "network_new_account_share", POLICY]
    assert [reason["value"] for reason in found] == [0.6, 0.6, None]
    assert [reason["usual"] for reason in found] == [0.03, 0.06, None]


def test_a_value_that_is_unknown_is_null() -> None:
    assert [reason["value"] for reason in named(policy_model(), one_play())] == [None, None, None]


@pytest.mark.parametrize("attack_type", ATTACK_TYPES)
def test_the_attack_type_is_that_of_the_signature_that_fits_from_half_on(attack_type: str) -> None:
    conditions = SIGNATURES[attack_type]
    for part, expected in ((1.0, attack_type), (0.55, attack_type), (0.45, None)):
        half = {condition.signal: _part_of_the_way(condition, part) for condition in conditions}
        for model in (policy_model(), model_with({})):
            assert explained(model, one_play(**half), np.array([0]))["attack_type"].to_list() == [expected]


def _part_of_the_way(condition: Condition, part: float) -> float:
    if SIGNALS[NAMES.index(condition.signal)].is_log:
        begins, ends = np.log1p([condition.begins, condition.ends])
        return float(np.expm1(begins + part * (ends - begins)))
    return condition.begins + part * (condition.ends - condition.begins)


def test_attack_types_of_a_day_are_those_of_the_best_fit(of_every_play: pl.DataFrame) -> None:
    fit = fits_of(SCORED, EVERY_PLAY)
    expected = [
        ATTACK_TYPES[best] if fit[row, best] >= NAMED_FROM else None for row, best in enumerate(fit.argmax(axis=1))
    ]
    assert of_every_play["attack_type"].to_list() == expected
    assert {"loop_bot", "device_farm", None} <= set(expected)


def test_reasons_come_in_the_order_asked_for_with_their_rows(trained: SpamModel, of_every_play: pl.DataFrame) -> None:
    backwards = explained(trained, SCORED, EVERY_PLAY[::-5])
    assert backwards["row"].to_list() == EVERY_PLAY[::-5].tolist()
    assert_frame_equal(backwards, of_every_play[EVERY_PLAY[::-5].tolist()])


def test_more_plays_than_are_looked_at_in_one_go_are_explained_alike(
    of_every_play: pl.DataFrame, trained: SpamModel
) -> None:
    many = np.resize(EVERY_PLAY, ROWS_AT_ONCE + 7)
    assert_frame_equal(explained(trained, SCORED, many), of_every_play[many.tolist()])


def test_no_plays_have_no_reasons(trained: SpamModel, of_every_play: pl.DataFrame) -> None:
    for model in (policy_model(), trained):
        assert_frame_equal(explained(model, SCORED, EVERY_PLAY[:0]), of_every_play.clear())
