"""The course of a convergence: how much of its work is done, in seconds that the last versions of each stage took.

Partitions that only the parts of others will name are not planned: the work grows by them when they are found.
"""

from collections import defaultdict
from collections.abc import Mapping

_SECONDS_OF_UNKNOWN = 1.0
"""What a partition counts for where no stage has ever been computed."""


class Course:
    """Work by stage, planned and then met; `planned` are numbers of partitions, `seconds` how long one takes."""

    def __init__(self, planned: Mapping[str, int], seconds: Mapping[str, float]) -> None:
        self._left = defaultdict[str, int](int, planned)
        self._seconds = seconds
        self._usual = sum(seconds.values()) / len(seconds) if seconds else _SECONDS_OF_UNKNOWN
        self.done = 0.0

    @property
    def total(self) -> float:
        """The seconds of work done and left."""
        return self.done + sum(count * self._of_one(stage) for stage, count in self._left.items())

    def meet(self, stage: str, partitions: int) -> None:
        """A stage is about to run these partitions, which may be more than were planned."""
        self._left[stage] = max(self._left[stage], partitions)

    def finish(self, stage: str) -> None:
        """A partition of a stage is done, whatever came of it."""
        self._left[stage] = max(self._left[stage] - 1, 0)
        self.done += self._of_one(stage)

    def _of_one(self, stage: str) -> float:
        return self._seconds.get(stage, self._usual)
