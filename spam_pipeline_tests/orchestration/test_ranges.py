"""Runs over a range of partitions: every partition has its own events, and what fails stops nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
from spam_pipeline_tests.shared_homes import copied

RECEIVED, NUMBERS = dg.AssetKey("received_numbers"), dg.AssetKey("numbers")
FINE, UNLUCKY, REFUSED, EMPTY, LAST = DAYS = tuple(f"2026-01-0{day}" for day in range(1, 6))


class Ran(NamedTuple):
    """A run over all days, and where it left what it did."""

    engine: Engine
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult


def landed(home: Path) -> Path:
    """A home of which one day is refused, one fails, and nothing has landed on another one."""
    for day in (FINE, UNLUCKY, REFUSED, LAST):
        land(home, day, "a", f"{day} 5")
    land(home, REFUSED, "b", f"{REFUSED} -5")
    return home


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    place = tmp_path_factory.mktemp("ran")
    engine = toy_engine(landed(place / "home"), stages=with_unlucky_numbers())
    with dg.DagsterInstance.local_temp(str(place)) as instance:
        yield Ran(engine, instance, over_range(engine, instance, RECEIVED, NUMBERS))


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
    ran: Ran,
) -> None:
    assert shown(ran.instance, RECEIVED) == ["MATERIALIZED", "MATERIALIZED", "FAILED", "FAILED", "MATERIALIZED"]
    assert shown(ran.instance, NUMBERS) == ["MATERIALIZED", "FAILED", "FAILED", "FAILED", "MATERIALIZED"]
    (failure,) = ran.result.get_step_failure_events()
    assert failure.step_key == "numbers"
    assert failure.step_failure_data.user_failure_data is not None
    assert str(failure.step_failure_data.user_failure_data.description).startswith(
        "2 of the run's partitions failed or were refused, the others are done: "
        f"received_numbers {REFUSED}: refused by 1 finding and quarantined: consumers keep what they had; "
        f"numbers {UNLUCKY}: nothing to audit: ValueError: the second is an unlucky day"
    )


def test_each_day_has_its_own_version_metadata_and_checks(ran: Ran) -> None:
    engine, instance, run = ran.engine, ran.instance, ran.result.run_id
    for day in (FINE, LAST):
        published = engine.ledger.published_version(PRODUCTION, "numbers", day)
        assert published is not None
        (event,) = told(instance, "numbers", day)
        assert (event["run"], event["recipe"], event["data version"]) == (run, published.recipe, published.content)
        check = last_check(instance, "numbers", "contract", day)
        assert check is not None
        assert (check.passed, check.metadata["recipe"].value) == (True, published.recipe)


def test_the_days_that_came_to_nothing_show_why(ran: Ran) -> None:
    found = [
        last_check(ran.instance, name, "contract", day)
        for name, day in [("received_numbers", REFUSED), ("received_numbers", EMPTY), ("numbers", UNLUCKY)]
    ]
    refused, empty, unlucky = [(check.severity.value, str(check.description)) for check in found if check]
    assert refused[0] == unlucky[0] == "ERROR"
    assert "refused by 1 finding" in refused[1]
    assert "unlucky day" in unlucky[1]
    assert empty[0] == "WARN"
    assert "nothing to compute it from has landed" in empty[1]


def test_without_failures_the_run_succeeds_and_makes_no_event_of_its_own(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    engine = toy_engine(landed(tmp_path / "home"))
    result = over_range(engine, instance, RECEIVED, last=UNLUCKY)
    assert result.success
    events = result.get_asset_materialization_events()
    assert [event.partition for event in events] == [FINE, UNLUCKY]


def test_the_reporter_has_nothing_to_add_and_a_convergence_does_what_is_left(ran: Ran, tmp_path: Path) -> None:
    reporter = EventReporter(ran.instance, ran.engine.ledger, PRODUCTION, ran.engine.graph.expected())
    assert reporter.report() == 0
    copy = copied(Path(ran.instance.root_directory) / "home", tmp_path / "home")
    repaired = toy_engine(copy)
    assert converge(repaired).converged
    assert repaired.reader.read("numbers", [FINE, UNLUCKY, LAST]).collect().height == 3


def test_a_backfill_from_the_ui_is_one_run_for_all_its_days_and_assets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(landed(tmp_path / "home")))
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
