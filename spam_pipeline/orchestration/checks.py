"""The checks of a stage: audits of its versions, partition by partition, and consumers' expectations of them.

In a run that publishes a version they show its audit. Executed by themselves they audit the version again: nothing is
computed and nothing is recorded.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.evaluations import (
    EXPECTED_BY,
    HISTORY_CHECK,
    beside_latest,
    evaluations,
    nothing_to_audit,
)
from spam_pipeline.orchestration.grids import partitions_definition
from spam_pipeline.orchestration.metadata import CONTRACT_CHECK
from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import (
    AnyStage,
    Engine,
    Expected,
    StageGraph,
    State,
    audit_now,
    audits_against_history,
)

_NEWEST = 7
"""The number of newest partitions that are audited when none is chosen, besides all quarantined ones."""


def stage_checks(
    stage: AnyStage, graph: StageGraph, start: date, keys: AssetKeys = UNPREFIXED
) -> dg.AssetChecksDefinition:
    """All checks of one stage, in one step, because one audit answers them all."""
    expected, grid, asset = graph.expected(), partitions_definition(stage.partitions, start), keys.key(stage.name)

    @dg.multi_asset_check(
        name=f"audit_of_{stage.name}",
        specs=_specs(stage, expected, grid, asset),
        can_subset=True,
        required_resource_keys={ENGINE},
        description="Shows the audit of a version, or audits it again.",
    )
    def audit(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        engine: Engine = context.resources.engine
        is_over_range = context.has_partition_key_range
        if is_over_range and asset in context.job_def.asset_layer.selected_asset_keys:
            yield from map(_result_without_evaluation(context), context.selected_asset_check_keys)
            return  # the stage's own step has shown them, partition by partition
        selected = {key.name for key in context.selected_asset_check_keys}
        is_made_here = _is_made_in(context, asset)

        def found(partition: str) -> list[dg.AssetCheckEvaluation]:
            found_now = _published(engine, expected, stage.name, partition, keys) if is_made_here else None
            found_now = found_now or _audited_now(engine, expected, stage.name, partition, keys)
            return [item for item in found_now if item.check_name in selected]

        if grid and not context.has_partition_key:  # executed in the UI, which does not ask for one, or over a range
            for partition in context.partition_keys if is_over_range else _worth_inspecting(engine, stage.name):
                yield from beside_latest(context.instance, found(partition))
        else:
            yield from map(_result, found(context.partition_key if grid else WHOLE))

    return audit


def _specs(
    stage: AnyStage, expected: Expected, grid: dg.PartitionsDefinition[str] | None, asset: dg.AssetKey
) -> list[dg.AssetCheckSpec]:
    descriptions = {
        CONTRACT_CHECK: "What the stage's contract and people's decisions say of a version; if refused, it is not published."
    }
    if audits_against_history(stage.contract):
        descriptions[HISTORY_CHECK] = (
            "How a version compares with its stage's accepted history; if refused, it is not published."
        )
    consumers = {
        f"{EXPECTED_BY}{consumer}": f"Whether a version is what {consumer} needs: "
        + ", ".join(f"{limit.number} {limit}" for limit in limits)
        for consumer, limits in expected.get(stage.name, {}).items()
    }
    with preview_apis():
        return [
            dg.AssetCheckSpec(name, asset=asset, description=text, partitions_def=grid, blocking=name in descriptions)
            for name, text in {**descriptions, **consumers}.items()
        ]


def _is_made_in(context: dg.AssetCheckExecutionContext, asset: dg.AssetKey) -> bool:
    """Return True if the run has published what it checks, so that the ledger has an audit that was just made."""
    made = context.instance.get_records_for_run(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = [record.event_log_entry.dagster_event for record in made.records]
    return any(event is not None and event.asset_key == asset for event in events)


def _result(found_now: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    """Convert an evaluation of the run's own partition; Dagster adds asset and partition."""
    return dg.AssetCheckResult(
        check_name=found_now.check_name,
        passed=found_now.passed,
        severity=found_now.severity,
        description=found_now.description,
        metadata=found_now.metadata,
    )


def _worth_inspecting(engine: Engine, stage: str) -> list[str]:
    """The newest partitions that there is a version of, and those whose version is quarantined, in their order."""
    statuses = engine.planner.statuses([stage])[stage]
    quarantined = {key for key, status in statuses.items() if status.state is State.HELD and status.recipe}
    newest = sorted(key for key, status in statuses.items() if status.published or key in quarantined)[-_NEWEST:]
    return sorted(quarantined | set(newest))


def _result_without_evaluation(context: dg.AssetCheckExecutionContext) -> Callable[[dg.AssetCheckKey], dg.Output[None]]:
    """Convert a check to a result that shows nothing: Dagster warns of checks without any, because they hold nobody back."""
    layer = context.job_def.asset_layer
    return lambda key: dg.Output(None, output_name=layer.get_op_output_name(key))


def _published(
    engine: Engine, expected: Expected, stage: str, partition: str, keys: AssetKeys
) -> list[dg.AssetCheckEvaluation]:
    """The evaluations by the last audit of the published version; none where nothing is published."""
    found = engine.ledger.publication(engine.environment, stage, partition)
    return evaluations(expected, *found[1], keys, engine.environment) if found and found[1] else []


def _audited_now(
    engine: Engine, expected: Expected, stage: str, partition: str, keys: AssetKeys
) -> list[dg.AssetCheckEvaluation]:
    """The evaluations by another audit of the version that is there."""
    found = audit_now(engine, stage, partition)
    if found is None:
        why = "there is no version of it yet"
        return [nothing_to_audit(stage, partition, why, dg.AssetCheckSeverity.WARN, keys)]
    return evaluations(expected, *found, keys, engine.environment)
