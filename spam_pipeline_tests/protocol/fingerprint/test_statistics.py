"""The numbers of a fingerprint are right, and their estimates know how precise they are."""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.protocol.fingerprint import (
    NULL,
    Averaged,
    Counted,
    Figured,
    Histogram,
    Keys,
    KeySample,
    Measured,
    Proportion,
    Quantiles,
    Recorded,
    Scale,
    Spreading,
    Summed,
    Top,
    measure,
    numbers,
)

DRAWS = 400


def histogram_of(values: list[float]) -> Histogram:
    found = measure({"it": Quantiles(pl.col("value"))}, pl.LazyFrame({"value": values}, {"value": pl.Float64}))["it"]
    assert isinstance(found, Histogram)
    return found


def test_the_numbers_are_named_after_their_measure() -> None:
    keys = KeySample(total=4, distinct=3, top=(Top(1, "song", 2),), sample={1: 2}, entropy_nats=math.log(3))
    found = {
        "plays": Counted(4),
        "money": Summed({"EUR": 100, "SEK": -5}),
        "spam_share": Proportion(1, 4),
        "mean_ms": Averaged(10, 4),
        "countries": Spreading({"SE": 2, "NO": 2}),
        "tracks": keys,
        "ms": Histogram({}, zeros=3, nulls=1),
        "quality": Figured(0.5),
        "rows": Recorded(({"a": 1},)),
    }
    assert numbers(found) == {
        "plays": 4,
        "money_EUR": 100,
        "money_SEK": -5,
        "spam_share": 0.25,
        "mean_ms": 2.5,
        "countries": 2,
        "effective_countries": 2,
        "tracks": 3,
        "effective_tracks": pytest.approx(3),
        "top_share_of_tracks": 0.5,
        "ms_p05": 0,
        "ms_p50": 0,
        "ms_p95": 0,
        "quality": 0.5,
    }


@pytest.mark.parametrize(
    "measured",
    [
        Counted(7),
        Summed({"EUR": 7, "SEK": 1000}),
        Proportion(900, 1000),
        Averaged(10**6, 1000),
        Spreading({"SE": 900, "NO": 100}),
        KeySample(total=1000, distinct=300, top=(Top(1, "", 10),), sample={}, entropy_nats=5.0, surprise_variance=0.2),
        Histogram(dict.fromkeys(range(100), 10), zeros=0, nulls=50),
    ],
)
def test_an_estimate_stands_for_the_number_of_its_name(measured: Measured) -> None:
    exact = measured.numbers("it")
    for name, estimate in measured.estimates("it").items():
        assert estimate.scale.number(estimate.value) == pytest.approx(exact[name], rel=0.1)
        assert 0 < estimate.variance < 0.5


def test_what_has_no_place_on_its_scale_has_no_estimate() -> None:
    without = [Counted(-1), Proportion(3, 2), Proportion(0, 0), Averaged(-1, 1), Figured(0.5), Summed({"SEK": -5})]
    assert [item.estimates("it") for item in without] == [{}] * len(without)


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_and_its_complement_move_equally_far(part: int, rest: int) -> None:
    here, there = (Proportion(count, part + rest).estimates("it")["it"] for count in (part, rest))
    assert here.value == pytest.approx(-there.value)
    assert here.variance == pytest.approx(there.variance)


@pytest.mark.parametrize("value", [-800.0, -3.0, 0.0, 3.0, 800.0])
def test_log_odds_of_any_size_are_a_share(value: float) -> None:
    assert 0 <= Scale.LOGIT.number(value) <= 1
    assert Scale.LOGIT.number(value) + Scale.LOGIT.number(-value) == pytest.approx(1)


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_two_per_cent_of_the_exact_one(values: list[float], share: float) -> None:
    found = histogram_of(values).quantile(share)
    assert found == pytest.approx(sorted(values)[math.floor(share * (len(values) - 1))], rel=0.02 + 1e-9)


def test_zeros_come_before_all_other_numbers_and_nulls_do_not_count() -> None:
    histogram = Histogram({0: 1}, zeros=2, nulls=100)
    assert histogram.quantile(0.5) == 0
    assert histogram.quantile(1.0) == pytest.approx(1, rel=0.021)
    assert Histogram({}, zeros=0, nulls=3).quantile(0.5) is None


@given(st.dictionaries(st.integers(-900, 900), st.integers(1, 9)), st.integers(0, 9), st.integers(0, 9))
def test_shares_are_labelled_by_value_and_add_up(buckets: dict[int, int], zeros: int, nulls: int) -> None:
    histogram = Histogram(buckets, zeros, nulls)
    shares = histogram.shares()
    assert len(shares) == len(buckets) + (zeros > 0) + (nulls > 0)
    assert math.fsum(shares.values()) == pytest.approx(1 if histogram.total else 0)
    assert [float(label) for label in shares if label != NULL] == sorted(
        float(label) for label in shares if label != NULL
    )


def test_the_shares_of_a_spread_are_those_of_its_values() -> None:
    assert Spreading({"NO": 1, "SE": 3}).shares() == {"SE": 0.75, "NO": 0.25}
    assert Spreading({}).shares() == {}


def draws(make: Callable[[np.random.Generator], Measured], name: str) -> tuple[float, float, float]:
    """Mean of an estimate, its variance over draws, and the variance that it claims on the average."""
    found = [make(np.random.default_rng(seed)).estimates("it")[name] for seed in range(DRAWS)]
    values = [estimate.value for estimate in found]
    return float(np.mean(values)), float(np.var(values)), float(np.mean([estimate.variance for estimate in found]))


def test_the_effective_number_of_values_does_not_grow_with_the_sample() -> None:
    shares = 1 / np.arange(1, 31)
    shares /= shares.sum()
    entropy = -float(np.sum(shares * np.log(shares)))
    for rows in (200, 2000):
        mean, seen, claimed = draws(lambda rng, n=rows: _spreading(rng.multinomial(n, shares)), "effective_it")
        assert abs(mean - entropy) < 5 / rows
        assert 0.75 < claimed / seen < 1.3


@pytest.mark.parametrize("counts", [[1], [2, 2], [1, 1, 1], [5, 1]])
def test_never_are_more_values_in_effect_than_there_are(counts: list[int]) -> None:
    spread = Spreading({str(value): count for value, count in enumerate(counts)})
    keys = pl.Series([key for key, count in enumerate(counts) for _ in range(count)], dtype=pl.UInt64)
    sample = measure({"it": Keys(pl.col("key"))}, pl.LazyFrame({"key": keys}))["it"]
    for shown in (spread.numbers("it"), sample.numbers("it")):
        assert 1 <= shown["effective_it"] <= shown["it"] == len(counts)


def _spreading(counts: np.ndarray) -> Spreading:
    return Spreading({str(value): int(count) for value, count in enumerate(counts) if count})


def test_estimates_claim_the_variance_that_independent_rows_have() -> None:
    for make in (
        lambda rng: Counted(int(rng.poisson(200))),
        lambda rng: Proportion(int(rng.binomial(2000, 0.03)), 2000),
        lambda rng: Averaged(int(np.rint(rng.exponential(1e6, 500)).sum()), 500),
    ):
        _, seen, claimed = draws(make, "it")
        assert 0.75 < claimed / seen < 1.3


def test_a_quantile_knows_how_precise_it_is() -> None:
    def histogram(rng: np.random.Generator) -> Histogram:
        buckets, counts = np.unique(
            np.ceil(np.log(rng.lognormal(12, 1, 1000)) / math.log(1.02 / 0.98)), return_counts=True
        )
        return Histogram(dict(zip(buckets.astype(int).tolist(), counts.tolist(), strict=True)), zeros=0, nulls=0)

    for name in ("it_p05", "it_p50", "it_p95"):
        _, seen, claimed = draws(histogram, name)
        assert 0.6 < claimed / seen < 1.6


def test_the_entropy_of_keys_is_that_of_their_counts() -> None:
    keys = pl.Series([key for key in range(50) for _ in range(key + 1)], dtype=pl.UInt64)
    sample = measure({"it": Keys(pl.col("key"))}, pl.LazyFrame({"key": keys}))["it"]
    spread = Spreading({str(key): key + 1 for key in range(50)})
    assert sample.numbers("it")["effective_it"] == pytest.approx(spread.numbers("it")["effective_it"])
    assert sample.estimates("it")["effective_it"] == pytest.approx(spread.estimates("it")["effective_it"])
