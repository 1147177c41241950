"""The outlook of a stage: which of its partitions are not fresh, why, and what happens next; and which are late.

For people who look at one stage; `explanation.waiting` has what waits for somebody over all of them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.ledger.records import Attempts
from spam_pipeline.protocol.planning.deadlines import Late
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, State
from spam_pipeline.protocol.planning.staleness import StalenessReport

_NAMED = 50


class NotFresh(NamedTuple):
    """A partition that is not fresh: its state, why, and the next step for it."""

    partition: str
    state: str
    why: str
    then: str


class LateInShort(NamedTuple):
    """A partition that is late: when it was due, and what it lacks."""

    partition: str
    due: str
    why: str


@dataclass(frozen=True)
class Outlook:
    """A stage's number of partitions, how many are in each other state than fresh, and the first of those.

    `late` are the first that are late, fresh ones that rest on something late among them; None for a stage without a deadline.
    """

    partitions: int
    not_fresh: Mapping[str, int]
    first: tuple[NotFresh, ...]
    late: tuple[LateInShort, ...] | None = None


def outlook(engine: Engine, report: StalenessReport, stage: str, late: Collection[Late]) -> Outlook:
    """The outlook of one stage of a report, given what is late by that report."""
    statuses = report.statuses[stage].values()
    not_fresh = [status for status in statuses if status.state is not State.FRESH]
    first = not_fresh[:_NAMED]
    to_run = [status for status in first if status.can_run]
    causes = engine.causes(report, stage, to_run)
    tried = engine.planner.attempts(to_run)
    return Outlook(
        len(statuses),
        {
            state.value: sum(status.state is state for status in not_fresh)
            for state in State
            if state is not State.FRESH
        },
        tuple(
            NotFresh(
                status.partition,
                status.state.value,
                str(causes.get(status.partition, status.explanation)),
                _then(engine, status, tried.get(status.recipe)),
            )
            for status in first
        ),
        None if engine.graph.stages[stage].deadline is None else _late(late, stage),
    )


def _late(late: Collection[Late], stage: str) -> tuple[LateInShort, ...]:
    of_stage = [item for item in late if item.stage == stage]
    return tuple(LateInShort(item.partition, f"{item.due:%Y-%m-%d %H:%M} UTC", item.why) for item in of_stage[:_NAMED])


def _then(engine: Engine, status: PartitionStatus, tried: Attempts | None) -> str:
    """The next step for a partition that is not fresh."""
    if not status.can_run:
        return "goes on by itself once that is there" if not status.recipe else "quarantined until something changes"
    if tried is None:
        return "the next convergence runs it"
    next_try = engine.graph.stages[status.stage].retry.next_try(tried)
    ended = tried.error or "a process that died"
    when = (
        f"again from {next_try:%Y-%m-%d %H:%M:%S} UTC"
        if next_try
        else "left until something changes, or is materialized"
    )
    return f"tried {tried.count} times, {when}: {ended}"
