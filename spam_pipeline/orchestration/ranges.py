"""A run over a range of partitions, as a backfill starts it: one step runs all of them, and one that fails stops no other.

Dagster has one result for the whole range, with one data version and one outcome. Here every partition gets the events that a run
of its own would leave, as it ends; the step then returns a result that Dagster makes no event of. A run of one partition is in
`assets`.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.evaluations import RETRACTED, beside_latest, evaluations, nothing_to_audit
from spam_pipeline.orchestration.grids import key_in_dagster
from spam_pipeline.orchestration.metadata import outcome_metadata, version_tags
from spam_pipeline.protocol.operating import (
    ActionTaken,
    Engine,
    Held,
    Outcome,
    PlaceUnusable,
    format_error,
    run_partition,
)

_WITHOUT_EVENT = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Metadata by which Dagster makes no event of a result. What rests on it in the same run is skipped without a result."""

_SHOWN = 20


def run_range(
    context: dg.AssetExecutionContext, engine: Engine, keys: AssetKeys, stage: str, partitions: Sequence[str]
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.MaterializeResult[Any]]:
    """Run partitions of a stage one by one, with the events of each.

    What fails lets the other partitions go on, also in the stages that follow in the same run, so the run fails in its last step.
    Raises `dagster.Failure` there, and `PlaceUnusable` at once.
    """
    engine.observe_for(stage, *partitions)
    for partition in partitions:
        yield from _events(context, engine, keys, stage, partition)
    if not _stages_after(context, engine):
        _require_no_failure(context, engine, stage)
    yield dg.MaterializeResult(metadata=_WITHOUT_EVENT)


def _events(
    context: dg.AssetExecutionContext, engine: Engine, keys: AssetKeys, stage: str, partition: str
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Run one partition; yield what a run of its own would show of it."""
    try:
        outcome = run_partition(engine, stage, partition, context.run.run_id)
    except PlaceUnusable:
        raise
    except Held as held:
        context.log.warning("nothing done: %s", held)
        found = [nothing_to_audit(stage, partition, str(held), dg.AssetCheckSeverity.WARN, keys)]
    except Exception as error:
        context.log.exception("%s %s failed", stage, partition)
        found = [nothing_to_audit(stage, partition, format_error(error), dg.AssetCheckSeverity.ERROR, keys)]
    else:
        if outcome.action is ActionTaken.RETRACTED:
            found = [nothing_to_audit(stage, partition, RETRACTED, dg.AssetCheckSeverity.WARN, keys)]
        else:
            found = evaluations(engine.graph.expected(), outcome.version, outcome.audit, keys, engine.environment)
            if not outcome.refused:
                yield _materialization(outcome, keys)
    yield from beside_latest(context.instance, found)


def _materialization(outcome: Outcome, keys: AssetKeys) -> dg.AssetMaterialization:
    version = outcome.version
    return dg.AssetMaterialization(
        asset_key=keys.key(version.stage),
        partition=key_in_dagster(version.partition),
        metadata=outcome_metadata(outcome),
        tags=version_tags(version),
    )


def _stages_after(context: dg.AssetExecutionContext, engine: Engine) -> set[str]:
    """The stages that read this one and run after it in the same run."""
    layer = context.job_def.asset_layer
    following = layer.asset_graph.get(context.asset_key).child_keys & layer.selected_asset_keys
    return {AssetKeys.name(key) for key in following} & set(engine.graph.stages)


def _require_no_failure(context: dg.AssetExecutionContext, engine: Engine, stage: str) -> None:
    """Raise `dagster.Failure` with the partitions of a stage and its upstreams that failed or were refused in this run."""
    stages = {item.name for item in engine.graph.with_upstreams([stage])}
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    records = context.instance.get_records_for_run(context.run.run_id, of_type=kind).records
    events = [record.event_log_entry.dagster_event for record in records]
    found = [event.asset_check_evaluation_data for event in events if event is not None]
    failed = {
        f"{AssetKeys.name(item.asset_key)} {item.partition or ''}".strip(): item.description
        for item in found
        if AssetKeys.name(item.asset_key) in stages and not item.passed and item.severity is dg.AssetCheckSeverity.ERROR
    }
    if failed:
        shown = "; ".join(f"{partition}: {why}" for partition, why in islice(failed.items(), _SHOWN))
        raise dg.Failure(
            f"{len(failed)} of the run's partitions failed or were refused, the others are done: {shown}",
            allow_retries=False,
        )
