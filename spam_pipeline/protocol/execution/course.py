"""The course of a convergence: how much of its work is done, in seconds that the last versions of each stage took.

Partitions that only the parts of others will name are not planned: the work grows by them when they are found.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from spam_pipeline.protocol.execution.plan import Planned, cost_of
from spam_pipeline.protocol.ledger.costs import Cost

_SECONDS_OF_UNKNOWN = 1.0
"""What a partition counts for where no stage has ever been computed."""

_MOMENT = 0.01
"""What a partition counts for that is not computed but reused, audited again or retracted: a bar of nothing else moves too."""


class Course:
    """Work planned, and then met, in seconds by stage and partition."""

    def __init__(self, planned: Iterable[Planned], costs: Mapping[str, Cost]) -> None:
        self._seconds = {stage: cost.seconds for stage, cost in costs.items()}
        self._usual = sum(self._seconds.values()) / len(costs) if costs else _SECONDS_OF_UNKNOWN
        self._left = defaultdict[str, dict[str, float]](dict)
        self._unplanned = Counter[str]()
        for item in planned:
            cost = cost_of(item, costs)
            self._left[item.stage][item.partition] = max(cost.seconds, _MOMENT) if cost else self._usual
        self.done = 0.0
        self.total = sum(sum(by_partition.values()) for by_partition in self._left.values())

    def meet(self, stage: str, partitions: int) -> None:
        """A stage is about to run these partitions, which may be more than were planned."""
        self._add(stage, partitions - len(self._left[stage]) - self._unplanned[stage])

    def finish(self, stage: str, partition: str) -> None:
        """A partition of a stage is done, whatever came of it."""
        planned = self._left[stage].pop(partition, None)
        if planned is None:
            self._add(stage, 1 - self._unplanned[stage])
            self._unplanned[stage] -= 1
        self.done += self._of_one(stage) if planned is None else planned

    def _add(self, stage: str, partitions: int) -> None:
        if partitions > 0:
            self._unplanned[stage] += partitions
            self.total += partitions * self._of_one(stage)

    def _of_one(self, stage: str) -> float:
        return self._seconds.get(stage, self._usual)
