"""What is quarantined appears in a Dagster instance as failed, wherever it was refused, and goes when it is over."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from spam_pipeline.operations import reporter_process
from spam_pipeline.orchestration import sensors
from spam_pipeline.orchestration.events import ELSEWHERE
from spam_pipeline.orchestration.grids import partitions_definition
from spam_pipeline.orchestration.refusals import REFUSED
from spam_pipeline.orchestration.sensors import publications_sensor
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import Limit
from spam_pipeline.protocol.operating import PRODUCTION, DecisionKind, Engine, Overview, converge, decide
from spam_pipeline.reporter_messages import Assignment, Ending, to_line
from spam_pipeline_tests.orchestration.toy_location import START, last_check, materialize, observed, told
from spam_pipeline_tests.orchestration.watched_numbers import watched
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

ROOT = Path(__file__).parents[2]
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for number, day in enumerate(DAYS, 1):
        land(home, day, "a", f"{day} {number + 10}")
    return home


def tell(engine: Engine, instance: dg.DagsterInstance) -> str:
    """A tick of the sensor that tells what happened elsewhere."""
    result = publications_sensor(lambda: engine)(dg.build_sensor_context(instance=instance))
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def red(instance: dg.DagsterInstance, check: str = "history") -> set[str]:
    """The days of `numbers` that the UI shows as failed in a check's view of its partitions."""
    key, grid = dg.AssetCheckKey(dg.AssetKey("numbers"), check), partitions_definition(event_days, START)
    found = instance.event_log_storage.get_asset_check_state([(key, grid)])[key].subsets
    failed = found.get(AssetCheckExecutionResolvedStatus.FAILED)
    return set(failed.subset_value.get_partition_keys()) if failed else set()


def failed(instance: dg.DagsterInstance) -> set[str]:
    """The days of `numbers` that the UI shows as failed among its partitions."""
    grid = partitions_definition(event_days, START)
    assert grid is not None
    found = get_and_update_asset_status_cache_value(instance, dg.AssetKey("numbers"), grid)
    subset = found.deserialize_failed_partition_subsets(grid) if found else grid.empty_subset()
    return set(subset.get_partition_keys())


def latest(instance: dg.DagsterInstance, asset: str) -> Mapping[str, dg.MetadataValue[Any]]:
    """The metadata of an asset's latest materialization; none if there is none."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return event.asset_materialization.metadata if event and event.asset_materialization else {}


def broken(home: Path) -> Engine:
    """A engine of bad code."""
    return observed(home, stages=watched(broken=True))


def test_what_was_refused_elsewhere_is_shown_and_not_materialized(home: Path, instance: dg.DagsterInstance) -> None:
    engine = broken(home)
    converge(engine)
    assert "3 refusals" in tell(engine, instance)
    assert red(instance) == set(DAYS)
    assert all(told(instance, "numbers", day) == [] for day in DAYS)


def test_a_refused_partition_is_shown_as_failed_by_a_run_that_says_so_and_has_the_evidence(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = broken(home)
    materialize(engine, instance)
    assert failed(instance) == set(DAYS)
    [run] = instance.get_runs(dg.RunsFilter(job_name=REFUSED))
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.job_snapshot_id, "its page opens"
    [event] = instance.fetch_observations(
        dg.AssetRecordsFilter(dg.AssetKey("numbers"), asset_partitions=[DAYS[0]]), 9
    ).records
    assert event.asset_observation is not None
    shown = event.asset_observation.metadata
    refused = engine.ledger.versions("numbers", DAYS[0])[-1][0].recipe
    assert {"findings", "recipe", "computed_at"} <= shown.keys()
    assert str(shown["decide"].value).startswith(f"spam-pipeline decide accept {refused[:16]}")
    assert refused[:16] in str(shown["decide here"].value)


def test_it_is_told_once(home: Path, instance: dg.DagsterInstance) -> None:
    engine = broken(home)
    converge(engine)
    tell(engine, instance)
    assert tell(engine, instance) == "nothing was published elsewhere"


def test_a_convergence_shows_what_it_refused_and_leaves_nothing_for_the_sensor(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = broken(home)
    materialize(engine, instance)
    assert red(instance) == set(DAYS)
    assert tell(engine, instance) == "nothing was published elsewhere"


def test_a_tick_tells_so_many_and_the_next_one_goes_on(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_REFUSALS_PER_TICK", 2)
    engine = broken(home)
    converge(engine)
    assert "2 refusals" in tell(engine, instance)
    assert tell(engine, instance) == "reported 1 refusals"
    assert red(instance) == set(DAYS)


def test_bad_code_that_was_taken_back_is_no_longer_shown(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(observed(home, stages=watched()), instance)
    materialize(broken(home), instance)
    assert red(instance) == set(DAYS)
    repaired = observed(home, stages=watched())
    converge(repaired)
    tell(repaired, instance)
    assert (red(instance), failed(instance)) == (set(), set())
    assert all(len(told(instance, "numbers", day)) == 1 for day in DAYS), "nothing that other teams would start with"


def test_what_is_accepted_is_no_longer_shown_as_refused(home: Path, instance: dg.DagsterInstance) -> None:
    engine = broken(home)
    converge(engine)
    tell(engine, instance)
    refused = engine.ledger.versions("numbers", DAYS[0])[-1][0]
    decide(engine, refused.recipe, DecisionKind.ACCEPT, "anna", "a release")
    tell(engine, instance)
    assert red(instance) == set(DAYS[1:])
    assert len(told(instance, "numbers", DAYS[0])) == 1


def test_what_another_environment_refuses_is_its_own_affair(
    home: Path, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    production = observed(home, stages=watched())
    converge(production)
    branch = toy_engine(home, environment="branch", stages=watched(broken=True))
    converge(branch)
    tell(production, instance)
    assert red(instance) == set()
    (tmp_path / "hers").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "hers")) as hers:
        assert "3 refusals" in tell(branch, hers)
    assert red(instance) == set()


def reported_by_process(messages: bytes) -> None:
    """Let a process report what these messages say, until they end."""
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    command = [sys.executable, "-m", reporter_process.__name__]
    subprocess.run(command, input=messages, cwd=ROOT, env=environment, check=True)


def test_the_process_beside_a_convergence_reports_what_is_quarantined_and_what_consumers_need(
    home: Path, tmp_path: Path
) -> None:
    engine = broken(home)
    done = converge(engine)
    dagster_home = tmp_path / "dagster"
    expected = {"received_numbers": {"numbers": (Limit("total", at_least=12),)}}
    assignment = Assignment(f"sqlite:///{home / 'ledger.db'}", PRODUCTION, dagster_home, expected)
    found = Overview.of(engine)
    by_stage = {"numbers": {day: item for (_, day), item in found.quarantined.items()}}
    ending = Ending(done, by_stage, found.outlooks, found.waiting)
    reported_by_process(to_line(assignment) + to_line(ending))
    with dg.DagsterInstance.from_config(str(dagster_home)) as told_instance:
        assert red(told_instance) == set(DAYS)
        needed = [last_check(told_instance, "received_numbers", "expected_by_numbers", day) for day in DAYS]
        assert [item and item.passed for item in needed] == [False, True, True]
        check = last_check(told_instance, "numbers", "converged")
        assert check is not None
        assert check.metadata["held"].value == len(DAYS)
        assert latest(told_instance, "convergence")["computed"].value == done.computed
        waiting = latest(told_instance, "waiting_for_decision")
        assert waiting["partitions"].value == len(DAYS)
        assert str(waiting["waiting"].value).count("/locations/spam_pipeline/jobs/decide/") == len(DAYS)
        [run] = told_instance.get_runs(dg.RunsFilter(job_name=ELSEWHERE))
        assert (run.status, bool(run.job_snapshot_id)) == (dg.DagsterRunStatus.SUCCESS, True)
        assert tell(engine, told_instance) == "nothing was published elsewhere"


def test_a_convergence_that_died_is_shown_as_one_with_what_it_had_published(home: Path, tmp_path: Path) -> None:
    converge(observed(home, stages=watched()))
    dagster_home = tmp_path / "dagster"
    assignment = Assignment(f"sqlite:///{home / 'ledger.db'}", PRODUCTION, dagster_home, {})
    reported_by_process(to_line(assignment))
    with dg.DagsterInstance.from_config(str(dagster_home)) as told_instance:
        [run] = told_instance.get_runs(dg.RunsFilter(job_name=ELSEWHERE))
        assert run.status is dg.DagsterRunStatus.FAILURE
        assert len(told(told_instance, "numbers", DAYS[0])) == 1
        assert latest(told_instance, "convergence") == {}
