"""Automation: the conditions under which Dagster starts runs. They ask the ledger; nothing here remembers a tick.

`stale` composes with Dagster's own conditions, which do not suffice: `code_version_changed()` compares with the last tick, so
that a fresh cursor misses changes and a revert requests everything; `eager()` ignores late data in an old partition. It is
evaluated in the code location, where the ledger is; a sensor that evaluates it needs `use_user_code_server=True`.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import ClassVar, Protocol

import dagster as dg
from typing_extensions import override

from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.instance import require_instance_of
from spam_pipeline.protocol import WHOLE, digest
from spam_pipeline.protocol.operating import Engine, Overview, PartitionStatuses, Retry

CONVERGENCE = "convergence"
"""The asset whose materialization is one convergence of all stages."""

OWNER = "team:platform"
"""Who owns what is about all stages; each stage has an owner of its own."""

OpenEngine = Callable[[], Engine]
"""Opens the engine when it is first needed, so that definitions can be loaded without a ledger."""


class Notify(Protocol):
    """Notifies people of what is new or over by how the stages stand; with `only_late`, of lateness alone."""

    def __call__(self, found: Overview, *, only_late: bool = False) -> None:
        """Notify."""


def notify_nobody(found: Overview, *, only_late: bool = False) -> None:
    """Notify nobody: for a code location without targets."""
    del found, only_late


_CONVERGENCE_RETRY = Retry(tries=1_000_000)
"""For ever, in the end once an hour: what stops a whole convergence, such as a disk that is away, ends some day."""


class _Named(dg.AutomationCondition[dg.AssetKey]):
    """A condition that remembers nothing, with a label for people; its name is that in one word."""

    label: ClassVar[str]

    @property
    @override
    def name(self) -> str:
        return self.label.replace(" ", "_")

    @property
    @override
    def requires_cursor(self) -> bool:
        return False

    @override
    def get_label(self) -> str | None:
        return self.label


class Stale(_Named):
    """True for the partitions that are due: stale or missing, able to run, and not waiting for another try.

    Level-triggered: true at every evaluation until they are no longer due. Partitions that need not run are not requested,
    because Dagster's backfills report those that a run skips as failed (since 1.13.22). An instance of another environment is
    asked for no run: its conditions fail.
    """

    label = "stale"

    def __init__(self, open_engine: OpenEngine, due: Callable[[Engine, str], AbstractSet[str]]) -> None:
        self._open_engine = open_engine
        self._due = due

    @property
    @override
    def description(self) -> str:
        return "The version that code, settings and inputs call for now is not the published one"

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        if context.candidate_subset.is_empty:
            return dg.AutomationResult(context, context.candidate_subset)
        engine = self._open_engine()
        due = self._due(engine, AssetKeys.name(context.key))
        if due:
            require_instance_of(context.asset_graph_view.instance, engine.environment)
        if context.partitions_def is None:
            subset = context.candidate_subset if due else context.get_empty_subset()
            return dg.AutomationResult(context, subset)
        keys = context.partitions_def.filter_valid_partition_keys(set(due))
        subset = context.asset_graph_view.get_subset_from_partition_keys(context.key, context.partitions_def, keys)
        return dg.AutomationResult(context, context.candidate_subset.compute_intersection(subset))


class RunByConvergence(_Named):
    """The condition of a stage that `convergence` runs: it requests nothing itself.

    The page of an asset names an automation sensor only if the asset has a condition.
    """

    label = "run by convergence"

    @property
    @override
    def description(self) -> str:
        return "The asset convergence, which the same sensor starts, runs whatever is stale of this stage"

    @override
    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        return dg.AutomationResult(context, context.get_empty_subset())


def stale(open_engine: OpenEngine) -> Stale:
    """The condition for a stage: its partitions that are due."""

    def due(engine: Engine, stage: str) -> AbstractSet[str]:
        return {
            status.partition
            for status in engine.planner.due(engine.planner.statuses([stage])[stage].values(), datetime.now(UTC))
        }

    return Stale(open_engine, due)


def anything_stale(open_engine: OpenEngine) -> Stale:
    """The condition for a convergence: any stage has a partition that is due.

    A convergence that ended without having got anywhere, because it crashed or somebody stopped it, is tried again as a recipe
    that failed is.
    """

    def due(engine: Engine, _convergence: str) -> AbstractSet[str]:
        statuses, now = engine.planner.statuses(), datetime.now(UTC)
        if not engine.planner.due(
            [status for by_partition in statuses.values() for status in by_partition.values()], now
        ):
            return frozenset()
        key = convergence_key(engine, statuses)
        tried = engine.ledger.attempts.of([key]).get(key)
        next_try = _CONVERGENCE_RETRY.next_try(tried) if tried else now
        return {WHOLE} if next_try is not None and next_try <= now else frozenset()

    return Stale(open_engine, due)


def convergence_tags(engine: Engine) -> dict[str, str]:
    """Tags that tell convergences of this ledger and environment from others in the same instance."""
    return {"spam_pipeline/environment": engine.environment, "spam_pipeline/ledger": engine.ledger.identity}


def convergence_key(engine: Engine, statuses: PartitionStatuses) -> str:
    """The key by which the ledger counts convergences that came to nothing: what there is to do, and how often it was tried.

    So once one has tried anything, or the code is another, the retry policies of the stages decide.
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
