from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from spam_pipeline.protocol.drift.levels import Floats
from spam_pipeline.protocol.drift.mixes import Mix, mix_of
from spam_pipeline.protocol.drift.moments import Moment, moment_of

CHANCE = 0.01
SHARES = np.array([0.5, 0.2, 0.15, 0.1, 0.05])


def days(count: int) -> list[Moment]:
    """Days from a Monday on."""
    return [moment_of((date(2026, 1, 5) + timedelta(days=index)).isoformat()) for index in range(count)]


def held(counts: Floats) -> Mix:
    """The last of these days held against the others."""
    *moments, now = days(len(counts))
    return mix_of(counts[:-1], moments, counts[-1], now, CHANCE)


def drawn(partitions: int, rows: int, seed: int, cluster: int = 1, shares: Floats = SHARES) -> Floats:
    """Counts of independent rows, or of rows that come in clusters of a size."""
    random = np.random.default_rng(seed)
    return random.multinomial(rows // cluster, shares, size=partitions).astype(np.float64) * cluster


@pytest.mark.parametrize("rows", [1_000, 1_000_000])
@pytest.mark.parametrize("cluster", [1, 20])
def test_the_chance_of_an_alarm_is_kept_at_any_size_and_with_clusters(rows: int, cluster: int) -> None:
    alarms = [held(drawn(21, rows, seed, cluster)).excess > 1 for seed in range(600)]
    assert np.mean(alarms) < 2 * CHANCE


def test_the_chance_of_an_alarm_is_kept_when_the_day_has_other_sizes_than_the_past() -> None:
    alarms = []
    for seed in range(300):
        past, now = drawn(20, 10_000, seed, 10), drawn(1, (1_000, 100_000)[seed % 2], 1_000 + seed, 10)
        alarms.append(held(np.vstack([past, now])).excess > 1)
    assert np.mean(alarms) < 2 * CHANCE


def test_sampling_noise_is_allowed_for_even_if_the_past_has_none() -> None:
    past = np.tile(SHARES * 1_000, (20, 1))
    alarms = [held(np.vstack([past, drawn(1, 1_000, seed)])).excess > 1 for seed in range(300)]
    assert np.mean(alarms) < 2 * CHANCE


def test_the_distance_is_the_g_statistic_of_a_contingency_table() -> None:
    past, now = np.tile(SHARES * 1_000, (20, 1)), np.array([[450.0, 250.0, 150.0, 100.0, 50.0]])
    table = np.vstack([now, past.sum(axis=0)])
    g = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert held(np.vstack([past, now])).excess == pytest.approx(g / stats.chi2.isf(CHANCE, 4))


@pytest.mark.parametrize(("moved", "is_far"), [(0.001, False), (0.1, True)])
def test_a_tenth_of_the_rows_elsewhere_is_far_and_a_thousandth_is_not(moved: float, is_far: bool) -> None:  # noqa: FBT001
    shares = SHARES + moved * np.array([-1, 0, 0, 0, 1])
    mix = held(np.vstack([drawn(20, 20_000, 1), drawn(1, 20_000, 2, shares=shares)]))
    assert (mix.excess > 1) is is_far
    assert mix.partitions == 20
    assert abs(mix.seen - mix.expected).sum() / 2 == pytest.approx(moved, abs=0.01)
    assert mix.usual < 0.02


def test_a_weekday_of_its_own_mix_is_held_against_its_own_past() -> None:
    weekend = SHARES[::-1]
    counts = np.vstack([drawn(1, 20_000, index, shares=weekend if index % 7 > 4 else SHARES) for index in range(34)])
    saturday, as_on_a_monday = held(counts), held(np.vstack([counts[:-1], drawn(1, 20_000, 99)]))
    assert saturday.excess < 1 < as_on_a_monday.excess
    assert saturday.expected == pytest.approx(weekend, abs=0.01)


def test_an_outlier_is_left_out_unless_it_is_of_the_same_weekday() -> None:
    for outlier, partitions in ((11, 25), (12, 26)):
        counts = drawn(27, 20_000, 4)
        counts[outlier] = counts[outlier][::-1]
        assert held(counts).partitions == partitions


def test_months_are_held_against_all_others() -> None:
    counts = drawn(25, 20_000, 6)
    months = [Moment(place, None) for place in range(25)]
    assert mix_of(counts[:-1], months[:-1], counts[-1], months[-1], CHANCE).excess < 1
    assert mix_of(counts[:-1], months[:-1], counts[-1][::-1], months[-1], CHANCE).excess > 1
