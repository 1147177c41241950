import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.trust_and_safety.attack_types import ATTACK_TYPES, NAMED_FROM, SIGNATURES, UNSUSPICIOUS_BELOW, fits
from spam_pipeline.trust_and_safety.scoring import entities_of, fits_of
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.signals.catalogue import FARTHEST, NAMES, SIGNALS, Matrix
from spam_pipeline.trust_and_safety.signals.known_plays import with_actor
from spam_pipeline_tests.trust_and_safety.attack_casts import cast_of
from spam_pipeline_tests.trust_and_safety.play_generator import (
    FACTS,
    FAN,
    SLEEPER,
    day,
    fan_of_one_track,
    key,
    office,
    organic,
    release,
    sleeper,
    together,
)

KINDS = tuple(dict.fromkeys(signal.kind for signal in SIGNALS))
STANDARDISED = st.lists(st.floats(-FARTHEST, FARTHEST), min_size=len(NAMES), max_size=len(NAMES))


def fits_on_day_1(plays: pl.LazyFrame, facts: pl.LazyFrame, of: pl.Expr) -> Matrix:
    """How well each signature fits the plays `of` day 1, which has `plays` beside its ordinary listeners."""
    known = together(organic(0), organic(1), plays)
    signals = signals_of_day(known, facts, day(1))
    chosen = with_actor(known).filter(of, pl.col("occurred_at").dt.date().cast(pl.String) == day(1)).collect()
    assert not chosen.is_empty()
    return fits_of(entities_of(chosen, signals), np.arange(chosen.height))


def usual_but_for(**values: float) -> Matrix:
    """One combination of entities about which everything is usual but these signals."""
    standardised = {
        signal.name: signal.standardised(values[signal.name]) for signal in SIGNALS if signal.name in values
    }
    return np.array([[standardised.get(name, 0.0) for name in NAMES]], dtype=np.float64)


@pytest.mark.parametrize("attack_type", ATTACK_TYPES)
def test_an_attack_fits_its_own_signature_best(attack_type: str) -> None:
    plays, facts = cast_of(attack_type, 1)
    ids = plays.select("event_id").collect().to_series()
    found = fits_on_day_1(plays, facts, pl.col("event_id").is_in(ids.implode()))
    own = found[:, ATTACK_TYPES.index(attack_type)]
    assert np.quantile(own, 0.05) >= NAMED_FROM
    assert np.mean(own == found.max(axis=1)) > 0.95


@pytest.mark.parametrize(
    ("group", "of"),
    [
        pytest.param(fan_of_one_track(1), pl.col("user_key") == key(FAN).item(), id="who plays one track 85 times"),
        pytest.param(sleeper(1), pl.col("user_key") == key(SLEEPER).item(), id="with 24 hours of sleep music"),
        pytest.param(office(1), pl.col("event_id").str.starts_with("o"), id="in an office behind one address"),
        pytest.param(release(1), pl.col("track_id") == "t9002", id="of a viral release"),
        pytest.param(release(1), pl.col("track_id") != "t9002", id="beside a viral release"),
    ],
)
def test_no_signature_fits_a_real_listener(group: pl.LazyFrame, of: pl.Expr) -> None:
    assert fits_on_day_1(group, FACTS, of).max() < UNSUSPICIOUS_BELOW


def test_every_condition_is_about_a_signal_and_an_ordinary_value_does_not_meet_all_of_a_signature() -> None:
    assert {condition.signal for conditions in SIGNATURES.values() for condition in conditions} <= set(NAMES)
    assert not fits(np.zeros((1, len(NAMES)))).any()


def test_a_signature_fits_wholly_when_all_conditions_are_met_and_not_when_one_is_not() -> None:
    for position, conditions in enumerate(SIGNATURES.values()):
        met = {condition.signal: condition.ends for condition in conditions}
        assert fits(usual_but_for(**met))[0, position] == pytest.approx(1)
        for condition in conditions:
            assert fits(usual_but_for(**{**met, condition.signal: condition.begins}))[0, position] == 0


def test_the_fit_grows_with_the_least_met_condition() -> None:
    met = {"track_short_share": 0.5, "track_embed_share": 0.7, "track_complete_share": 0.2}
    widget = ATTACK_TYPES.index("embedded_autoplay")
    growing = [fits(usual_but_for(**{**met, "track_short_share": share}))[0, widget] for share in (0.2, 0.3, 0.35, 0.6)]
    assert growing == pytest.approx([0, 1 / 3, 0.5, 1])


def test_a_condition_on_what_is_low_is_met_by_what_is_lower() -> None:
    met = {condition.signal: condition.ends for condition in SIGNATURES["low_and_slow"]}
    slow = ATTACK_TYPES.index("low_and_slow")
    young, old = (fits(usual_but_for(**{**met, "actor_age_days": age}))[0, slow] for age in (5, 400))
    assert (young, old) == (pytest.approx(1), 0)


@given(STANDARDISED)
def test_a_plays_fit_is_the_least_of_the_fits_of_its_entities(row: list[float]) -> None:
    matrix = np.array([row])
    positions = {kind: [at for at, signal in enumerate(SIGNALS) if signal.kind == kind] for kind in KINDS}
    apart = [fits(matrix[:, at], [NAMES[position] for position in at]) for at in positions.values()]
    assert np.array_equal(fits(matrix), np.minimum.reduce(apart))
    assert ((fits(matrix) >= 0) & (fits(matrix) <= 1)).all()


def test_conditions_lie_within_what_a_standardised_signal_can_show() -> None:
    signals = {signal.name: signal for signal in SIGNALS}
    for condition in (condition for conditions in SIGNATURES.values() for condition in conditions):
        begins, ends = signals[condition.signal].standardised([condition.begins, condition.ends])
        assert begins != ends, condition
        assert max(abs(begins), abs(ends)) < FARTHEST, condition
