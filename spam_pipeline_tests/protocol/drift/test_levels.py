from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from spam_pipeline.protocol.drift.levels import Expected, Floats, Numbers, expected_of
from spam_pipeline.protocol.drift.moments import Moment, moment_of

CHANCE = 0.001
TINY = 1e-9


def days(count: int) -> list[Moment]:
    """Days from a Monday on."""
    return [moment_of((date(2026, 1, 5) + timedelta(days=index)).isoformat()) for index in range(count)]


def expected(values: Floats, variance: float = TINY, seen_variance: float = TINY) -> Expected:
    """What is expected of the last of these days, given the others."""
    *moments, now = days(len(values))
    history = Numbers(values[:-1, None], np.full((len(moments), 1), variance))
    return expected_of(history, moments, Numbers(values[-1:], np.array([seen_variance])), now, CHANCE)


def noise(days: int, scale: float = 0.1, seed: int = 3) -> Floats:
    return np.random.default_rng(seed).normal(0, scale, days)


def test_a_level_has_the_prediction_interval_of_student() -> None:
    values = noise(21)
    found = expected(values)
    scatter = values[:-1].std(ddof=1) * np.sqrt(1 + 1 / 20)
    assert found.values[0] == pytest.approx(values[:-1].mean())
    assert found.reach[0] == pytest.approx(stats.t.isf(CHANCE / 2, 19) * scatter)


def test_a_trend_that_shows_is_continued() -> None:
    values = np.arange(21) + noise(21)
    found = expected(values)
    line = stats.linregress(np.arange(20), values[:-1])
    assert found.values[0] == pytest.approx(line.intercept + 20 * line.slope)
    assert found.reach[0] < 1


def test_a_weekday_that_differs_has_its_own_level() -> None:
    values = np.array([10.0 * (index % 7 > 4) for index in range(34)]) + noise(34)
    found = expected(values)
    assert found.values[0] == pytest.approx(np.mean(values[5:-1:7]))
    assert found.reach[0] < 1


def test_a_trend_and_weekdays_go_together() -> None:
    values = np.array([10.0 * (index % 7 > 4) + index for index in range(27)]) + noise(27)
    found = expected(values)
    assert found.values[0] == pytest.approx(36, abs=0.5)
    assert found.reach[0] < 1.5


def test_a_trend_of_six_days_is_not_believed() -> None:
    found = expected(np.arange(7.0))
    assert found.values[0] == pytest.approx(2.5)


def test_an_outlier_is_left_out_as_if_it_had_never_been() -> None:
    values = noise(27)
    values[11] = 9.0
    *moments, now = days(27)
    del moments[11]
    without = np.delete(values, 11)
    history = Numbers(without[:-1, None], np.full((25, 1), TINY))
    same = expected_of(history, moments, Numbers(without[-1:], np.array([TINY])), now, CHANCE)
    found = expected(values)
    assert found.values[0] == pytest.approx(same.values[0])
    assert found.reach[0] == pytest.approx(same.reach[0])


def test_an_outlier_on_the_same_weekday_is_kept() -> None:
    values = noise(16)
    values[8] = 9.0
    assert expected(values).reach[0] > 5


def test_a_history_without_any_scatter_is_given_that_of_sampling() -> None:
    found = expected(np.zeros(21), variance=0.01, seen_variance=0.01)
    assert found.reach[0] == pytest.approx(stats.t.isf(CHANCE / 2, 19) * 0.1 * np.sqrt(1 + 1 / 20))


def test_a_partition_with_fewer_rows_is_given_more_room() -> None:
    alike, thin = (expected(noise(21), 0.01, variance) for variance in (0.01, 0.04))
    assert thin.reach[0] == pytest.approx(alike.reach[0] * np.sqrt((1 + 1 / 20 + 3) / (1 + 1 / 20)), rel=0.3)


@pytest.mark.parametrize("partitions", [4, 8, 28])
def test_the_chance_of_an_alarm_is_kept_whatever_the_length_of_the_history(partitions: int) -> None:
    numbers = 20_000
    *moments, now = days(partitions + 1)
    values = np.random.default_rng(5).normal(0, 1, (partitions + 1, numbers))
    history = Numbers(values[:-1], np.full((partitions, numbers), TINY))
    found = expected_of(history, moments, Numbers(values[-1], np.full(numbers, TINY)), now, 0.01)
    alarms = float((abs(values[-1] - found.values) > found.reach).mean())
    assert alarms == pytest.approx(0.01, abs=0.005)
