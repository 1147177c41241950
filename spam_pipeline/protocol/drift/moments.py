"""Moments of partitions, for drift: the place in a sequence of equal steps, and the day of the week."""

from datetime import datetime
from typing import NamedTuple

from spam_pipeline.protocol.foundation.errors import WrongPartition
from spam_pipeline.protocol.foundation.partition import Grain, day_of


class Moment(NamedTuple):
    """The place of a partition, in days or months, and its weekday (0 is Monday); None for a month."""

    place: int
    weekday: int | None


def moment_of(partition: str) -> Moment:
    """The moment of a key's day, or of its month; raises `WrongPartition` for a key that has neither."""
    day = day_of(partition)
    is_month = len(day) == len(Grain.MONTH.value)
    try:
        first = datetime.strptime(day, "%Y-%m" if is_month else "%Y-%m-%d")  # noqa: DTZ007 - a day has no offset
    except ValueError as wrong:
        raise WrongPartition(f"{partition!r} has neither a day (YYYY-MM-DD) nor a month (YYYY-MM)") from wrong
    return Moment(12 * first.year + first.month, None) if is_month else Moment(first.toordinal(), first.weekday())
