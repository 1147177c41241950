"""Runs over a range of partitions: every partition has its own events, and what fails stops nothing else."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.grids import partitions_definition
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.operating import PRODUCTION, Engine, converge
from spam_pipeline_tests.orchestration.backfills import RUNS_AT_ONCE, asked_for, carry_on, launch, workspace
from spam_pipeline_tests.orchestration.toy_location import (
    HOME,
    START,
    last_check,
    told,
    toy_location,
    unlucky_location,
    with_unlucky_numbers,
)
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

RECEIVED, NUMBERS = dg.AssetKey("received_numbers"), dg.AssetKey("numbers")
FINE, UNLUCKY, REFUSED, EMPTY, LAST = DAYS = tuple(f"2026-01-0{day}" for day in range(1, 6))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of which one day is refused, one fails, and nothing has landed on another one."""
    home = tmp_path / "home"
    for day in (FINE, UNLUCKY, REFUSED, LAST):
        land(home, day, "a", f"{day} 5")
    land(home, REFUSED, "b", f"{REFUSED} -5")
    return home


@pytest.fixture
def engine(home: Path) -> Engine:
    return toy_engine(home, stages=with_unlucky_numbers())


def over_range(
    engine: Engine, instance: dg.DagsterInstance, *assets: dg.AssetKey, last: str = LAST
) -> dg.ExecuteInProcessResult:
    """A run over the days up to `last`, as a backfill starts it."""
    job = toy_location(engine).resolve_implicit_global_asset_job_def()
    tags = {ASSET_PARTITION_RANGE_START_TAG: FINE, ASSET_PARTITION_RANGE_END_TAG: last}
    return job.execute_in_process(asset_selection=list(assets), instance=instance, tags=tags, raise_on_error=False)


def shown(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[str]:
    """The days that Dagster shows as materialized, failed, or nothing of."""
    grid = partitions_definition(event_days, START)
    assert grid is not None
    found = instance.get_status_by_partition(key, DAYS, grid) or {}
    return [status.value if (status := found.get(day)) else "-" for day in DAYS]


def test_every_day_that_can_be_published_is_though_others_fail_and_the_run_fails_in_its_last_stage(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    result = over_range(engine, instance, RECEIVED, NUMBERS)
    assert shown(instance, RECEIVED) == ["MATERIALIZED", "MATERIALIZED", "FAILED", "FAILED", "MATERIALIZED"]
    assert shown(instance, NUMBERS) == ["MATERIALIZED", "FAILED", "FAILED", "FAILED", "MATERIALIZED"]
    (failure,) = result.get_step_failure_events()
    assert failure.step_key == "numbers"
    assert failure.step_failure_data.user_failure_data is not None
    assert str(failure.step_failure_data.user_failure_data.description).startswith(
        "2 partitions failed or were refused, the others are done: "
        f"received_numbers {REFUSED}: refused by 1 finding and quarantined: consumers keep what they had; "
        f"numbers {UNLUCKY}: nothing to audit: ValueError: the second is an unlucky day"
    )


def test_each_day_has_its_own_version_metadata_and_checks(engine: Engine, instance: dg.DagsterInstance) -> None:
    run = over_range(engine, instance, RECEIVED, NUMBERS).run_id
    for day in (FINE, LAST):
        published = engine.ledger.published_version(PRODUCTION, "numbers", day)
        assert published is not None
        (event,) = told(instance, "numbers", day)
        assert (event["run"], event["recipe"], event["data version"]) == (run, published.recipe, published.content)
        check = last_check(instance, "numbers", "contract", day)
        assert check is not None
        assert (check.passed, check.metadata["recipe"].value) == (True, published.recipe)


def test_the_days_that_came_to_nothing_show_why(engine: Engine, instance: dg.DagsterInstance) -> None:
    over_range(engine, instance, RECEIVED, NUMBERS)
    found = [
        last_check(instance, name, "contract", day)
        for name, day in [("received_numbers", REFUSED), ("received_numbers", EMPTY), ("numbers", UNLUCKY)]
    ]
    refused, empty, unlucky = [(check.severity.value, str(check.description)) for check in found if check]
    assert refused[0] == unlucky[0] == "ERROR"
    assert "refused by 1 finding" in refused[1]
    assert "unlucky day" in unlucky[1]
    assert empty[0] == "WARN"
    assert "nothing to compute it from has landed" in empty[1]


def test_without_failures_the_run_succeeds_and_makes_no_event_of_its_own(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    result = over_range(engine, instance, RECEIVED, last=UNLUCKY)
    assert result.success
    events = result.get_asset_materialization_events()
    assert [event.partition for event in events] == [FINE, UNLUCKY]


def test_the_reporter_has_nothing_to_add_and_a_convergence_does_what_is_left(
    engine: Engine, instance: dg.DagsterInstance, home: Path
) -> None:
    over_range(engine, instance, RECEIVED, NUMBERS)
    repaired = toy_engine(home)
    reporter = EventReporter(instance, repaired.ledger, PRODUCTION, repaired.graph.expected())
    assert reporter.report() == 0
    assert converge(repaired).converged
    assert repaired.reader.read("numbers", [FINE, UNLUCKY, LAST]).collect().height == 3


def test_a_backfill_from_the_ui_is_one_run_for_all_its_days_and_assets(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(home))
    with (
        dg.DagsterInstance.local_temp(str(tmp_path), overrides=RUNS_AT_ONCE) as instance,
        workspace(instance, toy_location.__module__, unlucky_location.__name__) as process,
    ):
        launched = launch(process, [RECEIVED, NUMBERS], DAYS)
        ended = carry_on(process, launched)
        assert asked_for(process, launched) == {"received_numbers": list(DAYS), "numbers": list(DAYS)}
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
        assert shown(instance, NUMBERS) == ["MATERIALIZED", "FAILED", "FAILED", "FAILED", "MATERIALIZED"]
    assert ended.status is BulkActionStatus.COMPLETED_FAILED
