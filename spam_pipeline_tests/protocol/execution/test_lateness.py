"""Lateness: settled partitions that are not ready by the deadline of their stage, and since when."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.lateness import late_partitions
from spam_pipeline.protocol.ledger.records import DecisionKind
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIX_HOURS = timedelta(hours=6)
WAITED_FOR = {"two_day_total", "monthly_total"}
WITH_DEADLINES = tuple(replace(item, deadline=SIX_HOURS) if item.name in WAITED_FOR else item for item in STAGES)


def late(engine: Engine, now: datetime) -> list[str]:
    return [str(item) for item in late_partitions(engine, engine.planner.report(), now)]


def run(engine: Engine) -> None:
    engine.observe()
    converge(engine)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Two days have landed, of which the first is settled, and have converged."""
    land(tmp_path, "2026-01-01", "a", "2026-01-01 1")
    land(tmp_path, "2026-01-02", "a", "2026-01-02 2")
    opened = toy_engine(tmp_path, stages=WITH_DEADLINES)
    run(opened)
    yield opened
    opened.ledger.close()


def test_what_is_fresh_is_never_late_however_long_ago_its_days_are(engine: Engine) -> None:
    assert late(engine, NOON) == late(engine, NOON + timedelta(days=365)) == []


def test_the_clock_starts_when_a_settled_day_is_first_found_unready(engine: Engine, tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "b", "2026-01-01 -5")
    run(engine)
    assert late(engine, NOON) == [], "the first look starts the clock"
    assert late(engine, NOON + SIX_HOURS - timedelta(seconds=1)) == []
    assert late(engine, NOON + SIX_HOURS) == [
        "two_day_total 2026-01-01: due 2026-03-01 18:00 UTC; rests on received_numbers 2026-01-01: its version was refused"
    ], "it is published, but what landed for the day is not in it"


def test_everything_that_is_observed_at_once_has_its_whole_time(tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        land(tmp_path, day, "a", f"{day} 1")
    engine = toy_engine(tmp_path, stages=WITH_DEADLINES)
    engine.observe()
    assert late(engine, NOON) == []
    assert late(engine, NOON + SIX_HOURS) == [
        "two_day_total 2026-01-01: due 2026-03-01 18:00 UTC; rests on received_numbers 2026-01-01: the wanted version is not published",
        "two_day_total 2026-01-02: due 2026-03-01 18:00 UTC; rests on received_numbers 2026-01-02: the wanted version is not published",
    ], "the last day and the month may still grow"


def test_what_is_ready_is_not_late_any_more_and_has_its_whole_time_the_next_time(
    engine: Engine, tmp_path: Path
) -> None:
    land(tmp_path, "2026-01-01", "b", "2026-01-01 -5")
    run(engine)
    assert late(engine, NOON) == []
    refused = engine.ledger.versions("received_numbers", "2026-01-01")[-1][0]
    decide(engine, refused.recipe, DecisionKind.ACCEPT, "anna", "a refund")
    converge(engine)  # the toys' contract of `numbers` refuses the same number
    decide(engine, engine.ledger.versions("numbers", "2026-01-01")[-1][0].recipe, DecisionKind.ACCEPT, "anna", "again")
    converge(engine)
    assert late(engine, NOON + timedelta(days=1)) == []
    land(tmp_path, "2026-01-01", "c", "2026-01-01 -6")
    run(engine)
    assert late(engine, NOON + timedelta(days=2)) == []
    assert len(late(engine, NOON + timedelta(days=2) + SIX_HOURS)) == 1


def test_a_month_is_settled_with_its_last_day_and_rests_on_its_days(engine: Engine, tmp_path: Path) -> None:
    land(tmp_path, "2026-01-02", "b", "2026-01-02 -5")
    land(tmp_path, "2026-02-01", "a", "2026-02-01 3")
    run(engine)
    assert late(engine, NOON) == []
    assert [item.split(":")[0] for item in late(engine, NOON + SIX_HOURS)] == [
        "two_day_total 2026-01-02",
        "monthly_total 2026-01",
    ]


def test_a_report_of_some_stages_leaves_the_clocks_of_others_alone(engine: Engine, tmp_path: Path) -> None:
    land(tmp_path, "2026-01-01", "b", "2026-01-01 -5")
    run(engine)
    assert late(engine, NOON) == []
    assert late_partitions(engine, engine.planner.report(["received_numbers"]), NOON) == []
    assert len(late(engine, NOON + SIX_HOURS)) == 1
