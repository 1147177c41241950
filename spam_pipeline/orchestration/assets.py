"""Stages and sources as Dagster assets: names, groups, owners, dependencies, checks, and a body that runs the stage.

Everything an asset shows is taken from its stage; what to do in a run is decided by the protocol.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.grids import partition_mapping, partitions_definition
from spam_pipeline.orchestration.metadata import (
    CONTRACT_CHECK,
    audit_metadata,
    column_schema,
    occasion_metadata,
    version_metadata,
)
from spam_pipeline.orchestration.new_features import knowingly
from spam_pipeline.protocol.contract import ArtifactContract, column_types
from spam_pipeline.protocol.errors import Held
from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.partition import WHOLE
from spam_pipeline.protocol.runner import Action, Outcome, Runner
from spam_pipeline.protocol.stage import Source

RUNNER, READER = "runner", "published"
"""Resource keys: what runs stages, and the I/O manager that loads what is published."""

_KINDS = {"duckdb": "duckdb", "polars": "polars", "redis": "redis", "scikit-learn": "scikitlearn"}


def source_asset(source: Source, start: date) -> dg.AssetSpec:
    """Files that others land, as an external asset."""
    return dg.AssetSpec(
        source.name,
        description=source.description,
        group_name="landing",
        kinds={"file"},
        partitions_def=partitions_definition(source.partitions, start),
    )


def stage_asset(
    stage: AnyStage, graph: StageGraph, start: date, condition: dg.AutomationCondition[dg.AssetKey] | None = None
) -> dg.AssetsDefinition:
    """One stage as a partitioned asset with its contract as a check; `condition` says when a partition runs by itself."""
    grid = partitions_definition(stage.partitions, start)

    @dg.asset(
        name=stage.name,
        description=stage.description,
        group_name=stage.context,
        owners=[stage.owner],
        kinds={_KINDS[name] for name in stage.libraries if name in _KINDS},
        code_version=graph.code_versions[stage.name].digest,
        partitions_def=grid,
        deps=_dependencies(stage, graph),
        metadata=_definition_metadata(stage),
        io_manager_key=READER,
        required_resource_keys={RUNNER},
        output_required=False,
        automation_condition=condition,
        check_specs=[_contract_check(stage, grid)],
    )
    def compute(context: dg.AssetExecutionContext) -> Iterator[Any]:
        runner: Runner = context.resources.runner
        try:
            outcome = _run(runner, stage.name, context.partition_key if grid else WHOLE, context.run.run_id)
        except Held as held:
            context.log.warning("nothing done: %s", held)
            yield _nothing_to_audit(str(held))
            return
        yield from _results(stage, outcome)

    return compute


def _contract_check(stage: AnyStage, grid: dg.PartitionsDefinition[str] | None) -> dg.AssetCheckSpec:
    with knowingly():
        return dg.AssetCheckSpec(
            CONTRACT_CHECK,
            asset=stage.name,
            description="The audit of the version against the stage's contract; a refused version is not published.",
            partitions_def=grid,
            blocking=True,
        )


def _run(runner: Runner, name: str, partition: str, run_id: str) -> Outcome:
    runner.observe()
    return runner.run_partition(name, partition, run_id)


def _results(stage: AnyStage, outcome: Outcome) -> Iterator[Any]:
    check = dg.AssetCheckResult(
        check_name=CONTRACT_CHECK, passed=not outcome.refused, metadata=audit_metadata(outcome.audit, outcome.version)
    )
    if outcome.refused:
        yield check
        raise dg.Failure(
            f"{stage.name} {outcome.version.partition} was refused and is quarantined: {'; '.join(outcome.audit.findings)}",
            metadata=version_metadata(outcome.version),
            allow_retries=False,
        )
    if outcome.action is Action.RETRACTED:
        yield _nothing_to_audit("there is nothing to compute it from any more, so it is no longer published")
        return
    said = occasion_metadata(outcome.publication) if outcome.publication else {"action": outcome.action.value}
    yield dg.MaterializeResult(
        metadata={**said, **version_metadata(outcome.version)},
        data_version=dg.DataVersion(outcome.version.content),
        check_results=[check],
    )


def _nothing_to_audit(why: str) -> dg.AssetCheckResult:
    """A warning instead of an audit: the step ends well, nothing is materialized, and the UI says what is waited for."""
    return dg.AssetCheckResult(
        check_name=CONTRACT_CHECK,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"nothing to audit: {why}",
    )


def _dependencies(stage: AnyStage, graph: StageGraph) -> list[dg.AssetDep]:
    dependencies = []
    for name, selection in stage.selections.items():
        for upstream in (name,) if name in graph.sources else graph.upstreams_of(stage, name):
            grid = (graph.sources.get(upstream) or graph.stages[upstream]).partitions
            mapping = partition_mapping(selection, grid, stage.partitions)
            dependencies.append(dg.AssetDep(upstream, partition_mapping=mapping))
    return dependencies


def _definition_metadata(stage: AnyStage) -> dict[str, Any]:
    if isinstance(stage.contract, ArtifactContract):
        return {"format": stage.contract.suffix}
    types = {name: str(dtype) for name, dtype in column_types(stage.contract).items()}
    return {"contract": stage.contract.__name__, "dagster/column_schema": column_schema(types)}
