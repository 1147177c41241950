"""Which keys of its upstream a partition reads."""

from collections.abc import Collection

import pytest

from spam_pipeline.protocol.definition.selection import (
    DaysOfMonth,
    EachName,
    EveryName,
    EveryPartition,
    HoursOfDay,
    PartForPartition,
    PartitionsUpTo,
    PartsOfMonth,
    PartsOfTrailingDays,
    PartsUpToMonth,
    SameName,
    SamePartition,
    Selection,
    TrailingDays,
    UpstreamKeys,
)

DAYS = UpstreamKeys.of({f"2026-0{month}-{day:02d}": ["all"] for month in (1, 2) for day in range(1, 29)})
ARRIVALS = UpstreamKeys.of({"2026-01-05": ["2026-01-04", "2026-01-05"], "2026-01-06": ["2026-01-05"], "2026-01-07": []})
MONTHLY_PARTS = UpstreamKeys.of({"all": ["2025-11", "2026-01", "2026-02"]})
MONTHS = UpstreamKeys.of({"2026-01": ["all"], "2026-02": ["2026-01", "2026-02"], "2026-03": ["all"]})
DAILY_PARTS = UpstreamKeys.of({"all": ["2025-12-31", "2026-01-31", "2026-02-01"]})
HOURS = UpstreamKeys.of({"2026-01-05T07": ["all"], "2026-01-05T23": ["all"], "2026-01-06T00": ["all"]})
NAMES = UpstreamKeys.of({"AT": ["all"], "DE": ["all"]})
MARKET_DAYS = UpstreamKeys.of({"2026-01-05|AT": ["all"], "2026-01-05|DE": ["all"], "2026-01-06|DE": ["all"]})
BOTH = ("AT", "DE")
ONE = UpstreamKeys.of({"all": ["all"]})


@pytest.mark.parametrize(
    ("selection", "partition", "upstream", "expected"),
    [
        (SamePartition(), "2026-01-05", DAYS, [("2026-01-05", "all")]),
        (SamePartition(), "2026-01-05", ONE, [("all", "all")]),
        (SamePartition(), "2026-03-01", DAYS, []),
        (TrailingDays(3), "2026-02-02", DAYS, [("2026-02-01", "all"), ("2026-02-02", "all")]),
        (TrailingDays(2), "2026-02-02", DAYS, [("2026-02-01", "all"), ("2026-02-02", "all")]),
        (HoursOfDay(), "2026-01-05", HOURS, [("2026-01-05T07", "all"), ("2026-01-05T23", "all")]),
        (EachName(BOTH), "2026-01-05|DE", DAYS, [("2026-01-05", "all")]),
        (EachName(BOTH, TrailingDays(2)), "2026-02-02|DE", DAYS, [("2026-02-01", "all"), ("2026-02-02", "all")]),
        (EachName(BOTH, EveryPartition()), "DE", NAMES, [("AT", "all"), ("DE", "all")]),
        (SameName(), "2026-01-05|DE", NAMES, [("DE", "all")]),
        (EveryName(BOTH), "2026-01-05", MARKET_DAYS, [("2026-01-05|AT", "all"), ("2026-01-05|DE", "all")]),
        (PartForPartition(), "2026-01-05", ARRIVALS, [("2026-01-05", "2026-01-05"), ("2026-01-06", "2026-01-05")]),
        (PartForPartition(), "2026-01-09", ARRIVALS, []),
        (
            PartsOfMonth(),
            "2026-01",
            ARRIVALS,
            [("2026-01-05", "2026-01-04"), ("2026-01-05", "2026-01-05"), ("2026-01-06", "2026-01-05")],
        ),
        (PartsOfMonth(), "2026-01", DAILY_PARTS, [("all", "2026-01-31")]),
        (PartsOfMonth(), "2026-03", DAILY_PARTS, []),
        (PartsOfTrailingDays(1), "2026-02-01", DAILY_PARTS, [("all", "2026-02-01")]),
        (PartsOfTrailingDays(2), "2026-02-01", DAILY_PARTS, [("all", "2026-01-31"), ("all", "2026-02-01")]),
        (PartsOfTrailingDays(31), "2026-01-31", DAILY_PARTS, [("all", "2026-01-31")]),
        (PartsOfTrailingDays(32), "2026-01-31", DAILY_PARTS, [("all", "2025-12-31"), ("all", "2026-01-31")]),
        (PartsOfTrailingDays(2), "2026-03-01", DAILY_PARTS, []),
        (
            PartsOfTrailingDays(2),
            "2026-01-05",
            ARRIVALS,
            [("2026-01-05", "2026-01-04"), ("2026-01-05", "2026-01-05"), ("2026-01-06", "2026-01-05")],
        ),
        (PartitionsUpTo(), "2026-02", MONTHS, [("2026-01", "all"), ("2026-02", "2026-01"), ("2026-02", "2026-02")]),
        (PartitionsUpTo(), "2025-12", MONTHS, []),
        (PartsUpToMonth(), "2026-01-31", MONTHLY_PARTS, [("all", "2025-11"), ("all", "2026-01")]),
        (PartsUpToMonth(), "2026-02", MONTHLY_PARTS, [("all", "2025-11"), ("all", "2026-01"), ("all", "2026-02")]),
    ],
)
def test_a_partition_reads_these_keys(
    selection: Selection, partition: str, upstream: UpstreamKeys, expected: list[tuple[str, str]]
) -> None:
    assert selection.keys(partition, upstream) == expected


def test_a_month_reads_its_own_days_in_order() -> None:
    keys = DaysOfMonth().keys("2026-02", DAYS)
    assert keys == [(f"2026-02-{day:02d}", "all") for day in range(1, 29)]


def test_everything_is_everything() -> None:
    assert len(EveryPartition().keys("all", DAYS)) == 56


def test_a_partition_is_wanted_where_its_driver_has_something() -> None:
    days = ["2026-01-04", "2026-01-05", "2026-02-01"]
    assert SamePartition().wanted(days, DAYS) == set(days)
    assert DaysOfMonth().wanted(days, DAYS) == {"2026-01", "2026-02"}
    assert EveryPartition().wanted(days, DAYS) == {"all"}
    assert EveryPartition().wanted([], DAYS) == set()
    assert PartsOfTrailingDays(7).wanted(days, DAILY_PARTS) == set(days), "a day is wanted without any part"
    assert PartForPartition().wanted(["2026-01-05"], ARRIVALS) == {"2026-01-04", "2026-01-05"}
    assert PartsOfMonth().wanted(["all"], DAILY_PARTS) == {"2025-12", "2026-01", "2026-02"}
    assert PartsOfMonth().wanted(["all"], ONE) == set()
    assert PartForPartition().wanted(["all"], ONE) == set(), "a version without parts of its own names no partition"


def test_a_partition_waits_for_upstream_partitions_that_are_wanted() -> None:
    days = {"2026-01-04", "2026-01-05", "2026-02-01"}
    assert SamePartition().waits_for("2026-01-05", days) == ["2026-01-05"]
    assert SamePartition().waits_for("2026-01-06", days) == []
    assert SamePartition().waits_for("all", {"all"}) == ["all"]
    assert TrailingDays(3).waits_for("2026-01-06", days) == ["2026-01-04", "2026-01-05"]
    assert DaysOfMonth().waits_for("2026-01", days) == ["2026-01-04", "2026-01-05"]
    assert PartForPartition().waits_for("2026-01-05", days) == []
    assert PartForPartition().waits_for("2026-01-05", {"all"}) == ["all"]
    assert PartsUpToMonth().waits_for("2026-01-05", {"all"}) == ["all"]
    assert PartsOfMonth().waits_for("2026-01", {"all"}) == ["all"]
    assert PartsOfMonth().waits_for("2026-01", days) == []
    assert PartsOfTrailingDays(7).waits_for("2026-01-05", {"all"}) == ["all"]
    assert PartsOfTrailingDays(7).waits_for("2026-01-05", days) == []
    assert EveryPartition().waits_for("all", days) == []


@pytest.mark.parametrize(
    ("selection", "upstream", "expected"),
    [
        (HoursOfDay(), HOURS, {"2026-01-05", "2026-01-06"}),
        (EachName(BOTH), ONE, {"AT", "DE"}),
        (EachName(BOTH, HoursOfDay()), HOURS, {f"2026-01-0{day}|{name}" for day in (5, 6) for name in BOTH}),
        (EveryName(BOTH), MARKET_DAYS, {"2026-01-05", "2026-01-06"}),
    ],
)
def test_wanted_are_the_partitions_of_other_grids_that_have_input(
    selection: Selection, upstream: UpstreamKeys, expected: set[str]
) -> None:
    assert selection.wanted(upstream.parts, upstream) == expected


@pytest.mark.parametrize(
    ("selection", "partition", "there", "expected"),
    [
        (HoursOfDay(), "2026-01-05", HOURS.parts, ["2026-01-05T07", "2026-01-05T23"]),
        (EachName(BOTH), "2026-01-05|DE", ["2026-01-05", "2026-01-06"], ["2026-01-05"]),
        (SameName(), "2026-01-05|DE", ["AT", "DE"], ["DE"]),
        (EveryName(BOTH), "2026-01-06", MARKET_DAYS.parts, ["2026-01-06|DE"]),
    ],
)
def test_a_partition_waits_for_what_it_reads_of_another_grid(
    selection: Selection, partition: str, there: Collection[str], expected: list[str]
) -> None:
    assert selection.waits_for(partition, there) == expected
