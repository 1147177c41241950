"""Observing: how much of the landing zone the engine inspects, and what becomes of a look that is cut short."""

from dataclasses import replace
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution import engine as module
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.ledger.records import Observation
from spam_pipeline.protocol.storage import looks
from spam_pipeline.protocol.storage.looks import Rounds
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
NOON = 1_772_366_400.0
"""A time after all of the days."""


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine whose landing zone has more files than a look inspects at once, all of them observed, at a second of nobody's turn."""
    for day in DAYS:
        land(tmp_path, day, "a", f"{day} 1")
    for place in (module, looks):
        monkeypatch.setattr(place, "FILES_AT_ONCE", 5)
    monkeypatch.setattr(looks, "_FIRST_SECONDS", 0)
    engine = replace(toy_engine(tmp_path), rounds=Rounds(lambda: NOON))
    engine.observe()
    return engine


def paths(seen: list[Observation]) -> list[str]:
    return [item.path for item in seen]


def test_a_tick_sees_what_is_new_in_the_newest_days_and_the_rest_when_its_turn_comes(
    large: Engine, tmp_path: Path
) -> None:
    for day in (DAYS[0], DAYS[-1], "2025-12-31"):
        land(tmp_path, day, "late", f"{day} 2")
    assert paths(large.observe_recent()) == ["2025-12-31/late.txt", f"{DAYS[-1]}/late.txt"]
    assert large.observe_recent() == []
    hour_later = replace(large, rounds=Rounds(iter([NOON, NOON + 3600]).__next__))
    assert hour_later.observe_recent() == []
    assert paths(hour_later.observe_recent()) == [f"{DAYS[0]}/late.txt"]


def test_a_small_landing_zone_is_inspected_as_a_whole_by_every_tick(tmp_path: Path) -> None:
    for day in DAYS:
        land(tmp_path, day, "a", f"{day} 1")
    engine = toy_engine(tmp_path)
    assert len(engine.observe_recent()) == len(DAYS)
    land(tmp_path, DAYS[0], "late", f"{DAYS[0]} 2")
    assert paths(engine.observe_recent()) == [f"{DAYS[0]}/late.txt"]


def test_a_new_folder_that_a_tick_had_no_time_for_is_inspected_again(large: Engine, tmp_path: Path) -> None:
    for number in range(250):
        land(tmp_path, "2025-12-31", f"{number:03}", "2025-12-31 1")
    assert [len(large.observe_recent(seconds=0)) for _ in range(3)] == [200, 50, 0]


def test_a_landing_zone_that_became_large_while_ticks_had_no_time_is_observed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILES_AT_ONCE", 5)
    monkeypatch.setattr(looks, "FILES_AT_ONCE", 5)
    for day in DAYS:
        for number in range(30):
            land(tmp_path, day, f"{number:03}", f"{day} 1")
    engine = toy_engine(tmp_path)
    assert [len(engine.observe_recent(seconds=0)) for _ in range(3)] == [200, 100, 0]


def test_partitions_inspect_their_own_dates_and_one_that_reads_no_file_nothing(large: Engine, tmp_path: Path) -> None:
    for day in DAYS[:3]:
        land(tmp_path, day, "late", f"{day} 2")
    assert large.observe_for("numbers", DAYS[0]) == []
    assert paths(large.observe_for("received_numbers", *DAYS[1:3])) == [f"{day}/late.txt" for day in DAYS[1:3]]
    assert paths(large.observe()) == [f"{DAYS[0]}/late.txt"]
