"""Which keys of its upstream a partition reads."""

import pytest

from spam_pipeline.protocol.definition.selection import (
    DaysOfMonth,
    EveryPartition,
    PartForPartition,
    PartitionsUpTo,
    PartsOfMonth,
    PartsOfTrailingDays,
    PartsUpToMonth,
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
ONE = UpstreamKeys.of({"all": ["all"]})


@pytest.mark.parametrize(
    ("selection", "partition", "upstream", "expected"),
    [
        (SamePartition(), "2026-01-05", DAYS, [("2026-01-05", "all")]),
        (SamePartition(), "2026-01-05", ONE, [("all", "all")]),
        (SamePartition(), "2026-03-01", DAYS, []),
        (TrailingDays(3), "2026-02-02", DAYS, [("2026-02-01", "all"), ("2026-02-02", "all")]),
        (TrailingDays(2), "2026-02-02", DAYS, [("2026-02-01", "all"), ("2026-02-02", "all")]),
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
