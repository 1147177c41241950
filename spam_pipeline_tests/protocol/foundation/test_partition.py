"""Partition keys."""

import pytest

from spam_pipeline.partitions import event_days, statement_months, unpartitioned
from spam_pipeline.protocol.foundation.errors import WrongDefinition, WrongPartition
from spam_pipeline.protocol.foundation.partition import (
    Grain,
    Partitions,
    day_of,
    days_before,
    key_of,
    month_of,
    name_of,
    span_of,
)

hours = Partitions("hour", Grain.HOUR)
markets = Partitions("market", Grain.NONE, ("AT", "DE"))
market_days = Partitions("market day", Grain.DAY, ("AT", "DE"))
market_months = Partitions("market month", Grain.MONTH, ("AT", "DE"))


@pytest.mark.parametrize(
    ("grid", "key"),
    [
        (event_days, "2026-01-05"),
        (event_days, "2024-02-29"),
        (statement_months, "2026-12"),
        (unpartitioned, "all"),
        (hours, "2026-01-05T00"),
        (hours, "2026-01-05T23"),
        (markets, "DE"),
        (market_days, "2026-01-05|DE"),
        (market_months, "2026-01|AT"),
    ],
)
def test_a_grid_accepts_its_own_keys(grid: Partitions, key: str) -> None:
    assert grid.check(key) == key


@pytest.mark.parametrize(
    ("grid", "key"),
    [
        (event_days, "2026-02-30"),
        (event_days, "2026-1-5"),
        (event_days, "20260105"),
        (event_days, "2026-W01-1"),
        (event_days, "../../etc"),
        (event_days, "2026-01-05\n"),
        (event_days, "2026-01-05' or '1'='1"),
        (event_days, "all"),
        (statement_months, "2026-13"),
        (statement_months, "2026-01-05"),
        (unpartitioned, "2026-01-05"),
        (hours, "2026-01-05T24"),
        (hours, "2026-01-05T7"),
        (hours, "2026-01-05"),
        (hours, "2026-01-05T07\n"),
        (markets, "FR"),
        (markets, "all"),
        (markets, "../DE"),
        (markets, "all|DE"),
        (market_days, "2026-01-05"),
        (market_days, "DE"),
        (market_days, "DE|2026-01-05"),
        (market_days, "2026-01-05|FR"),
        (market_days, "2026-01-05|DE|AT"),
        (market_days, "2026-01|DE"),
    ],
)
def test_a_grid_refuses_every_other_key_and_says_what_it_expects(grid: Partitions, key: str) -> None:
    with pytest.raises(WrongPartition, match="expected"):
        grid.check(key)


def test_days_are_counted_across_months_and_leap_days() -> None:
    assert days_before("2024-03-01", 1) == "2024-02-29"
    assert days_before("2026-01-31", -1) == "2026-02-01"
    assert month_of("2026-01-31") == "2026-01"


@pytest.mark.parametrize("names", [("DE", "DE"), ("",), ("../x",), ("a|b",), (".",), ("a" * 65,), ("D E",)])
def test_a_name_is_one_that_can_be_a_folder_and_stands_once(names: tuple[str, ...]) -> None:
    with pytest.raises(WrongDefinition, match="expected different names"):
        Partitions("market", Grain.NONE, names)


def test_a_key_is_put_together_from_a_span_and_a_name_and_taken_apart_again() -> None:
    assert key_of("2026-01-05T07", "DE") == "2026-01-05T07|DE"
    assert (span_of("2026-01-05T07|DE"), day_of("2026-01-05T07|DE"), name_of("2026-01-05T07|DE")) == (
        "2026-01-05T07",
        "2026-01-05",
        "DE",
    )
    assert key_of("all", "DE") == name_of("DE") == "DE"


@pytest.mark.parametrize(
    ("grid", "key", "last_day"),
    [
        (hours, "2026-01-05T07", "2026-01-05"),
        (market_days, "2026-01-05|DE", "2026-01-05"),
        (market_months, "2026-01|DE", "2026-01-31"),
    ],
)
def test_a_partition_is_open_until_the_landing_zone_is_past_its_last_day(
    grid: Partitions, key: str, last_day: str
) -> None:
    assert grid.is_open(key, last_day)
    assert not grid.is_open(key, days_before(last_day, -1))


def test_a_partition_without_a_span_is_never_open() -> None:
    assert not markets.is_open("DE", "0001-01-01")


def test_what_is_comparable_is_the_same_hour_of_other_days_and_the_same_name() -> None:
    assert hours.series_of("2026-01-05T07") == hours.series_of("2026-02-01T07") != hours.series_of("2026-01-05T08")
    assert market_days.series_of("2026-01-05|DE") == market_days.series_of("2026-01-06|DE")
    assert market_days.series_of("2026-01-05|DE") != market_days.series_of("2026-01-05|AT")
    assert markets.series_of("DE") != markets.series_of("AT")
    assert event_days.series_of("2026-01-05") == event_days.series_of("2026-01-06")
