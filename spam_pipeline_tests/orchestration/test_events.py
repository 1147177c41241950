"""What was published elsewhere appears in a Dagster instance."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration import events
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.protocol.operating import PRODUCTION, Engine, converge, run_partition
from spam_pipeline_tests.orchestration.toy_location import materialize, observed, start_run, told
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import take_back

NUMBERS = dg.AssetKey("numbers")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2")
    engine = toy_engine(home)
    engine.observe()
    converge(engine)
    return engine


@pytest.fixture
def landed(tmp_path: Path) -> Engine:
    """A engine of a home on which something landed and nothing ran."""
    home = tmp_path / "landed"
    land(home, "2026-01-01", "a", "2026-01-01 1")
    return observed(home)


def report(instance: dg.DagsterInstance, engine: Engine, environment: str = PRODUCTION) -> int:
    with EventReporter(instance, engine.ledger, environment, engine.graph.expected()) as reporter:
        return reporter.report()


def materializations(instance: dg.DagsterInstance) -> dict[str | None, int]:
    return {
        partition: len(
            instance.fetch_materializations(dg.AssetRecordsFilter(NUMBERS, asset_partitions=[partition]), 10).records
        )
        for partition in ("2026-01-01", "2026-01-02")
    }


def test_every_publication_is_told_once(instance: dg.DagsterInstance, engine: Engine) -> None:
    assert report(instance, engine) == len(engine.ledger.publications_after(0, PRODUCTION))
    assert report(instance, engine) == 0
    assert materializations(instance) == {"2026-01-01": 1, "2026-01-02": 1}
    assert instance.get_materialized_partitions(NUMBERS) == {"2026-01-01", "2026-01-02"}


def test_a_publication_is_told_with_its_metadata_and_its_check(instance: dg.DagsterInstance, engine: Engine) -> None:
    report(instance, engine)
    record = instance.fetch_materializations(
        dg.AssetRecordsFilter(NUMBERS, asset_partitions=["2026-01-02"]), 1
    ).records[0]
    version = engine.reader.version("numbers", "2026-01-02")
    event = record.asset_materialization
    assert event is not None
    assert event.metadata["recipe"].value == version.recipe
    assert event.metadata["fingerprint/total"].value == 2
    assert (event.tags or {})["dagster/data_version"] == version.content
    checks = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(NUMBERS, "contract"), limit=10
    )
    assert {check.status.value for check in checks} == {"SUCCEEDED"}


def test_one_teller_tells_in_one_run_that_has_ended(instance: dg.DagsterInstance, engine: Engine) -> None:
    report(instance, engine)
    assert report(instance, engine) == 0
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]


def test_two_processes_open_a_new_instance_at_once(tmp_path: Path) -> None:
    code = "import sys, pathlib; from spam_pipeline.orchestration.instance import open_instance as o; o(pathlib.Path(sys.argv[1])).dispose()"
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    home = str(tmp_path / "new")
    opening = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, home], env=environment) for _ in range(3)]
    assert [process.wait(timeout=120) for process in opening] == [0, 0, 0]


def test_the_next_version_of_the_same_partition_is_told_too(
    instance: dg.DagsterInstance, engine: Engine, tmp_path: Path
) -> None:
    report(instance, engine)
    land(tmp_path / "home", "2026-01-01", "b", "2026-01-02 3")
    engine.observe()
    converge(engine)
    report(instance, engine)
    assert materializations(instance) == {"2026-01-01": 1, "2026-01-02": 2}


def test_an_instance_that_was_deleted_is_told_everything_again(engine: Engine, tmp_path: Path) -> None:
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name)) as instance:
            report(instance, engine)
            assert materializations(instance) == {"2026-01-01": 1, "2026-01-02": 1}


def runs_that_told(instance: dg.DagsterInstance, stage: str, partition: str) -> list[str]:
    return [item["run"] for item in told(instance, stage, partition)]


def test_what_a_run_published_and_told_is_not_told_again(instance: dg.DagsterInstance, landed: Engine) -> None:
    run = materialize(landed, instance, "received_numbers", "2026-01-01").run_id
    assert report(instance, landed) == 0
    assert runs_that_told(instance, "received_numbers", "2026-01-01") == [run]


def test_what_a_run_published_before_it_was_killed_is_told_in_that_run(
    instance: dg.DagsterInstance, landed: Engine
) -> None:
    run = start_run(landed, instance, "received_numbers", "2026-01-01")
    run_partition(landed, "received_numbers", "2026-01-01", run.run_id)
    instance.report_run_failed(run)
    assert report(instance, landed) == 1
    assert runs_that_told(instance, "received_numbers", "2026-01-01") == [run.run_id]
    assert report(instance, landed) == 0


def test_a_run_that_is_about_to_tell_is_waited_for(instance: dg.DagsterInstance, landed: Engine) -> None:
    run = start_run(landed, instance, "received_numbers", "2026-01-01")
    run_partition(landed, "received_numbers", "2026-01-01", run.run_id)
    run_partition(landed, "numbers", "2026-01-01")
    assert report(instance, landed) == 0, "nor is what comes after it, so that nothing is passed over"
    instance.report_run_failed(run)
    assert report(instance, landed) == 2


def test_a_run_that_hangs_is_not_waited_for_for_ever(
    instance: dg.DagsterInstance, landed: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(landed, instance, "received_numbers", "2026-01-01")
    run_partition(landed, "received_numbers", "2026-01-01", run.run_id)
    monkeypatch.setattr(events, "_OWN_EVENT_SECONDS", 0)
    assert report(instance, landed) == 1


def test_what_a_convergence_published_before_it_was_killed_is_told_in_its_run(
    instance: dg.DagsterInstance, landed: Engine
) -> None:
    run = start_run(landed, instance)
    converge(landed, run=run.run_id)
    assert report(instance, landed) == len(landed.ledger.publications_after(0, PRODUCTION))
    assert runs_that_told(instance, "numbers", "2026-01-01") == [run.run_id]


def test_a_run_of_another_instance_is_told_in_a_run_of_the_teller(instance: dg.DagsterInstance, landed: Engine) -> None:
    converge(landed, run="a run that this instance does not know")
    report(instance, landed)
    assert runs_that_told(instance, "numbers", "2026-01-01") == [run.run_id for run in instance.get_runs()]


def test_a_publication_is_told_with_why_and_how_it_came_about(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    for factor in (1, 2, 1):
        home = tmp_path / "home"
        land(home, "2026-01-01", "a", "2026-01-01 1")
        changed = observed(home, factor=factor)
        converge(changed)
        report(instance, changed)
    shown = told(instance, "two_day_total", "2026-01-01")
    assert [(item["action"], item["why"]) for item in shown] == [
        ("reused", "code: setting factor"),
        ("computed", "code: setting factor"),
        ("computed", "missing"),
    ]


def test_a_retraction_is_told_as_an_observation(instance: dg.DagsterInstance, landed: Engine, tmp_path: Path) -> None:
    land(tmp_path / "landed", "2026-01-02", "a", "2026-01-02 2")
    landed.observe()
    converge(landed)
    report(instance, landed)
    take_back(landed, "received_numbers", "2026-01-01", tmp_path / "landed/landing/2026-01-01/a.txt")
    converge(landed)
    report(instance, landed)
    asked = dg.AssetRecordsFilter(NUMBERS, asset_partitions=["2026-01-01"])
    seen = [record.asset_observation for record in instance.fetch_observations(asked, 10).records]
    assert [item.metadata["action"].value for item in seen if item] == ["retracted"]
    assert len(told(instance, "numbers", "2026-01-01")) == 1


def test_each_environment_is_told_by_itself(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1")
    production, branch = observed(home), toy_engine(home, environment="branch", factor=2)
    converge(production)
    converge(branch)
    assert report(instance, production) == len(production.ledger.publications_after(0, PRODUCTION))
    assert len(told(instance, "two_day_total", "2026-01-01")) == 1
    assert report(instance, branch, "branch") == 2, "the total and the board"
    assert (report(instance, production), report(instance, branch, "branch")) == (0, 0)
    assert len(told(instance, "two_day_total", "2026-01-01")) == 2


def test_a_ledger_that_was_replaced_is_told_from_its_start(
    instance: dg.DagsterInstance, engine: Engine, tmp_path: Path
) -> None:
    report(instance, engine)
    for file in (tmp_path / "home").glob("ledger.db*"):
        if file.is_file():
            file.unlink()
    again = toy_engine(tmp_path / "home")
    again.observe()
    converge(again)
    report(instance, again)
    assert materializations(instance) == {"2026-01-01": 2, "2026-01-02": 2}
