"""The toy pipeline as a code location with everything that starts by itself, and how to look at what it does."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE, READER, source_asset, stage_asset
from spam_pipeline.orchestration.automation import CONVERGENCE, convergence_tags, stale
from spam_pipeline.orchestration.batch_job import batch_job
from spam_pipeline.orchestration.checks import stage_checks
from spam_pipeline.orchestration.convergence import OpenExecutor, convergence_asset
from spam_pipeline.orchestration.decisions import decision_job
from spam_pipeline.orchestration.io_manager import published_versions
from spam_pipeline.orchestration.sensors import converge_sensor
from spam_pipeline.orchestration.staleness_check import staleness_check
from spam_pipeline.orchestration.waiting_for_decision import waiting_asset
from spam_pipeline.protocol.operating import AnyStage, Engine, Overview, Retry
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, landed_numbers, numbers, toy_engine

START = date(2026, 1, 1)
DAYS = ("2026-01-01", "2026-01-02")
HOME = "TOY_HOME"
UNASKED = {"dagster/from_automation_condition": "true"}
"""The tag of a run that a condition asked for."""


def unlucky_numbers(received_numbers: pl.LazyFrame, partition: str) -> pl.LazyFrame:
    """The day's distinct numbers, except on an unlucky day."""
    if partition == "2026-01-02":
        raise ValueError("the second is an unlucky day")
    return received_numbers.unique().sort("number")


def with_unlucky_numbers(retry: Retry | None = None) -> tuple[AnyStage, ...]:
    """The toy pipeline's stages, of which `numbers` fails on the second."""
    lucky: AnyStage = numbers
    unlucky = replace(lucky, function=unlucky_numbers, retry=retry or Retry())
    return tuple(unlucky if stage.name == "numbers" else stage for stage in STAGES)


def observed(home: Path, **settings: Any) -> Engine:
    """A engine that has looked at the landing zone."""
    engine = toy_engine(home, **settings)
    engine.observe()
    return engine


def toy_location(
    engine: Engine,
    start: date = START,
    keys: AssetKeys = UNPREFIXED,
    open_executor: OpenExecutor = lambda _context, _engine: nullcontext(),
    on_converged: Callable[[Overview], None] = lambda _found: None,
) -> dg.Definitions:
    """The stages, the convergence and the checks over one engine."""

    def open_engine() -> Engine:
        return engine

    condition = stale(open_engine) & ~dg.AutomationCondition.in_progress()
    return dg.Definitions(
        assets=[
            source_asset(landed_numbers, start, keys),
            *(stage_asset(stage, engine.graph, start, condition, keys) for stage in engine.graph.stages.values()),
            convergence_asset(open_engine, keys, [landed_numbers.name], open_executor, on_converged),
            waiting_asset(keys),
        ],
        asset_checks=[
            *(stage_checks(stage, engine.graph, start, keys) for stage in engine.graph.stages.values()),
            *(staleness_check(name, keys) for name in engine.graph.stages),
        ],
        jobs=[decision_job(keys), batch_job()],
        sensors=[converge_sensor(list(engine.graph.stages), keys)],
        resources={ENGINE: engine, READER: published_versions},
        executor=dg.in_process_executor,
    )


def unlucky_location() -> dg.Definitions:
    """The location over the home that an environment variable names, for runs that load it by its name."""
    return toy_location(toy_engine(Path(os.environ[HOME]), stages=with_unlucky_numbers()))


def evaluated(
    location: dg.Definitions, instance: dg.DagsterInstance, cursor: AssetDaemonCursor | None = None
) -> dg.EvaluateAutomationConditionsResult:
    """What an evaluation of all conditions comes to, as at a tick that remembers the one before it by `cursor`."""
    return dg.evaluate_automation_conditions(location, instance, dg.AssetSelection.all(), cursor=cursor)


def requested(engine: Engine, instance: dg.DagsterInstance, *, start: date = START) -> Mapping[str, set[str | None]]:
    """What the conditions request now, by asset and without a cursor; assets of which nothing is requested are left out."""
    found = evaluated(toy_location(engine, start), instance)
    by_asset = {item.key.path[-1]: set(found.get_requested_partitions(item.key)) for item in found.results}
    return {name: partitions for name, partitions in by_asset.items() if partitions}


def materialize(
    engine: Engine,
    instance: dg.DagsterInstance,
    name: str = CONVERGENCE,
    partition: str | None = None,
    tags: Mapping[str, str] | None = None,
    **location: Any,
) -> dg.ExecuteInProcessResult:
    """Materialize one asset in a run of its own, by default the convergence."""
    job = toy_location(engine, **location).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(name)],
        partition_key=partition,
        instance=instance,
        tags=dict(tags or {}),
        raise_on_error=False,
    )


def start_run(
    engine: Engine, instance: dg.DagsterInstance, name: str = CONVERGENCE, partition: str | None = None
) -> dg.DagsterRun:
    """A run of one asset that has started and does nothing."""
    job = toy_location(engine).resolve_implicit_global_asset_job_def()
    tags = convergence_tags(engine) if partition is None else {"dagster/partition": partition}
    run = instance.create_run_for_job(job, asset_selection=frozenset({dg.AssetKey(name)}), tags=tags)
    started = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.report_dagster_event(started, run_id=run.run_id)
    return run


def told(instance: dg.DagsterInstance, stage: str, partition: str | None) -> list[dict[str, Any]]:
    """The metadata of what was told of a partition, newest first, with its run and its data version."""
    asked = dg.AssetRecordsFilter(dg.AssetKey(stage), asset_partitions=None if partition is None else [partition])
    records = instance.fetch_materializations(asked, 100).records
    return [
        {name: value.value for name, value in record.asset_materialization.metadata.items()}
        | {"run": record.run_id, "data version": (record.asset_materialization.tags or {})["dagster/data_version"]}
        for record in records
        if record.asset_materialization
    ]


def last_check(
    instance: dg.DagsterInstance, stage: str, name: str, partition: str | None = None
) -> dg.AssetCheckEvaluation | None:
    """The last evaluation of a check, of any partition or of one."""
    key = dg.AssetCheckKey(dg.AssetKey(stage), name)
    found = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    events = [record.event.dagster_event for record in found if record.event and record.event.dagster_event]
    evaluations = [event.asset_check_evaluation_data for event in events]
    return next((item for item in evaluations if partition in {None, item.partition}), None)


def let_time_pass(home: Path, seconds: float) -> None:
    """Move every attempt in the ledger into the past."""
    with sqlite3.connect(home / "ledger.db") as ledger:
        ledger.execute("update attempts set began_at = began_at - ?", (int(seconds * 1_000_000),))
        ledger.execute("update failures set failed_at = failed_at - ?", (int(seconds * 1_000_000),))
    ledger.close()
