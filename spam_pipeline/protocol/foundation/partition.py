"""Partition keys: their formats, and the arithmetic of days and months.

The pipeline's grids (arrival days, event days, statement months) are defined in `spam_pipeline.partitions`.
Keys come from command lines, folder names and user interfaces, so every key is checked before it becomes a path or a query.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from spam_pipeline.protocol.foundation.errors import WrongPartition

WHOLE = "all"
"""The one key of a stage that is not partitioned, and the one part of a version that has no parts of its own."""


class Grain(Enum):
    """The span of one partition; the value is the format of its key."""

    DAY = "YYYY-MM-DD"
    MONTH = "YYYY-MM"
    NONE = WHOLE


@dataclass(frozen=True)
class Partitions:
    """A grid of partitions: its name in the field's terms, and its grain."""

    name: str
    grain: Grain

    def check(self, key: str) -> str:
        """Return `key` if this grid can have it; raise `WrongPartition` with the expected format otherwise."""
        if self.grain is Grain.NONE:
            valid = key == WHOLE
        elif self.grain is Grain.DAY:
            valid = _is_day(key)
        else:
            valid = len(key) == len("2026-01") and _is_day(f"{key}-01")
        if not valid:
            raise WrongPartition(f"{key!r} is no {self.name}: expected {self.grain.value}")
        return key

    def is_open(self, key: str, watermark: str) -> bool:
        """Return True while a partition can still receive data: the landing zone, whose latest day is the watermark, is not past it."""
        if self.grain is Grain.NONE:
            return False
        return (last_day_of(key) if self.grain is Grain.MONTH else key) >= watermark


def month_of(day: str) -> str:
    """The month key that a day key falls into: `2026-01-05` gives `2026-01`."""
    return day[:7]


def last_day_of(month: str) -> str:
    """The last day key of a month key: `2026-02` gives `2026-02-28`."""
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=31)).replace(day=1)
    return (following - timedelta(days=1)).isoformat()


def days_before(day: str, count: int) -> str:
    """The day key `count` days before `day`; a negative count goes forward."""
    return (date.fromisoformat(day) - timedelta(days=count)).isoformat()


def days_from(first: str, last: str) -> Iterator[str]:
    """The day keys from `first` to `last`, both included."""
    for day in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1):
        yield date.fromordinal(day).isoformat()


def _is_day(key: str) -> bool:
    try:
        return date.fromisoformat(key).isoformat() == key
    except ValueError:
        return False
