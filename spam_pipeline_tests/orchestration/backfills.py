"""Backfills as people and the daemon see them: launched by the UI's own query over a workspace, and carried on tick by tick."""

import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.schema import create_schema

LAUNCH = """
mutation ($asked: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $asked) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
RUNS_AT_ONCE = {
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    },
}
"""Settings of an instance whose runs have ended when they are launched."""


@contextmanager
def workspace(instance: dg.DagsterInstance, module: str, attribute: str) -> Iterator[WorkspaceProcessContext]:
    """A workspace of one code location, loaded in this process."""
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name=module, attribute=attribute), location_name="pipeline"
    )
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget([origin])) as process:
        yield process


def launch(process: WorkspaceProcessContext, assets: Collection[dg.AssetKey], days: Collection[str]) -> str:
    """Launch a backfill as the UI does when somebody materializes days of some assets; return its id."""
    asked = {"assetSelection": [{"path": key.path} for key in assets], "partitionNames": list(days)}
    context = process.create_request_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Dagster, which calls what it deprecates
        answer = create_schema().execute(LAUNCH, variable_values={"asked": asked}, context_value=context)
    assert answer.data is not None, answer.errors
    launched = answer.data["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


def carry_on(process: WorkspaceProcessContext, backfill: str, ticks: int = 10) -> PartitionBackfill:
    """Let the daemons tick until a backfill has ended."""
    for _ in range(ticks):
        found = read(process, backfill)
        if found.status.value.startswith("COMPLETED"):
            return found
        problems = [item for item in execute_backfill_iteration(process, logging.getLogger("backfill")) if item]
        assert not problems, problems
        for run in process.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
            process.instance.launch_run(run.run_id, process.create_request_context())
    raise AssertionError(f"the backfill goes on after {ticks} ticks: {found.status}")


def read(process: WorkspaceProcessContext, backfill: str) -> PartitionBackfill:
    """The present state of a backfill."""
    found = process.instance.get_backfill(backfill)
    assert found is not None
    return found


def asked_for(process: WorkspaceProcessContext, backfill: str) -> dict[str, list[str]]:
    """The partitions that a backfill is for, by asset."""
    graph = process.create_request_context().asset_graph
    target = read(process, backfill).get_asset_backfill_data(graph).target_subset
    return {
        key.to_user_string(): sorted(subset.get_partition_keys())
        for key, subset in target.partitions_subsets_by_asset_key.items()
    }
