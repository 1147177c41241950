"""Behaviour of Dagster that this layer rests on. A test that fails here after an upgrade says what to look at again."""

import sqlite3
from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
import sqlalchemy.exc
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus
from typing_extensions import override

from spam_pipeline.orchestration.evaluations import beside_latest
from spam_pipeline.orchestration.grids import partition_mapping, partitions_definition
from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.partitions import arrival_days, event_days, statement_months, unpartitioned
from spam_pipeline.protocol import (
    DaysOfMonth,
    PartForPartition,
    PartitionsUpTo,
    PartsOfMonth,
    SamePartition,
    TrailingDays,
)

START = date(2026, 1, 15)


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


def test_parts_are_drawn_as_if_everything_arrived_on_its_own_day() -> None:
    assert partition_mapping(PartForPartition(), arrival_days, event_days) is None
    months = partitions_definition(statement_months, START)
    mapping = partition_mapping(PartsOfMonth(), arrival_days, statement_months)
    assert upstream_keys(mapping, months, "2026-02")[::27] == ["2026-02-01", "2026-02-28"]


def test_a_month_can_rest_on_every_month_before_it() -> None:
    assert isinstance(partition_mapping(PartitionsUpTo(), statement_months, statement_months), dg.AllPartitionMapping)


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


DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-15")


@dg.asset(partitions_def=DAYS, output_required=False)
def audited() -> Iterator[dg.MaterializeResult[None]]:
    yield dg.MaterializeResult()


with preview_apis():
    SPECS = [
        dg.AssetCheckSpec(name, asset="audited", partitions_def=DAYS, blocking=True) for name in ("contract", "history")
    ]


@dg.multi_asset_check(name="audits", specs=SPECS, can_subset=True)
def audits(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]:
    if not context.has_partition_key:
        for partition in ("2026-01-15", "2026-01-16"):
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("audited"), check_name="contract", passed=False, partition=partition
            )
        return
    for key in context.selected_asset_check_keys:
        yield dg.AssetCheckResult(check_name=key.name, passed=key.name == "contract")


def checks_alone(instance: dg.DagsterInstance, tags: dict[str, str], *names: str) -> dg.ExecuteInProcessResult:
    keys = [dg.AssetCheckKey(audited.key, name) for name in names]
    look = dg.define_asset_job("look", dg.AssetSelection.checks(*keys))
    job = dg.Definitions([audited], asset_checks=[audits], jobs=[look]).resolve_job_def("look")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def evaluated(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None, bool]]:
    return {(item.check_name, item.partition, item.passed) for item in result.get_asset_check_evaluations()}


def test_checks_in_one_step_are_about_the_runs_partition_and_a_blocking_one_fails_the_run(
    instance: dg.DagsterInstance,
) -> None:
    result = checks_alone(instance, {"dagster/partition": "2026-01-16"}, "contract", "history")
    assert evaluated(result) == {("contract", "2026-01-16", True), ("history", "2026-01-16", False)}
    assert not result.success


def test_one_of_several_checks_in_a_step_can_be_executed_alone(instance: dg.DagsterInstance) -> None:
    result = checks_alone(instance, {"dagster/partition": "2026-01-16"}, "contract")
    assert evaluated(result) == {("contract", "2026-01-16", True)}


def test_without_a_partition_a_step_of_several_checks_may_evaluate_any_and_need_not_evaluate_its_own(
    instance: dg.DagsterInstance,
) -> None:
    """The UI executes checks of a partitioned asset without asking for a partition."""
    result = checks_alone(instance, {}, "contract", "history")
    assert result.success
    assert evaluated(result) == {("contract", "2026-01-15", False), ("contract", "2026-01-16", False)}


def test_an_evaluation_that_is_logged_before_a_step_fails_is_kept(instance: dg.DagsterInstance) -> None:
    @dg.asset(name="refused", partitions_def=DAYS)
    def refused(context: dg.AssetExecutionContext) -> None:
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=context.asset_key, check_name="contract", passed=False, partition=context.partition_key
            )
        )
        raise dg.Failure("refused")

    job = dg.Definitions([refused]).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(partition_key="2026-01-16", instance=instance, raise_on_error=False)
    assert not result.success
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(refused.key, "contract"), limit=5
    )
    assert [(item.status.value, item.partition) for item in history] == [("FAILED", "2026-01-16")]


def test_two_evaluations_of_a_partition_in_one_run_leave_the_later_one(instance: dg.DagsterInstance) -> None:
    run = instance.add_run(dg.DagsterRun(job_name="converge"))
    for passed in (True, False):
        evaluation = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("plays"), check_name="contract", passed=passed, partition="2026-01-16"
        )
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=run.job_name,
            event_specific_data=evaluation,
        )
        instance.report_dagster_event(event, run_id=run.run_id)
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("plays"), "contract"), limit=5
    )
    assert [item.status.value for item in history] == ["FAILED"]


@pytest.mark.parametrize(("is_aimed", "shown"), [(False, set()), (True, {"2026-01-16"})])
def test_a_check_counts_for_its_partition_only_if_it_is_of_the_latest_materialization(
    instance: dg.DagsterInstance, *, is_aimed: bool, shown: set[str]
) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("plays"), "contract")
    instance.report_runless_asset_event(dg.AssetMaterialization("plays", partition="2026-01-16"))
    refused = dg.AssetCheckEvaluation(
        asset_key=key.asset_key, check_name=key.name, passed=False, partition="2026-01-16"
    )
    instance.report_runless_asset_event(beside_latest(instance, [refused])[0] if is_aimed else refused)
    state = instance.event_log_storage.get_asset_check_state([(key, DAYS)])[key]
    failed = state.subsets[AssetCheckExecutionResolvedStatus.FAILED].subset_value
    assert set(failed.get_partition_keys()) == shown
