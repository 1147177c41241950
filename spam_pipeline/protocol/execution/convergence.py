"""Convergence: run whatever is stale, in order, until nothing is stale except what is held.

Level-triggered: each look starts from the ledger, so it does not matter who else publishes meanwhile or where an earlier
attempt was killed. One failing partition stops nobody else, and several processes share the work.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import ActionTaken, Outcome, format_error
from spam_pipeline.protocol.execution.running import run
from spam_pipeline.protocol.explanation.causes import Cause
from spam_pipeline.protocol.foundation.errors import Claimed, PlaceUnusable
from spam_pipeline.protocol.ledger.records import Trigger
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction
from spam_pipeline.protocol.planning.staleness import StalenessReport

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A partition whose stage raised an error."""

    stage: str
    partition: str
    error: str


OnStage = Callable[[str, int], None]
"""Called with the name of a stage and the number of its partitions that are about to run."""

OnOutcome = Callable[[PartitionStatus, Cause, Outcome | Failure], None]
"""Called for every partition that ran, with its cause and its outcome."""


@dataclass(frozen=True)
class Converged:
    """The result of a convergence, with what is left: how many are still `stale`, and `held`, as `stage partition: reason`.

    Held is also what has not landed though its cadence promises it, and what waits for that. `passed_over` are paths that no source has
    though somebody may have meant one, with the reason.
    """

    computed: int
    reused: int
    audited: int
    held: tuple[str, ...]
    failed: tuple[Failure, ...]
    stale: int
    seconds: float
    passed_over: Mapping[str, str] = field(default_factory=dict)

    @property
    def converged(self) -> bool:
        """Return True if nothing is stale except what is held."""
        return not self.failed and not self.stale


def converge(  # noqa: PLR0913 - two say what to converge, the others how it is reported
    engine: Engine,
    names: Collection[str] | None = None,
    *,
    run: str | None = None,
    only_due: bool = False,
    on_stage: OnStage = lambda _name, _count: None,
    on_outcome: OnOutcome = lambda _status, _cause, _outcome: None,
) -> Converged:
    """Bring the named stages (or all) and their upstreams up to date; `run` is the orchestrator's, if it is one.

    Raises `PlaceUnusable`, once for all, when the ledger or the store cannot be used any more.

    A recipe that fails is tried once. With `only_due`, what failed earlier is left to its stage's retry policy; otherwise it
    is tried whatever happened before.
    """
    started = time.perf_counter()
    stages = engine.graph.with_upstreams(engine.graph.stages if names is None else names)
    for stage in stages:  # code that cannot be digested is an error before anything has run, not halfway
        engine.graph.code_versions[stage.name]
    wave = _Wave(engine, run, only_due, on_outcome)
    ran = True
    while ran:
        ran = False
        for stage in stages:
            report, to_run = wave.runnable(stage)
            if to_run:
                on_stage(stage.name, len(to_run))
                ran = wave.run_all(report, stage.name, to_run) or ran
    left = engine.planner.statuses([stage.name for stage in stages])
    statuses = [status for by_partition in left.values() for status in by_partition.values()]
    return Converged(
        computed=wave.done[ActionTaken.COMPUTED],
        reused=wave.done[ActionTaken.REUSED],
        audited=wave.done[ActionTaken.AUDITED],
        held=tuple(str(status) for status in statuses if status.needs_somebody),
        failed=tuple(wave.failed.values()),
        stale=sum(status.can_run for status in statuses),
        seconds=round(time.perf_counter() - started, 3),
        passed_over=engine.passed_over(),
    )


@dataclass
class _Wave:
    """One convergence under way: what was done, and what was tried, which is not tried again in it.

    A target may forget at once, and another process with other code may publish its own version again: neither keeps a
    convergence from ending.
    """

    engine: Engine
    run: str | None
    only_due: bool
    on_outcome: OnOutcome
    done: Counter[ActionTaken] = field(default_factory=Counter)
    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    tried: set[tuple[str, str, str, str]] = field(default_factory=set)

    def runnable(self, stage: AnyStage) -> tuple[StalenessReport, list[PartitionStatus]]:
        """The partitions of a stage that are to run now, with the report they are in."""
        report = self.engine.planner.report([stage.name])
        found = report.statuses[stage.name].values()
        statuses = [status for status in found if status.can_run and _key(status) not in self.tried]
        if self.only_due and statuses:
            statuses = self.engine.planner.due(statuses, datetime.now(UTC))
        return report, statuses

    def run_all(self, report: StalenessReport, stage: str, statuses: Collection[PartitionStatus]) -> bool:
        """Run partitions of a stage, those last that another process is computing; return True if anything was done."""
        ran, claimed = False, []
        causes = self.engine.causes(report, stage, statuses)
        for status in statuses:
            try:
                ran = self._attempt(report, status, causes[status.partition], wait=False) or ran
            except Claimed:
                claimed.append(status)
        for status in claimed:
            ran = self._attempt(report, status, causes[status.partition], wait=True) or ran
        return ran

    def _attempt(self, report: StalenessReport, status: PartitionStatus, why: Cause, *, wait: bool) -> bool:
        try:
            outcome = run(self.engine, report, status, Trigger(self.run, cause=str(why)), wait=wait)
        except (Claimed, PlaceUnusable):
            raise
        except Exception as error:
            _logger.debug("%s %s failed", status.stage, status.partition, exc_info=True)
            failure = Failure(status.stage, status.partition, format_error(error))
            self.tried.add(_key(status))
            self.failed[status.stage, status.partition] = failure
            self.on_outcome(status, why, failure)
            return False
        if status.reason is not Reason.HISTORY_CHANGED:  # that can change with each publication, and ends when those do
            self.tried.add(_key(status))
        self.failed.pop((status.stage, status.partition), None)
        self.done[outcome.action] += 1
        self.on_outcome(status, why, outcome)
        return outcome.action is not ActionTaken.NOTHING


def _key(status: PartitionStatus) -> tuple[str, str, str, str]:
    return (
        status.stage,
        status.partition,
        status.recipe,
        status.reason.name if status.required_action is RequiredAction.AUDIT else "",
    )
