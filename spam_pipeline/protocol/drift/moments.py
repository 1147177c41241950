"""Moments of partitions, for drift: the place in a sequence of equal steps, and the day of the week."""

from datetime import date
from typing import NamedTuple

from spam_pipeline.protocol.foundation.errors import WrongPartition

_DAY_LENGTH = len("2026-01-05")


class Moment(NamedTuple):
    """The place of a partition, in days or months, and its weekday (0 is Monday); None for a partition that is no day."""

    place: int
    weekday: int | None


def moment_of(partition: str) -> Moment:
    """The moment of a day's or a month's key; raises `WrongPartition` for a key that is neither."""
    is_day = len(partition) == _DAY_LENGTH
    try:
        first = date.fromisoformat(partition if is_day else f"{partition}-01")
    except ValueError as wrong:
        raise WrongPartition(f"{partition!r} is neither a day (YYYY-MM-DD) nor a month (YYYY-MM)") from wrong
    return Moment(first.toordinal(), first.weekday()) if is_day else Moment(12 * first.year + first.month, None)
