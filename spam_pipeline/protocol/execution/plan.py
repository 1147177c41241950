"""The plan: every partition that would run, with its cause and action. It runs nothing.

Consequences of a version that is in the ledger are known exactly. Those of one that has yet to be computed are not: its
consumers are planned as if it were new, and the cause says so. Partitions that only its parts will name are not in the plan.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.explanation.causes import UNKNOWN, Cause
from spam_pipeline.protocol.foundation.partition import WHOLE
from spam_pipeline.protocol.ledger.costs import Cost
from spam_pipeline.protocol.ledger.records import PartSummary, VersionSummary
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction
from spam_pipeline.protocol.planning.staleness import StalenessReport


class PlannedAction(Enum):
    """The action that would be taken for a partition."""

    COMPUTE = "compute"
    REUSE = "reuse"
    AUDIT = "audit"
    RETRACT = "retract"


@dataclass(frozen=True)
class Planned:
    """One partition that would run."""

    stage: str
    partition: str
    cause: Cause
    action: PlannedAction


def plan(engine: Engine, names: Collection[str] | None = None) -> list[Planned]:
    """Plan a convergence of the named stages (or all) and their upstreams, in the order of stages and partitions."""
    stages = engine.graph.with_upstreams(engine.graph.stages if names is None else names)
    assumption = _Assumption(engine)
    report = StalenessReport(engine.graph, engine.planner.snapshot(stages), stages, assumption.published)
    planned = []
    for stage, by_partition in report.statuses.items():
        to_run = [status for status in by_partition.values() if status.can_run]
        causes = engine.causes(report, stage, to_run)
        planned += [
            Planned(status.stage, status.partition, causes[status.partition], assumption.planned_action(status))
            for status in to_run
        ]
    return planned


def cost_of(planned: Planned, costs: Mapping[str, Cost]) -> Cost | None:
    """What a planned partition takes by the last versions of its stage; None where none was ever computed.

    Only computing counts: what is reused or audited again takes a moment and stores nothing.
    """
    return costs.get(planned.stage) if planned.action is PlannedAction.COMPUTE else _NOTHING


def total_cost(planned: Collection[Planned], costs: Mapping[str, Cost]) -> Cost:
    """What a plan takes together, leaving out stages that were never computed."""
    known = [cost for item in planned if (cost := cost_of(item, costs)) is not None]
    return Cost(sum(cost.seconds for cost in known), sum(cost.bytes for cost in known))


_NOTHING = Cost(0.0, 0)


@dataclass(frozen=True)
class PlannedTogether:
    """Partitions of one stage that would run for one cause; `span` is the first and the last, `cost` an estimate."""

    stage: str
    cause: str
    action: PlannedAction
    partitions: int
    span: str
    cost: Cost


def grouped(planned: Collection[Planned], costs: Mapping[str, Cost]) -> list[PlannedTogether]:
    """Group a plan by stage, cause and action."""
    groups: dict[tuple[str, str, PlannedAction], list[Planned]] = defaultdict(list)
    for item in planned:
        groups[item.stage, item.cause.summary, item.action].append(item)
    return [
        PlannedTogether(
            stage,
            str(items[0].cause) if len(items) == 1 and len(items[0].cause.names) == 1 else cause,
            action,
            len(items),
            " to ".join(dict.fromkeys((items[0].partition, items[-1].partition))),
            total_cost(items, costs),
        )
        for (stage, cause, action), items in groups.items()
    ]


class _Assumption:
    """The publications after everything planned has run and passed its audit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, VersionSummary] = {}

    def published(self, statuses: Mapping[str, PartitionStatus]) -> dict[str, VersionSummary | None]:
        """The versions that consumers of a stage would find: those computed before, and new ones of unknown content."""
        self._known |= self._engine.ledger.made(
            {status.recipe for status in statuses.values() if status.required_action in _LEADS_ON}
        )
        return {partition: self._after(status) for partition, status in statuses.items()}

    def planned_action(self, status: PartitionStatus) -> PlannedAction:
        """The action that would be taken for a status."""
        if status.required_action is not RequiredAction.MAKE:
            return _PLANNED_ACTIONS[status.required_action]
        return PlannedAction.REUSE if status.recipe in self._known else PlannedAction.COMPUTE

    def _after(self, status: PartitionStatus) -> VersionSummary | None:
        if (
            status.required_action not in _LEADS_ON or status.reason is Reason.HISTORY_CHANGED
        ):  # another history seldom frees what was refused
            return status.published
        return self._known.get(status.recipe) or _computed(status)


def _computed(status: PartitionStatus) -> VersionSummary:
    """A version that has yet to be computed, with the parts of the published one and unknown contents."""
    names = [part.name for part in status.published.parts] if status.published else []
    side = [part.name for part in status.published.side_parts] if status.published else []
    content = f"{UNKNOWN} {status.recipe}"
    parts = tuple(PartSummary(name, content, 1) for name in names or [WHOLE])
    side_parts = tuple(PartSummary(name, content, 1) for name in side)
    return VersionSummary(0, status.recipe, "", content, parts, side_parts)


_LEADS_ON = {RequiredAction.MAKE, RequiredAction.AUDIT}
"""Actions that end with the wanted version published."""

_PLANNED_ACTIONS = {
    RequiredAction.AUDIT: PlannedAction.AUDIT,
    RequiredAction.DELIVER: PlannedAction.REUSE,
    RequiredAction.RETRACT: PlannedAction.RETRACT,
}
