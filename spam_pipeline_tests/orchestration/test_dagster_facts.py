"""Behaviour of Dagster that this layer rests on. A test that fails here after an upgrade says what to look at again."""

import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy.exc
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from typing_extensions import override

from spam_pipeline.orchestration.grids import partition_mapping, partitions_definition
from spam_pipeline.partitions import arrival_days, event_days, statement_months, unpartitioned
from spam_pipeline.protocol.selection import DaysOfMonth, PartNamedAlike, SamePartition, TrailingDays

START = date(2026, 1, 15)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


def test_a_second_check_without_a_run_collides_with_the_first_one(instance: dg.DagsterInstance) -> None:
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("plays"), check_name="contract", passed=True, metadata={}, partition="2026-01-05"
    )
    instance.report_runless_asset_event(evaluation)
    with pytest.raises((sqlalchemy.exc.IntegrityError, sqlite3.IntegrityError), match="asset_check_executions"):
        instance.report_runless_asset_event(evaluation)


def test_grids_begin_at_the_start_date_and_include_today() -> None:
    days = partitions_definition(event_days, START)
    months = partitions_definition(statement_months, START)
    assert days is not None
    assert months is not None
    assert days.get_first_partition_key() == "2026-01-15"
    assert months.get_first_partition_key() == "2026-01", "a month that has begun counts whole"
    assert str(days.get_last_partition_key()) >= date.today().isoformat()  # noqa: DTZ011 - Dagster's grid ends with the local day
    assert partitions_definition(unpartitioned, START) is None


def test_arrival_days_and_event_days_are_one_grid_so_that_one_run_spans_both() -> None:
    assert partitions_definition(arrival_days, START) == partitions_definition(event_days, START)


def upstream_keys(mapping: dg.PartitionMapping | None, own: dg.PartitionsDefinition[str] | None, key: str) -> list[str]:
    days = partitions_definition(event_days, START)
    assert mapping is not None
    assert own is not None
    assert days is not None
    subset = own.subset_with_partition_keys([key])
    mapped = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, own, days)
    return sorted(mapped.partitions_subset.get_partition_keys())


def test_a_window_that_reaches_before_the_grid_is_cut_at_its_beginning() -> None:
    mapping = partition_mapping(TrailingDays(7), event_days, event_days)
    days = partitions_definition(event_days, START)
    assert upstream_keys(mapping, days, "2026-01-16") == ["2026-01-15", "2026-01-16"]


def test_a_month_reads_its_days() -> None:
    mapping = partition_mapping(DaysOfMonth(), event_days, statement_months)
    months = partitions_definition(statement_months, START)
    keys = upstream_keys(mapping, months, "2026-01")
    assert (keys[0], keys[-1], len(keys)) == ("2026-01-15", "2026-01-31", 17)


def test_a_late_play_can_come_from_any_arrival_day() -> None:
    assert isinstance(partition_mapping(PartNamedAlike(), arrival_days, event_days), dg.AllPartitionMapping)


def test_everything_else_is_what_dagster_does_by_itself() -> None:
    assert partition_mapping(SamePartition(), event_days, event_days) is None
    assert partition_mapping(TrailingDays(7), unpartitioned, event_days) is None


class Always(dg.AutomationCondition[dg.AssetKey]):
    """True for every candidate."""

    @property
    @override
    def name(self) -> str:
        return "always"

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        return dg.AutomationResult(context, context.candidate_subset)


@dg.asset(automation_condition=Always() & ~dg.AutomationCondition.in_progress())
def always_wanted() -> None: ...


def requests(instance: dg.DagsterInstance) -> int:
    return dg.evaluate_automation_conditions([always_wanted], instance, dg.AssetSelection.all()).total_requested


def test_a_condition_of_ones_own_is_evaluated_and_composes(instance: dg.DagsterInstance) -> None:
    assert requests(instance) == 1


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_a_run_is_in_progress_from_the_moment_it_is_queued(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    job = dg.Definitions([always_wanted]).resolve_implicit_global_asset_job_def()
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("a location"), "a repository")
    run = instance.create_run_for_job(
        job,
        asset_selection=frozenset({always_wanted.key}),
        status=status,
        remote_job_origin=RemoteJobOrigin(location, job.name),
    )
    assert requests(instance) == 0
    instance.report_run_canceled(run)
    assert requests(instance) == 1


def test_a_partition_that_was_planned_in_a_run_that_failed_is_shown_as_failed_until_it_is_materialized(
    instance: dg.DagsterInstance,
) -> None:
    days = partitions_definition(event_days, START)
    assert days is not None
    key, partition = dg.AssetKey("plays"), "2026-01-16"
    run = instance.add_run(dg.DagsterRun(job_name="converge"))
    planned = dg.DagsterEvent.build_asset_materialization_planned_event(
        run.job_name, "a step", AssetMaterializationPlannedData(key, partition=partition)
    )
    instance.report_dagster_event(planned, run_id=run.run_id)
    instance.report_run_failed(run)

    def shown() -> str | None:
        status = (instance.get_status_by_partition(key, [partition], days) or {}).get(partition)
        return status.value if status else None

    assert shown() == "FAILED"
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    assert shown() == "MATERIALIZED"


def test_an_observation_without_a_run_is_kept_with_its_partition_and_data_version(instance: dg.DagsterInstance) -> None:
    tags = {"dagster/data_version": "a digest"}
    instance.report_runless_asset_event(dg.AssetObservation("landed_plays", partition="2026-01-16", tags=tags))
    asked = dg.AssetRecordsFilter(dg.AssetKey("landed_plays"), asset_partitions=["2026-01-16"])
    seen = [record.asset_observation for record in instance.fetch_observations(asked, 10).records]
    assert [item.tags for item in seen if item] == [tags]
