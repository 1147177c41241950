"""Partition keys."""

import pytest

from spam_pipeline.partitions import event_days, statement_months, unpartitioned
from spam_pipeline.protocol.foundation.errors import WrongPartition
from spam_pipeline.protocol.foundation.partition import Partitions, days_before, month_of


@pytest.mark.parametrize(
    ("grid", "key"),
    [(event_days, "2026-01-05"), (event_days, "2024-02-29"), (statement_months, "2026-12"), (unpartitioned, "all")],
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
    ],
)
def test_a_grid_refuses_every_other_key_and_says_what_it_expects(grid: Partitions, key: str) -> None:
    with pytest.raises(WrongPartition, match="expected"):
        grid.check(key)


def test_days_are_counted_across_months_and_leap_days() -> None:
    assert days_before("2024-03-01", 1) == "2024-02-29"
    assert days_before("2026-01-31", -1) == "2026-02-01"
    assert month_of("2026-01-31") == "2026-01"
