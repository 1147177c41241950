"""Arrivals: what a source's days lack of what its cadence promises. Pure; what follows for a partition is in `staleness`."""

from collections.abc import Mapping, Sequence

from spam_pipeline.protocol.definition.stage import HOURS, Cadence, Source
from spam_pipeline.protocol.foundation.partition import days_from
from spam_pipeline.protocol.ledger.records import Observation

Hours = tuple[str, ...]
"""Hours of a day, such as `("05", "06")`."""


def missing_hours(source: Source, landed: Mapping[str, Sequence[Observation]], first: str) -> dict[str, Hours]:
    """The hours that have not landed, by day, from the day `first` to the newest; only days that lack some.

    A day without anything lacks all of its hours, whatever the cadence. The newest day may still grow, so that hours are
    not asked of it.
    """
    newest = max(landed, default="")
    if source.cadence is None or newest < first:
        return {}
    found = {}
    for day in days_from(first, newest):
        files = landed.get(day, ())
        if not any(source.hours_of(item.path) for item in files):
            found[day] = HOURS
        elif source.cadence is Cadence.HOUR and day != newest:
            there = {hour for item in files for hour in source.hours_of(item.path)}
            missing = tuple(hour for hour in HOURS if hour not in there)
            if missing:
                found[day] = missing
    return found


def in_words(missing: Hours) -> str:
    """What is missing, such as `hours 05, 06`.

    >>> print(in_words(("05", "06")), in_words(HOURS), sep="; ")
    hours 05, 06; anything
    """
    return "anything" if missing == HOURS else f"hours {', '.join(missing)}"
