"""What was published elsewhere appears in a Dagster instance."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration.events import Teller
from spam_pipeline.protocol.convergence import converge
from spam_pipeline.protocol.ledger import PRODUCTION
from spam_pipeline.protocol.runner import Runner
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_runner

NUMBERS = dg.AssetKey("numbers")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2")
    runner = toy_runner(home)
    runner.observe()
    converge(runner)
    return runner


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


def report(instance: dg.DagsterInstance, runner: Runner) -> int:
    teller = Teller(instance, runner.ledger, PRODUCTION, "here")
    told = teller.tell()
    teller.close()
    return told


def materializations(instance: dg.DagsterInstance) -> dict[str | None, int]:
    return {
        partition: len(
            instance.fetch_materializations(dg.AssetRecordsFilter(NUMBERS, asset_partitions=[partition]), 10).records
        )
        for partition in ("2026-01-01", "2026-01-02")
    }


def test_every_publication_is_told_once(instance: dg.DagsterInstance, runner: Runner) -> None:
    assert report(instance, runner) == len(runner.ledger.publications_after(0, PRODUCTION))
    assert report(instance, runner) == 0
    assert materializations(instance) == {"2026-01-01": 1, "2026-01-02": 1}
    assert instance.get_materialized_partitions(NUMBERS) == {"2026-01-01", "2026-01-02"}


def test_a_publication_is_told_with_its_metadata_and_its_check(instance: dg.DagsterInstance, runner: Runner) -> None:
    report(instance, runner)
    record = instance.fetch_materializations(
        dg.AssetRecordsFilter(NUMBERS, asset_partitions=["2026-01-02"]), 1
    ).records[0]
    version = runner.reader.version("numbers", "2026-01-02")
    told = record.asset_materialization
    assert told is not None
    assert told.metadata["recipe"].value == version.recipe
    assert told.metadata["fingerprint/total"].value == 2
    assert (told.tags or {})["dagster/data_version"] == version.content
    checks = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(NUMBERS, "contract"), limit=10
    )
    assert {check.status.value for check in checks} == {"SUCCEEDED"}


def test_one_teller_tells_in_one_run_that_has_ended(instance: dg.DagsterInstance, runner: Runner) -> None:
    report(instance, runner)
    assert report(instance, runner) == 0
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]


def test_two_processes_open_a_new_instance_at_once(tmp_path: Path) -> None:
    code = "import sys, pathlib; from spam_pipeline.orchestration.instance import open_instance as o; o(pathlib.Path(sys.argv[1])).dispose()"
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    home = str(tmp_path / "new")
    opening = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, home], env=environment) for _ in range(3)]
    assert [process.wait(timeout=120) for process in opening] == [0, 0, 0]


def test_the_next_version_of_the_same_partition_is_told_too(
    instance: dg.DagsterInstance, runner: Runner, tmp_path: Path
) -> None:
    report(instance, runner)
    land(tmp_path / "home", "2026-01-01", "b", "2026-01-02 3")
    runner.observe()
    converge(runner)
    report(instance, runner)
    assert materializations(instance) == {"2026-01-01": 1, "2026-01-02": 2}


def test_an_instance_that_was_deleted_is_told_everything_again(runner: Runner, tmp_path: Path) -> None:
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name)) as instance:
            report(instance, runner)
            assert materializations(instance) == {"2026-01-01": 1, "2026-01-02": 1}
