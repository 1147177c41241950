"""Arrivals: what a source's days lack of what its cadence promises, and which days of arrival settle a day. Pure.

What follows for a partition is in `staleness`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.definition.stage import HOURS, Cadence, Source
from spam_pipeline.protocol.foundation.partition import days_before, days_from
from spam_pipeline.protocol.planning.landed import LandedFiles
from spam_pipeline.protocol.planning.offers import StageOffers
from spam_pipeline.protocol.planning.partition_status import State

Hours = tuple[str, ...]
"""Hours of a day, such as `("05", "06")`."""


def missing_hours(source: Source, landed: Mapping[str, LandedFiles], first: str) -> dict[str, Hours]:
    """The hours that have not landed, by day, from the day `first` to the newest; only days that lack some.

    A day without anything lacks all of its hours, whatever the cadence. The newest day may still grow, so that hours are
    not asked of it.
    """
    newest = max(landed, default="")
    if source.cadence is None or newest < first:
        return {}
    found = {}
    for day in days_from(first, newest):
        there = landed[day].hours if day in landed else ()
        if not there:
            found[day] = HOURS
        elif source.cadence is Cadence.HOUR and day != newest:
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


@dataclass(frozen=True)
class Arrivals:
    """The days of arrival of a stage: the newest one, the newest that is accepted and complete, and those that are not.

    Of the latter each says whether it comes by itself, by what is there already.
    """

    stage: str
    newest: str
    newest_accepted: str
    unaccepted: Mapping[str, bool]

    @classmethod
    def of(cls, offers: StageOffers, missing: Mapping[str, Hours]) -> "Arrivals":
        """Tell the days of a stage that are accepted and complete from those that are not."""
        unaccepted = {
            day: status.can_run
            for day, status in offers.statuses.items()
            if offers.versions.get(day) is None or status.state is State.HELD or day in missing
        }
        accepted = offers.statuses.keys() - unaccepted.keys()
        return cls(offers.name, max(offers.statuses, default=""), max(accepted, default=""), unaccepted)

    def lacking(self, day: str, after: int) -> list[tuple[str, bool]]:
        """The days that settle `day` and are not accepted: of itself and so many `after` it, or else whatever came later."""
        last = days_before(day, -after)
        found = [item for item in days_from(day, last) if item in self.unaccepted]
        if not found and self.newest_accepted < last:
            found = [min(item for item in self.unaccepted if item > last)]
        return [(f"{self.stage} {item}", self.unaccepted[item]) for item in found]
