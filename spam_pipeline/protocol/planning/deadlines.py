"""Deadlines: which partitions that people wait for are not ready although they are settled, and which of those are late. Pure.

A day is settled when a later day has been observed to arrive, a month likewise; so a landing zone that is observed as a whole has
its first clock start then, whatever its days are called. The clock of a partition starts when it is first found unready, which
`execution.lateness` notes in the ledger, and ends when it is ready: late files or another release start another one.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.foundation.partition import WHOLE, Grain, Partitions, key_of, span_of
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, PartitionStatuses, State

Place = tuple[str, str]
"""A stage and one of its partitions."""


class Late(NamedTuple):
    """A partition that was not ready in time: when it was due, and what it lacks, itself or of what it rests on."""

    stage: str
    partition: str
    due: datetime
    lacks: tuple[PartitionStatus, ...]

    def __str__(self) -> str:
        """The partition, since when it is late, and why, such as `total 2026-01-05: due 2026-01-06 12:00 UTC; waits for numbers 2026-01-05`."""
        return f"{self.stage} {self.partition}: due {self.due:%Y-%m-%d %H:%M} UTC; {self.why}"

    @property
    def why(self) -> str:
        """The first thing that it lacks, in words: what everything else waits for comes first in the order of stages."""
        first = self.lacks[0]
        is_itself = (first.stage, first.partition) == (self.stage, self.partition)
        return first.explanation if is_itself else f"rests on {first}"


def unready(graph: StageGraph, statuses: PartitionStatuses, watermark: str) -> dict[Place, list[PartitionStatus]]:
    """The settled partitions of stages with a deadline that are not fresh, or rest on some that are not; each with all of those.

    Of what a stage rests on, partitions of the same day or month count. What is not partitioned does not: a model that is refused
    leaves the one before it in use.
    """
    not_fresh = {
        name: [status for status in by_partition.values() if status.state is not State.FRESH]
        for name, by_partition in statuses.items()
    }
    found: dict[Place, list[PartitionStatus]] = defaultdict(list)
    for stage in graph.stages.values():
        if stage.deadline is not None and stage.name in statuses:
            for name in _chain(graph, stage):
                for status in not_fresh[name]:
                    for key in _affected(stage.partitions, status.partition):
                        if not stage.partitions.is_open(key, watermark):
                            found[stage.name, key].append(status)
    return found


def late(
    graph: StageGraph,
    found: Mapping[Place, Sequence[PartitionStatus]],
    since: Mapping[Place, datetime],
    now: datetime,
) -> list[Late]:
    """The unready partitions whose deadline has passed, given since when each has been unready."""
    return [
        Late(*place, due, tuple(lacks))
        for place, lacks in found.items()
        for deadline in [graph.stages[place[0]].deadline]
        if deadline is not None
        for due in [since[place] + deadline]
        if due <= now
    ]


def _chain(graph: StageGraph, stage: AnyStage) -> list[str]:
    """A stage and those that it rests on by day or month, in the order of the graph."""
    wanted = {stage.name}
    for other in reversed(list(graph.stages.values())):
        if other.name in wanted:
            wanted |= {name for name in graph.upstreams(other) if graph.stages[name].partitions.grain is not Grain.NONE}
    return [name for name in graph.stages if name in wanted]


def _affected(partitions: Partitions, key: str) -> Iterator[str]:
    """The partitions of a grid that a key of the grid of another stage is about; none for a month among days.

    >>> list(_affected(Partitions("statement month", Grain.MONTH), "2026-01-05"))
    ['2026-01']
    >>> list(_affected(Partitions("market day", Grain.DAY, ("DE", "FR")), "2026-01-05T07"))
    ['2026-01-05|DE', '2026-01-05|FR']
    """
    if partitions.grain is Grain.NONE:
        yield from [key] if key in (partitions.names or (WHOLE,)) else []
        return
    span = span_of(key)[: len(partitions.grain.value)]  # each format begins with those of the longer spans
    if len(span) == len(partitions.grain.value):
        own = [key_of(span, name) for name in partitions.names] or [span]
        yield from [key] if key in own else own
