"""Retry policies: how often, and after which waits, a failed recipe is tried again unasked. Pure arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from spam_pipeline.protocol.ledger.records import Attempts

_FACTOR = 4
"""Each wait is this many times the one before it, up to the longest."""

_LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Retry:
    """A number of tries with growing waits. After the last try a recipe is left until it changes.

    >>> from datetime import datetime
    >>> noon = datetime(2026, 1, 5, 12)
    >>> for count in (1, 2, 3, 4):
    ...     print(Retry().next_try(Attempts(count, noon, "the disk is away")))
    2026-01-05 12:00:30
    2026-01-05 12:02:00
    2026-01-05 12:08:00
    None
    """

    tries: int = 4
    first_wait_seconds: int = 30

    def next_try(self, attempts: Attempts) -> datetime | None:
        """The time of the next try; None after the last one."""
        if attempts.count >= self.tries:
            return None
        wait = self.first_wait_seconds * _FACTOR ** (attempts.count - 1)
        return attempts.last_at + timedelta(seconds=min(wait, _LONGEST_SECONDS))


DELIVERIES = Retry(tries=1000)
"""The policy of stages with a delivery, whose target may be away for days: it is tried for weeks, in the end once an hour."""
