"""How the pipeline stands, on the page that leads to all others: what is up to date, and what waits for somebody.

It is no part of any version, because it changes with the time and with decisions: it is filled in after each convergence.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from spam_pipeline.pages.changes import page_with
from spam_pipeline.pages.rendering import rendered

_LISTED = 100
"""The first that wait are listed: a rule that refuses every day of a year would make a page that nobody reads to its end."""


class WaitingItem(NamedTuple):
    """A partition that waits for somebody, in words, with the addresses of its evidence and of what decides it."""

    place: str
    owner: str
    since: str
    why: str
    consequence: str
    command: str
    evidence: str
    launchpad: str


class PipelineState(NamedTuple):
    """The partitions that are up to date and those that could run, at a moment, and what waits for somebody."""

    at: datetime
    fresh: int
    stale: int
    waiting: Sequence[WaitingItem]


def page_with_state(page: str, state: PipelineState) -> str:
    """A delivered index with how the pipeline stands, in place of what stood there."""
    return page_with(page, "state", str(rendered("templates/state.html.j2", listed=_LISTED, **state._asdict())))
