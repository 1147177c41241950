"""Retrying: how often, and after how long, a recipe that failed is tried again without anybody asking. Pure arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from spam_pipeline.protocol.ledger.records import Attempts

_FACTOR = 4
"""Each wait is this many times the one before it, up to the longest."""

_LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Retry:
    """How many times a recipe is tried, and how long the first wait is. After the last try it is left until it changes."""

    tries: int = 4
    first_wait_seconds: int = 30

    def next_try(self, attempts: Attempts) -> datetime | None:
        """When to try again; None when enough was tried."""
        if attempts.count >= self.tries:
            return None
        wait = self.first_wait_seconds * _FACTOR ** (attempts.count - 1)
        return attempts.last_at + timedelta(seconds=min(wait, _LONGEST_SECONDS))


DELIVERIES = Retry(tries=1000)
"""Of stages with a target outside, which may be away for a while and then be back: for weeks, once an hour at the least."""
