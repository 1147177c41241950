"""Stages and sources as Dagster assets: names, groups, owners, dependencies, and a body that runs the stage.

Everything an asset shows is taken from its stage; the protocol decides what a run does. A published version is materialized,
and its checks follow; a refused one, or one that cannot be made, is shown by its checks alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.definition_metadata import stage_metadata
from spam_pipeline.orchestration.evaluations import (
    RETRACTED,
    beside_latest,
    evaluations,
    nothing_to_audit,
)
from spam_pipeline.orchestration.grids import partition_mapping, partitions_definition
from spam_pipeline.orchestration.metadata import outcome_metadata, version_metadata
from spam_pipeline.orchestration.ranges import run_range
from spam_pipeline.protocol import WHOLE, Source
from spam_pipeline.protocol.operating import (
    ActionTaken,
    AnyStage,
    Engine,
    Expected,
    Held,
    Outcome,
    StageGraph,
    run_partition,
)
from spam_pipeline.shown_urls import bare_uri

ENGINE, READER = "engine", "published"
"""Resource keys: the engine, and the I/O manager that loads published versions."""

_KINDS = {"duckdb": "duckdb", "polars": "polars", "redis": "redis", "scikit-learn": "scikitlearn"}


def source_asset(
    source: Source, start: date, keys: AssetKeys = UNPREFIXED, landing_zone: str | None = None
) -> dg.AssetSpec:
    """Files that others land in a landing zone, as an external asset."""
    return dg.AssetSpec(
        keys.key(source.name),
        description=source.description,
        group_name="landing",
        owners=[source.owner] if source.owner else [],
        kinds={"file"},
        metadata={"dagster/uri": bare_uri(landing_zone)} if landing_zone else {},
        partitions_def=partitions_definition(source.partitions, start),
    )


def stage_asset(  # noqa: PLR0913, PLR0917 - what an asset is made of
    stage: AnyStage,
    graph: StageGraph,
    start: date,
    condition: dg.AutomationCondition[dg.AssetKey] | None = None,
    keys: AssetKeys = UNPREFIXED,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> dg.AssetsDefinition:
    """One stage as a partitioned asset; `condition` says when a partition runs by itself, `tags` join that of its context."""
    grid, expected = partitions_definition(stage.partitions, start), graph.expected()

    @dg.asset(
        key=keys.key(stage.name),
        description=stage.description,
        group_name=stage.context,
        owners=[stage.owner],
        kinds={_KINDS[name] for name in stage.libraries if name in _KINDS},
        code_version=graph.code_versions[stage.name].digest,
        partitions_def=grid,
        deps=_dependencies(stage, graph, keys),
        tags={"context": stage.context, **tags},
        metadata=stage_metadata(stage, graph, keys),
        io_manager_key=READER,
        required_resource_keys={ENGINE},
        output_required=False,
        automation_condition=condition,
    )
    def compute(context: dg.AssetExecutionContext) -> Iterator[Any]:
        engine: Engine = context.resources.engine
        if context.has_partition_key_range:
            yield from run_range(context, engine, keys, stage.name, context.partition_keys if grid else [WHOLE])
            return
        partition = context.partition_key if grid else WHOLE
        try:
            outcome = _run(engine, stage.name, partition, context.run.run_id)
        except Held as held:
            context.log.warning("nothing done: %s", held)
            _show(context, [nothing_to_audit(stage.name, partition, str(held), dg.AssetCheckSeverity.WARN, keys)])
            return
        yield from _results(context, expected, outcome, keys, engine.environment)

    # Not as a parameter of the decorator, which warns of it as a beta feature.
    return compute.with_attributes(backfill_policy=dg.BackfillPolicy.single_run() if grid else None)


def _run(engine: Engine, name: str, partition: str, run_id: str) -> Outcome:
    engine.observe_for(name, partition)
    return run_partition(engine, name, partition, run_id)


def _results(
    context: dg.AssetExecutionContext, expected: Expected, outcome: Outcome, keys: AssetKeys, environment: str
) -> Iterator[dg.MaterializeResult[Any]]:
    version = outcome.version
    if outcome.refused:  # evaluations that are logged before a step fails are kept, and nothing is materialized
        _show(context, evaluations(expected, version, outcome.audit, keys, environment))
        raise dg.Failure(
            f"{version.stage} {version.partition} was refused and is quarantined: "
            + "; ".join(map(str, outcome.audit.refusing)),
            metadata=version_metadata(version),
            allow_retries=False,
        )
    if outcome.action is ActionTaken.RETRACTED:
        _show(
            context, [nothing_to_audit(version.stage, version.partition, RETRACTED, dg.AssetCheckSeverity.WARN, keys)]
        )
        return
    # Without a value: Dagster then takes the data version as given, and leaves the I/O manager alone.
    yield dg.MaterializeResult(metadata=outcome_metadata(outcome), data_version=dg.DataVersion(version.content))


def _show(context: dg.AssetExecutionContext, found: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Show the outcome of checks in a step that materializes nothing, so that the checks' own step is left out."""
    for evaluation in beside_latest(context.instance, found):
        context.log_event(evaluation)


def _dependencies(stage: AnyStage, graph: StageGraph, keys: AssetKeys) -> list[dg.AssetDep]:
    dependencies = []
    for name, reads in stage.inputs.items():
        for upstream in (name,) if name in graph.sources else graph.upstreams_of(stage, name):
            grid = (graph.sources.get(upstream) or graph.stages[upstream]).partitions
            mapping = partition_mapping(reads.partitions, grid, stage.partitions)
            dependencies.append(dg.AssetDep(keys.key(upstream), partition_mapping=mapping))
    return dependencies
