"""Automation: what Dagster starts by itself, and when. The answers come from the ledger; nothing here remembers a tick.

`stale` is an automation condition like Dagster's own and composes with them. It is evaluated in the code location, because
it asks this pipeline's ledger; a sensor that evaluates it needs `use_user_code_server=True`.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

import dagster as dg
from typing_extensions import override

from spam_pipeline.protocol import WHOLE, digest
from spam_pipeline.protocol.operating import Engine, PartitionStatuses, Retry

CONVERGENCE = "convergence"
"""The asset whose materialization is one convergence of all stages."""

OpenEngine = Callable[[], Engine]
"""Opens the engine when it is first needed, so that definitions can be loaded without a ledger."""

_CONVERGENCE_RETRY = Retry(tries=1_000_000)
"""What keeps a convergence from getting anywhere, such as a disk that is away, ends some day: in the end once an hour."""


class Stale(dg.AutomationCondition[dg.AssetKey]):
    """True for the partitions that are due: stale or missing, able to run, and not waiting for another try.

    Level-triggered: it says so at every evaluation until they are no longer.
    """

    def __init__(self, due: Callable[[str], AbstractSet[str]]) -> None:
        self._due = due

    @property
    @override
    def name(self) -> str:
        return "stale"

    @property
    @override
    def description(self) -> str:
        return "The version that code, settings and inputs call for now is not the published one"

    @property
    @override
    def requires_cursor(self) -> bool:
        return False

    @override
    def get_label(self) -> str | None:
        return "stale"

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        if context.candidate_subset.is_empty:
            return dg.AutomationResult(context, context.candidate_subset)
        due = self._due(context.key.path[-1])
        if context.partitions_def is None:
            subset = context.candidate_subset if due else context.get_empty_subset()
            return dg.AutomationResult(context, subset)
        keys = context.partitions_def.filter_valid_partition_keys(set(due))
        subset = context.asset_graph_view.get_subset_from_partition_keys(context.key, context.partitions_def, keys)
        return dg.AutomationResult(context, context.candidate_subset.compute_intersection(subset))


def stale(open_engine: OpenEngine) -> Stale:
    """The condition for a stage: its partitions that are due."""

    def due(stage: str) -> AbstractSet[str]:
        engine = open_engine()
        return {
            status.partition
            for status in engine.planner.due(engine.planner.statuses([stage])[stage].values(), datetime.now(UTC))
        }

    return Stale(due)


def anything_stale(open_engine: OpenEngine) -> Stale:
    """The condition for a convergence: whether any stage has a partition that is due.

    A convergence that ended without having got anywhere, because it crashed or somebody stopped it, is tried again as a recipe
    that failed is.
    """

    def due(_convergence: str) -> AbstractSet[str]:
        engine, now = open_engine(), datetime.now(UTC)
        statuses = engine.planner.statuses()
        if not engine.planner.due(
            [status for by_partition in statuses.values() for status in by_partition.values()], now
        ):
            return frozenset()
        key = convergence_key(engine, statuses)
        tried = engine.ledger.attempts.of([key]).get(key)
        next_try = _CONVERGENCE_RETRY.next_try(tried) if tried else now
        return {WHOLE} if next_try is not None and next_try <= now else frozenset()

    return Stale(due)


def convergence_tags(engine: Engine) -> dict[str, str]:
    """What tells the runs of one convergence from those of another ledger or environment in the same instance."""
    return {"spam_pipeline/environment": engine.environment, "spam_pipeline/ledger": engine.ledger.identity}


def convergence_key(engine: Engine, statuses: PartitionStatuses) -> str:
    """Under which name the ledger counts convergences that came to nothing: what there is to do, and how often it was tried.

    So one that came as far as trying anything, or that other code would do now, is left to the retry policies of the stages.
    """
    runnable = [status for by_partition in statuses.values() for status in by_partition.values() if status.can_run]
    tried = engine.planner.attempts(runnable)
    to_do = [
        (
            status.stage,
            status.partition,
            status.recipe,
            engine.graph.contract_digests[status.stage],
            tried[status.recipe].count if status.recipe in tried else 0,
        )
        for status in runnable
    ]
    return digest((CONVERGENCE, engine.environment, to_do))
