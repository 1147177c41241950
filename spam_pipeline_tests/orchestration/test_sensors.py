"""What looks around while the daemon runs: each tick by itself, over a real ledger and a real instance."""

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO, cast

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.storage.compute_log_manager import ComputeIOType

from spam_pipeline.definitions import build_definitions
from spam_pipeline.orchestration import sensors
from spam_pipeline.orchestration.sensors import converge_sensor, landing_sensor, publications_sensor
from spam_pipeline.protocol.foundation.errors import LandingVanished
from spam_pipeline.protocol.operating import OBSERVING, PRODUCTION, Engine, Overview, converge, stops
from spam_pipeline.settings import Settings
from spam_pipeline_tests.orchestration.toy_location import (
    last_check,
    materialize,
    observed,
    start_run,
    told,
    with_unlucky_numbers,
)
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2")
    land(home, "2026-01-02", "a", "2026-01-02 10")
    land(home, "2026-01-02", "b", "2026-01-02 11")
    return home


def look(engine: Engine, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """A tick of the landing sensor."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    result = landing_sensor(lambda: engine)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def seen(result: dg.SensorResult) -> Mapping[tuple[str, str | None], Mapping[str, object]]:
    """What a tick observed, by source and partition."""
    observations = [event for event in result.asset_events if isinstance(event, dg.AssetObservation)]
    assert len(observations) == len(result.asset_events)
    return {
        (event.asset_key.path[-1], event.partition): {name: value.value for name, value in event.metadata.items()}
        for event in observations
    }


def tell(engine: Engine, instance: dg.DagsterInstance) -> str:
    """A tick of the publications sensor."""
    result = publications_sensor(lambda: engine)(dg.build_sensor_context(instance=instance))
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def test_what_landed_is_told_as_observations_of_its_source_and_partition(
    home: Path, instance: dg.DagsterInstance
) -> None:
    found = seen(look(toy_engine(home), instance))
    assert set(found) == {("landed_numbers", "2026-01-01"), ("landed_numbers", "2026-01-02")}
    second = found["landed_numbers", "2026-01-02"]
    assert (second["files"], second["gone"], second["last"]) == (2, 0, "2026-01-02/b.txt")
    sizes = [(home / "landing/2026-01-02" / name).stat().st_size for name in ("a.txt", "b.txt")]
    assert (second["size_bytes"], second["size"]) == (sum(sizes), f"{sum(sizes)} bytes")


def test_a_decision_that_landed_is_no_file_of_a_source(home: Path, instance: dg.DagsterInstance) -> None:
    document = home / "landing" / "decisions" / "2026-01-02" / f"{'0' * 64}.json"
    document.parent.mkdir(parents=True)
    document.write_text("{}")
    assert {source for source, _ in seen(look(toy_engine(home), instance))} == {"landed_numbers"}


def test_nothing_is_told_twice(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    first = look(engine, instance)
    again = look(engine, instance, first.cursor)
    assert again.asset_events == []
    assert str(again.skip_reason.skip_message if again.skip_reason else "") == "nothing new in the landing zone"
    land(home, "2026-01-02", "late", "2026-01-02 12")
    later = look(engine, instance, first.cursor)
    assert [(key, item["files"]) for key, item in seen(later).items()] == [(("landed_numbers", "2026-01-02"), 1)]


def test_what_somebody_else_observed_is_told_too(home: Path, instance: dg.DagsterInstance) -> None:
    observed(home)
    assert len(seen(look(toy_engine(home), instance))) == 2


def test_a_landing_zone_that_has_gone_is_a_stop_until_it_is_back(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    (home / "landing").rename(home / "elsewhere")
    with pytest.raises(LandingVanished):
        look(engine, instance)
    assert [item.what for item in stops(engine)] == [OBSERVING]
    (home / "elsewhere").rename(home / "landing")
    look(engine, instance)
    assert stops(engine) == []


def test_a_file_that_has_gone_is_told(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    cursor = look(engine, instance).cursor
    (home / "landing/2026-01-02/b.txt").unlink()
    gone = seen(look(engine, instance, cursor))["landed_numbers", "2026-01-02"]
    assert (gone["files"], gone["gone"], gone["last"], gone["size_bytes"]) == (0, 1, "2026-01-02/b.txt", 0)


def test_a_cursor_that_was_reset_tells_everything_again(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    first = look(engine, instance)
    assert seen(look(engine, instance)) == seen(first)


def test_a_tick_tells_so_much_and_the_next_one_goes_on(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_OBSERVATIONS_PER_TICK", 1)
    engine = toy_engine(home)
    cursor, paths = None, []
    for _ in range(3):
        result = look(engine, instance, cursor)
        paths += [item["last"] for item in seen(result).values()]
        cursor = result.cursor
    assert paths == ["2026-01-01/a.txt", "2026-01-02/a.txt", "2026-01-02/b.txt"]
    assert look(engine, instance, cursor).asset_events == []


def test_replaced_bytes_are_another_data_version(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    first = look(engine, instance)
    land(home, "2026-01-01", "a", "2026-01-01 3")
    second = look(engine, instance, first.cursor)
    observations = (event for result in (first, second) for event in result.asset_events)
    versions = [event.tags["dagster/data_version"] for event in observations if isinstance(event, dg.AssetObservation)]
    assert len(set(versions)) == len(versions) == 3


def test_what_was_published_elsewhere_is_told(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    converge(toy_engine(home))
    count = len(engine.ledger.publications_after(0, PRODUCTION))
    assert tell(engine, instance) == f"reported {count} publications"
    assert len(told(instance, "numbers", "2026-01-01")) == 1
    assert tell(engine, instance) == "nothing was published elsewhere"


def test_a_check_shows_that_a_day_is_late_as_soon_as_it_is(home: Path, instance: dg.DagsterInstance) -> None:
    second = timedelta(seconds=0.5)
    engine = observed(
        home, stages=tuple(replace(item, deadline=second if item.name == "numbers" else None) for item in STAGES)
    )
    sensor, cursor = publications_sensor(lambda: engine), None
    found = []
    for _ in range(2):
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        sensor(context)
        cursor = context.cursor
        found.append(last_check(instance, "numbers", "converged"))
        time.sleep(0.6)
    assert [item and item.severity for item in found] == [dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR]


def test_a_tick_tells_so_many_publications_and_the_next_one_goes_on(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_PUBLICATIONS_PER_TICK", 5)
    engine = observed(home)
    converge(engine)
    left = len(engine.ledger.publications_after(0, PRODUCTION))
    while left:
        assert tell(engine, instance) == f"reported {min(left, 5)} publications"
        left -= min(left, 5)
    assert tell(engine, instance) == "nothing was published elsewhere"


def grow_old(instance: dg.DagsterInstance, seconds: float) -> None:
    """Say that every run of the instance started so long ago."""
    with sqlite3.connect(Path(instance.root_directory) / "history" / "runs.db") as runs:
        runs.execute("update runs set start_time = start_time - ?", (seconds,))
    runs.close()


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_convergence_whose_process_died_is_ended(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    run = start_run(engine, instance)
    grow_old(instance, 31)
    tell(engine, instance)
    assert status(instance, run) is dg.DagsterRunStatus.FAILURE


def test_people_are_notified_at_each_tick_of_lateness_alone_while_a_convergence_is_under_way(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine, notified = observed(home), list[bool]()

    def notify(_found: Overview, *, only_late: bool = False) -> None:
        notified.append(only_late)

    sensor = publications_sensor(lambda: engine, notify=notify)
    sensor(dg.build_sensor_context(instance=instance))
    start_run(engine, instance)
    with toy_engine(home).claims.on_converging(PRODUCTION):
        sensor(dg.build_sensor_context(instance=instance))
    assert notified == [False, True]


def test_a_convergence_that_has_just_started_is_left_alone(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    run = start_run(engine, instance)
    tell(engine, instance)
    assert status(instance, run) is dg.DagsterRunStatus.STARTED


def test_a_convergence_that_holds_its_claim_is_left_alone(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    run = start_run(engine, instance)
    grow_old(instance, 3600)
    with toy_engine(home).claims.on_converging(PRODUCTION):
        tell(engine, instance)
    assert status(instance, run) is dg.DagsterRunStatus.STARTED


def test_runs_of_other_assets_are_left_alone(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    run = start_run(engine, instance, "received_numbers", "2026-01-01")
    grow_old(instance, 3600)
    tell(engine, instance)
    assert status(instance, run) is dg.DagsterRunStatus.STARTED


def test_the_claim_is_free_after_a_tick(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    start_run(engine, instance)
    tell(engine, instance)
    assert materialize(engine, instance).asset_materializations_for_node("convergence")


def test_the_logs_of_ticks_are_removed_and_those_of_runs_are_not(home: Path, instance: dg.DagsterInstance) -> None:
    keys = [["__repository__", "converge", "a tick"], ["a run", "compute_logs", "a step"]]
    for key in keys:
        with instance.compute_log_manager.open_log_stream(key, ComputeIOType.STDERR) as log:
            assert log is not None
            cast("IO[str]", log).write("said")
    tell(observed(home), instance)
    left = [instance.compute_log_manager.get_log_data(key).stderr for key in keys]
    assert left == [None, b"said"]


def test_all_start_by_themselves(tmp_path: Path) -> None:
    location = build_definitions(Settings(home=tmp_path / "home")).get_repository_def()
    assert {sensor.name: sensor.default_status.value for sensor in location.sensor_defs} == {
        "landing": "RUNNING",
        "converge": "RUNNING",
        "publications": "RUNNING",
    }


def test_the_condition_is_evaluated_where_the_ledger_can_be_asked() -> None:
    assert converge_sensor(["numbers"]).sensor_type is SensorType.AUTOMATION, "not in the daemon itself"


def test_a_failure_that_was_taken_back_is_no_longer_shown(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(observed(home), instance)
    materialize(observed(home, stages=with_unlucky_numbers()), instance)
    shown = last_check(instance, "numbers", "contract")
    assert shown is not None
    assert not shown.passed
    tell(observed(home, stages=with_unlucky_numbers()), instance)
    assert len(told(instance, "numbers", "2026-01-02")) == 1, "it is not repaired"

    repaired = observed(home)
    materialize(
        repaired, instance
    )  # takes back what the other days had of the broken code, and tells nothing of this one
    assert len(told(instance, "numbers", "2026-01-02")) == 1
    tell(repaired, instance)

    assert len(told(instance, "numbers", "2026-01-02")) == 1, "nothing that other teams would start with"
    for name in ("contract", "converged"):
        shown = last_check(instance, "numbers", name)
        assert shown is not None
        assert shown.passed


def test_a_convergence_of_another_environment_is_left_alone(home: Path, instance: dg.DagsterInstance) -> None:
    run = start_run(toy_engine(home), instance)
    grow_old(instance, 31)
    tell(toy_engine(home, environment="branch"), instance)
    assert status(instance, run) is dg.DagsterRunStatus.STARTED


def test_a_failure_that_was_repaired_by_a_new_version_is_told_once(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(observed(home, stages=with_unlucky_numbers()), instance)
    repaired = observed(home)
    materialize(repaired, instance)
    tell(repaired, instance)
    assert len(told(instance, "numbers", "2026-01-02")) == 1


def test_what_waits_for_somebody_is_shown_though_no_convergence_starts_for_it(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = toy_engine(home)
    engine.observe()
    converge(engine)
    tick = publications_sensor(lambda: engine)
    tick(dg.build_sensor_context(instance=instance))
    shown = last_check(instance, "received_numbers", "converged")
    assert shown is not None
    assert shown.passed
    (home / "landing/2026-01-01/a.txt").unlink()
    engine.observe()
    tick(dg.build_sensor_context(instance=instance))
    shown = last_check(instance, "received_numbers", "converged")
    assert shown is not None
    assert not shown.passed
    assert "what it was made from is gone" in str(shown.metadata["not_fresh"].value)
