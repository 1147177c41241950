"""Runs that report what other processes did: they begin with their first event, and none stays open."""

from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration import sensors
from spam_pipeline.orchestration.events import ELSEWHERE
from spam_pipeline.orchestration.reported_run import ReportedRun
from spam_pipeline.orchestration.sensors import publications_sensor
from spam_pipeline.protocol.operating import Engine
from spam_pipeline_tests.protocol.toy_pipeline import land

NUMBERS = dg.AssetKey("numbers")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1")
    return home


def a_run(instance: dg.DagsterInstance) -> ReportedRun:
    return ReportedRun(instance, ELSEWHERE, "A test.", {})


def statuses(instance: dg.DagsterInstance) -> list[dg.DagsterRunStatus]:
    return [run.status for run in instance.get_runs(dg.RunsFilter(job_name=ELSEWHERE))]


def test_without_an_event_there_is_no_run(instance: dg.DagsterInstance) -> None:
    with a_run(instance):
        pass
    assert statuses(instance) == []


def test_it_ends_with_the_block(instance: dg.DagsterInstance) -> None:
    with a_run(instance) as run:
        run.planned(NUMBERS, "2026-01-01")
        assert statuses(instance) == [dg.DagsterRunStatus.STARTED]
    assert statuses(instance) == [dg.DagsterRunStatus.SUCCESS]


def test_one_that_could_not_report_has_failed(instance: dg.DagsterInstance) -> None:
    def report() -> None:
        with a_run(instance) as run:
            run.planned(NUMBERS, "2026-01-01")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        report()
    assert statuses(instance) == [dg.DagsterRunStatus.FAILURE]


def test_one_that_was_told_to_fail_stays_failed(instance: dg.DagsterInstance) -> None:
    with a_run(instance) as run:
        run.fail("refused")
    assert statuses(instance) == [dg.DagsterRunStatus.FAILURE]


def test_one_whose_process_died_is_ended_by_the_daemon(
    engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(instance).planned(NUMBERS, "2026-01-01")
    sensor = publications_sensor(lambda: engine)
    sensor(dg.build_sensor_context(instance=instance))
    assert dg.DagsterRunStatus.STARTED in statuses(instance), "its process may be at it"
    monkeypatch.setattr(sensors, "_ABANDONED_SECONDS", 0)
    sensor(dg.build_sensor_context(instance=instance))
    assert dg.DagsterRunStatus.STARTED not in statuses(instance)
