"""The plan: every partition that would run, why, and what would be done. It runs nothing.

What follows from a version that is in the ledger already is known exactly. What follows from one that has yet to be computed
is not: its consumers are planned as if it were new, and the cause says so. Partitions that only its parts will name are
not in the plan.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from spam_pipeline.protocol.causes import UNKNOWN, Cause
from spam_pipeline.protocol.needs import HISTORY, Need, Work
from spam_pipeline.protocol.partition import WHOLE
from spam_pipeline.protocol.records import Published, PublishedPart
from spam_pipeline.protocol.runner import Runner
from spam_pipeline.protocol.staleness import Assessment


class Doing(Enum):
    """What would be done for a partition."""

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
    action: Doing


def plan(runner: Runner, names: Collection[str] | None = None) -> list[Planned]:
    """What converging the named stages (or all) and what they rest on would do, in the order of stages and partitions."""
    stages = runner.graph.with_upstreams(runner.graph.stages if names is None else names)
    assumption = _Assumption(runner)
    assessment = Assessment(runner.graph, runner.snapshot(stages), stages, assumption.published)
    planned = []
    for stage, by_partition in assessment.needs.items():
        to_run = [need for need in by_partition.values() if need.can_run]
        causes = runner.causes(assessment, stage, to_run)
        planned += [
            Planned(need.stage, need.partition, causes[need.partition], assumption.doing(need)) for need in to_run
        ]
    return planned


@dataclass(frozen=True)
class PlannedTogether:
    """Partitions of one stage that would run for one cause; `span` is the first and the last, `seconds` an estimate."""

    stage: str
    cause: str
    action: Doing
    partitions: int
    span: str
    seconds: float


def grouped(planned: Collection[Planned], seconds_by_stage: Mapping[str, float]) -> list[PlannedTogether]:
    """A plan in short; what is computed takes as long as the stage's partitions took on average."""
    groups: dict[tuple[str, str, Doing], list[Planned]] = defaultdict(list)
    for item in planned:
        groups[item.stage, item.cause.in_general, item.action].append(item)
    return [
        PlannedTogether(
            stage,
            str(items[0].cause) if len(items) == 1 and len(items[0].cause.names) == 1 else cause,
            action,
            len(items),
            " to ".join(dict.fromkeys((items[0].partition, items[-1].partition))),
            len(items) * seconds_by_stage.get(stage, 0.0) if action is Doing.COMPUTE else 0.0,
        )
        for (stage, cause, action), items in groups.items()
    ]


class _Assumption:
    """What would be published once everything planned has run and passed its audit."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._known: dict[str, Published] = {}

    def published(self, needs: Mapping[str, Need]) -> dict[str, Published | None]:
        """What consumers of a stage would find: for a recipe computed before its version, otherwise something new."""
        self._known |= self._runner.ledger.made({need.recipe for need in needs.values() if need.work in _LEADS_ON})
        return {partition: self._after(need) for partition, need in needs.items()}

    def doing(self, need: Need) -> Doing:
        """What would be done for a need."""
        if need.work is not Work.MAKE:
            return _DOING[need.work]
        return Doing.REUSE if need.recipe in self._known else Doing.COMPUTE

    def _after(self, need: Need) -> Published | None:
        if need.work not in _LEADS_ON or need.reason == HISTORY:  # another history seldom frees what was refused
            return need.published
        return self._known.get(need.recipe) or _computed(need)


def _computed(need: Need) -> Published:
    """A version that has yet to be computed: it has the parts of the published one, with contents that nobody knows."""
    names = [part.name for part in need.published.parts] if need.published else []
    side = [part.name for part in need.published.side_parts] if need.published else []
    content = f"{UNKNOWN} {need.recipe}"
    parts = tuple(PublishedPart(name, content, 1) for name in names or [WHOLE])
    side_parts = tuple(PublishedPart(name, content, 1) for name in side)
    return Published(0, need.recipe, "", content, parts, side_parts)


_LEADS_ON = {Work.MAKE, Work.AUDIT}
"""Works that end with the wanted version published."""

_DOING = {Work.AUDIT: Doing.AUDIT, Work.DELIVER: Doing.REUSE, Work.RETRACT: Doing.RETRACT}
