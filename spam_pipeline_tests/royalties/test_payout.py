from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.royalties.payout import CONTRIBUTION, REMAINDER_STEPS, largest_remainder, weigh
from spam_pipeline.royalties.pools import pools_of, with_unfunded_audiences

weight_lists = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)


def revenue(*rows: tuple[str, str, str, str, int]) -> pl.LazyFrame:
    names = ["month", "country", "tier", "currency", "net_revenue_minor"]
    return pl.LazyFrame(rows, schema=dict(zip(names, [pl.String] * 4 + [pl.Int64], strict=True)), orient="row")


@given(st.integers(0, 10**13), weight_lists)
@settings(max_examples=200)
def test_amounts_sum_to_the_pool_and_each_is_less_than_one_unit_off(pool: int, weights: list[int]) -> None:
    total = sum(weights)
    amounts = largest_remainder(pool, weights, total)
    assert sum(amounts) == pool
    for weight, amount in zip(weights, amounts, strict=True):
        assert abs(amount - Fraction(pool * weight, total)) < 1


@given(st.integers(0, 10**6), weight_lists)
def test_who_weighs_nothing_gets_nothing(pool: int, weights: list[int]) -> None:
    amounts = largest_remainder(pool, weights, sum(weights))
    assert all(amount == 0 for weight, amount in zip(weights, amounts, strict=True) if weight == 0)


def test_equal_remainders_are_served_in_order_of_position() -> None:
    assert largest_remainder(2, [1, 1, 1], 3) == [1, 1, 0]


def test_a_larger_remainder_comes_before_an_earlier_position() -> None:
    assert largest_remainder(10, [26, 27, 47], 100) == [2, 3, 5]


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=10), st.integers(0, 10**6))
def test_weights_that_lost_a_trace_in_rounding_down_are_divided_like_exact_ones(parts: list[int], pool: int) -> None:
    total = sum(parts)
    scale = 10**36
    rounded_down = [part * scale // total for part in parts]
    assert largest_remainder(pool, rounded_down, scale) == largest_remainder(pool, parts, total)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 10**9)), min_size=1, max_size=12),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_what_those_by_listening_leave_is_divided_by_plays(lines: list[tuple[bool, int]], idle: int, pool: int) -> None:
    """Lines by listening have millionths of a contribution, the others plays; `idle` contributions are nobody's."""
    by_listening = [number * (CONTRIBUTION // 10**6) if listens else 0 for listens, number in lines]
    by_plays = [0 if listens else number for listens, number in lines]
    accounts = -(-sum(by_listening) // CONTRIBUTION) + idle
    weights, total = weigh(by_listening, by_plays, accounts)
    parts = [Fraction(weight, total) for weight in weights]
    whole = accounts * CONTRIBUTION or 1
    rest = 1 - Fraction(sum(by_listening), whole)
    for part, listening, plays in zip(parts, by_listening, by_plays, strict=True):
        assert part == (rest * Fraction(plays, sum(by_plays)) if plays else Fraction(listening, whole))
    if any(by_plays):
        assert sum(parts) == 1
        assert sum(largest_remainder(pool, weights, total)) == pool


def test_remainders_are_compared_in_steps_of_a_prime() -> None:
    residue = 4  # Lucas-Lehmer, which decides for numbers of the form 2^p - 1
    for _ in range(61 - 2):
        residue = (residue**2 - 2) % REMAINDER_STEPS
    assert residue == 0
    assert REMAINDER_STEPS == 2**61 - 1


def test_a_pool_is_seventy_percent_of_net_revenue_rounded_down() -> None:
    pools = pools_of("2026-01", revenue(("2026-01", "DE", "free", "EUR", 4286))).collect()
    assert pools.rows() == [("DE", "free", "EUR", 3000)]


def test_a_pool_as_large_as_the_type_allows_does_not_overflow() -> None:
    pools = pools_of("2026-01", revenue(("2026-01", "DE", "free", "IDR", 9 * 10**18))).collect()
    assert pools["pool_minor"].to_list() == [63 * 10**17]


def test_revenue_below_zero_makes_an_empty_pool() -> None:
    pools = pools_of("2026-01", revenue(("2026-01", "DE", "free", "EUR", -500))).collect()
    assert pools["pool_minor"].to_list() == [0]


def test_only_the_revenue_of_the_month_is_divided() -> None:
    assert pools_of("2026-01", revenue(("2026-02", "DE", "free", "EUR", 500))).collect().is_empty()


@pytest.mark.parametrize(("tier", "currencies"), [("free", ["EUR"]), ("premium", ["EUR", "XXX"])])
def test_an_audience_without_revenue_has_a_pool_of_nothing_in_no_currency(tier: str, currencies: list[str]) -> None:
    funded = pools_of("2026-01", revenue(("2026-01", "DE", "free", "EUR", 500)))
    heard = pl.LazyFrame({"country": ["DE", "DE"], "tier": [tier, tier]})
    assert with_unfunded_audiences(funded, heard).collect()["currency"].to_list() == currencies
