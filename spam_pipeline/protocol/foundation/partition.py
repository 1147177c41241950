"""Partition keys: their formats, and the arithmetic of hours, days and months.

The pipeline's grids (arrival days, event days, statement months) are defined in `spam_pipeline.partitions`.
Keys come from command lines, folder names and user interfaces, so every key is checked before it becomes a path or a query.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from spam_pipeline.protocol.foundation.errors import WrongDefinition, WrongPartition

WHOLE = "all"
"""The one key of a stage that is not partitioned, and the one part of a version that has no parts of its own."""

_BETWEEN = "|"
"""Stands between span and name in a key of a grid that has both: Dagster writes its own keys so."""


class Grain(Enum):
    """The span of one partition; the value is the format of its key."""

    HOUR = "YYYY-MM-DDTHH"
    DAY = "YYYY-MM-DD"
    MONTH = "YYYY-MM"
    NONE = WHOLE


@dataclass(frozen=True)
class Partitions:
    """A grid of partitions: its name in the field's terms, and its grain; with `names`, a span has a partition for each of them.

    A grid of names alone has the grain `NONE`.

    >>> Partitions("market", Grain.NONE, ("DE", "FR")).check("FR")
    'FR'
    >>> Partitions("market day", Grain.DAY, ("DE", "FR")).check("2026-01-05|FR")
    '2026-01-05|FR'
    """

    name: str
    grain: Grain
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise `WrongDefinition` for a name that cannot be a folder, or that stands twice."""
        wrong = [name for name in self.names if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name)]
        if wrong or len(set(self.names)) < len(self.names):
            raise WrongDefinition(
                f"{self.name}: expected different names of 1 to 64 letters, digits, _, . and -, got {list(self.names)}"
            )

    @property
    def is_whole(self) -> bool:
        """Return True for the grid of a stage that is not partitioned."""
        return self.grain is Grain.NONE and not self.names

    @property
    def format(self) -> str:
        """The keys, as messages show them."""
        names = f"one of {', '.join(self.names)}"
        if not self.names:
            return self.grain.value
        return names if self.grain is Grain.NONE else f"{self.grain.value}{_BETWEEN}NAME with {names}"

    def check(self, key: str) -> str:
        """Return `key` if this grid can have it; raise `WrongPartition` with the expected format otherwise."""
        span, name = _divided(key) if self.names else (key, "")
        if not _is_span(span, self.grain) or (self.names and name not in self.names):
            raise WrongPartition(f"{key!r} is no {self.name}: expected {self.format}")
        return key

    def is_open(self, key: str, watermark: str) -> bool:
        """Return True while a partition can still receive data: the landing zone, whose latest day is the watermark, is not past it."""
        if self.grain is Grain.NONE:
            return False
        span = span_of(key)
        return (last_day_of(span) if self.grain is Grain.MONTH else day_of(span)) >= watermark

    def series_of(self, key: str) -> str:
        """The series of a partition, among which it is usual or not: the same hour of other days, the same name of other spans.

        >>> Partitions("market hour", Grain.HOUR, ("DE", "FR")).series_of("2026-01-05T07|FR")
        'T07|FR'
        >>> Partitions("event day", Grain.DAY).series_of("2026-01-05")
        ''
        """
        if self.grain is Grain.NONE:
            return key
        return key.removeprefix(day_of(key) if self.grain is Grain.HOUR else span_of(key))


def key_of(span: str, name: str) -> str:
    """The key of a span and a name: `2026-01-05` and `FR` give `2026-01-05|FR`, no span at all gives `FR`."""
    return name if span == WHOLE else f"{span}{_BETWEEN}{name}"


def span_of(key: str) -> str:
    """The span of a key: `2026-01-05|FR` gives `2026-01-05`."""
    return key.partition(_BETWEEN)[0]


def name_of(key: str) -> str:
    """The name of a key that has one: `2026-01-05|FR` and `FR` give `FR`."""
    return key.rpartition(_BETWEEN)[2]


def day_of(key: str) -> str:
    """The day of a day's or an hour's key: `2026-01-05T07` gives `2026-01-05`."""
    return span_of(key)[: len(Grain.DAY.value)]


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


def _divided(key: str) -> tuple[str, str]:
    span, between, name = key.partition(_BETWEEN)
    if span == WHOLE:
        return key, ""  # which is written without its span
    return (span, name) if between else (WHOLE, key)


def _is_span(span: str, grain: Grain) -> bool:
    if grain is Grain.NONE:
        return span == WHOLE
    if grain is Grain.MONTH:
        return len(span) == len("2026-01") and _is_day(f"{span}-01")
    if grain is Grain.DAY:
        return _is_day(span)
    return _is_day(span[:-3]) and re.fullmatch("T([01][0-9]|2[0-3])", span[-3:]) is not None


def _is_day(key: str) -> bool:
    try:
        return date.fromisoformat(key).isoformat() == key
    except ValueError:
        return False
