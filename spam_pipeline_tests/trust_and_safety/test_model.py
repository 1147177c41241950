import numpy as np
import polars as pl
import pytest

from spam_pipeline.protocol.contract import column_types
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE, PlaySignals
from spam_pipeline.trust_and_safety.model import (
    HEURISTIC_CEILING,
    HEURISTIC_FLOOR,
    HEURISTIC_RULES,
    SpamModel,
    contributions,
    spam_probability,
    strongest_signals,
)
from spam_pipeline.trust_and_safety.model_signals import (
    CHUNK_ROWS,
    FARTHEST,
    NAMES,
    SIGNALS,
    entity_tables,
    matrices_of_plays,
)
from spam_pipeline.trust_and_safety.signals import KEY_COLUMNS, signals_of_day, with_actor
from spam_pipeline.trust_and_safety.training import train
from spam_pipeline_tests.trust_and_safety.play_generator import (
    ATTACKER,
    FAN,
    SLEEPER,
    day,
    fan_of_one_track,
    farm_examples,
    heuristic,
    key,
    loop_bot,
    office,
    organic,
    release,
    sleeper,
    together,
)

EVERYTHING_EXTREME = np.array([[FARTHEST] * len(SIGNALS), [-FARTHEST] * len(SIGNALS), [0.0] * len(SIGNALS)])


def highest_probability(model: SpamModel, plays: pl.LazyFrame, of: pl.Expr) -> float:
    signals = signals_of_day(plays, day(1))
    chosen = with_actor(plays).filter(of, pl.col("occurred_at").dt.date().cast(pl.String) == day(1))
    matrix = np.vstack(list(matrices_of_plays(entity_tables(signals), chosen.collect())))
    return float(spam_probability(model, matrix).max())


def test_the_heuristic_is_never_sure_either_way() -> None:
    probability = spam_probability(heuristic(), EVERYTHING_EXTREME)
    assert probability.min() >= HEURISTIC_FLOOR
    assert probability.max() <= HEURISTIC_CEILING


def test_a_play_of_usual_entities_is_legitimate_for_the_heuristic() -> None:
    assert spam_probability(heuristic(), EVERYTHING_EXTREME)[2] < ROYALTY_TOLERANCE


def test_no_single_sign_suffices_to_call_a_play_spam_without_labels() -> None:
    for rule in HEURISTIC_RULES:
        row = np.zeros((1, len(SIGNALS)))
        column = NAMES.index(rule.signal)
        row[0, column] = SIGNALS[column].standardised(rule.ends)
        assert spam_probability(heuristic(), row)[0] < REPORTING_TOLERANCE


@pytest.mark.parametrize(
    ("group", "of"),
    [
        pytest.param(fan_of_one_track(1), pl.col("user_key") == key(FAN).item(), id="who plays one track 85 times"),
        pytest.param(sleeper(1), pl.col("user_key") == key(SLEEPER).item(), id="with 24 hours of sleep music"),
        pytest.param(office(1), pl.col("event_id").str.starts_with("o"), id="in an office behind one network"),
        pytest.param(release(1), pl.col("track_id") == "t9002", id="of a viral release"),
    ],
)
def test_the_heuristic_leaves_alone_a_real_listener(group: pl.LazyFrame, of: pl.Expr) -> None:
    plays = together(organic(0), organic(1), group)
    assert highest_probability(heuristic(), plays, of) < ROYALTY_TOLERANCE


def test_the_heuristic_calls_a_loop_bot_of_short_plays_spam() -> None:
    plays = together(organic(0), organic(1), loop_bot(1))
    assert highest_probability(heuristic(), plays, pl.col("user_key") == key(ATTACKER).item()) >= REPORTING_TOLERANCE


def test_the_contributions_of_a_trained_model_add_up_to_its_verdict() -> None:
    model = train(farm_examples(1))
    matrix = np.random.default_rng(5).normal(size=(50, len(SIGNALS)))
    probability = spam_probability(model, matrix)
    assert model.estimator is not None
    log_odds = contributions(model, matrix).sum(axis=1) + model.estimator.intercept_
    assert np.log(probability / (1 - probability)) == pytest.approx(log_odds)


def test_reasons_are_the_signals_that_add_most_strongest_first_and_none_that_speak_against() -> None:
    model = heuristic()
    row = np.zeros((2, len(SIGNALS)))
    row[0, NAMES.index("track_plays_per_actor")] = FARTHEST
    row[0, NAMES.index("actor_short_share")] = FARTHEST
    row[0, NAMES.index("actor_countries")] = -FARTHEST
    strongest = strongest_signals(model, row)
    assert [NAMES[position] for position in strongest[0] if position >= 0] == [
        "actor_short_share",
        "track_plays_per_actor",
    ]
    assert strongest[1].tolist() == [-1, -1, -1]


def test_signals_stand_in_the_order_of_their_kinds_and_are_columns_of_their_contract() -> None:
    kinds = [signal.kind for signal in SIGNALS]
    assert kinds == sorted(kinds, key=list(KEY_COLUMNS).index)
    assert {signal.column for signal in SIGNALS} <= column_types(PlaySignals).keys()
    assert {rule.signal for rule in HEURISTIC_RULES} <= set(NAMES)


def test_an_entity_without_signals_counts_as_usual() -> None:
    plays = with_actor(organic(0, 20)).collect()
    matrices = list(matrices_of_plays(entity_tables(PlaySignals.empty()), plays))
    assert sum(map(len, matrices)) == plays.height
    assert not any(matrix.any() for matrix in matrices)


def test_chunks_hold_every_play_once_and_in_order() -> None:
    actors = pl.DataFrame({"entity_kind": ["actor"] * 3, "entity_key": [1, 2, 3], "plays": [10, 100, 1000]})
    signals = pl.concat([PlaySignals.empty().collect(), actors.cast({"entity_key": pl.UInt64})], how="diagonal").lazy()
    keys = np.random.default_rng(6).integers(1, 4, CHUNK_ROWS + 7).astype(np.uint64)
    plays = pl.DataFrame(dict.fromkeys(KEY_COLUMNS.values(), keys))
    chunks = list(matrices_of_plays(entity_tables(signals), plays))
    assert [len(chunk) for chunk in chunks] == [CHUNK_ROWS, 7]
    assert np.array_equal(np.vstack(chunks)[:, 0], SIGNALS[0].standardised(10.0**keys))
