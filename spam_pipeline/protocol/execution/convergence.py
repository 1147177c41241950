"""Convergence: run whatever is stale, in order, until nothing is stale except what is held.

Level-triggered: each look starts from the ledger, so it does not matter who else publishes meanwhile or where an earlier
attempt was killed. One failing partition stops nobody else, and several processes share the work. Stages that do not wait for each
other are a level, whose partitions run side by side. With an executor, workers run what it takes; this process runs the rest,
keeps the order of the levels, and knows of every outcome.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.executor import Batch, Executor, terms_of
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure, Outcome
from spam_pipeline.protocol.execution.results import outcome_of, published_since
from spam_pipeline.protocol.execution.worker import run_each
from spam_pipeline.protocol.explanation.causes import Cause
from spam_pipeline.protocol.ledger.records import Trigger
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction
from spam_pipeline.protocol.planning.staleness import StalenessReport

OnStage = Callable[[str, int], None]
"""Called with the name of a stage and the number of its partitions that are about to run."""

OnOutcome = Callable[[PartitionStatus, Cause, Outcome | Failure], None]
"""Called for every partition that ran, with its cause and its outcome."""

_Runnable = tuple[PartitionStatus, Cause]


class Touched(NamedTuple):
    """What was done to how many partitions of a stage, and why, in words."""

    stage: str
    partitions: int
    what: str
    why: str


@dataclass(frozen=True)
class Converged:
    """The result of a convergence, with what is left: how many are still `stale`, and `held`, as `stage partition: reason`.

    Held is also what has not landed though its cadence promises it, and what waits for that. `passed_over` are paths that no source has
    though somebody may have meant one, with the reason. `touched` sums up what ran.
    """

    computed: int
    reused: int
    audited: int
    held: tuple[str, ...]
    failed: tuple[Failure, ...]
    stale: int
    seconds: float
    passed_over: Mapping[str, str] = field(default_factory=dict)
    touched: tuple[Touched, ...] = ()

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
    executor: Executor | None = None,
    on_stage: OnStage = lambda _name, _count: None,
    on_outcome: OnOutcome = lambda _status, _cause, _outcome: None,
) -> Converged:
    """Bring the named stages (or all) and their upstreams up to date; `run` is the orchestrator's, if it is one.

    Without an `executor`, everything runs in this process. Deliveries always do: it is this machine's targets that they go to. The
    callbacks are called in this thread, whichever one a partition ran in.

    Raises `PlaceUnusable`, once for all, when the ledger or the store cannot be used any more, and `WorkerDiffers`.

    A recipe that fails is tried once. With `only_due`, what failed earlier is left to its stage's retry policy; otherwise it
    is tried whatever happened before.
    """
    started = time.perf_counter()
    stages = engine.graph.with_upstreams(engine.graph.stages if names is None else names)
    for stage in stages:  # code that cannot be digested is an error before anything has run, not halfway
        engine.graph.code_versions[stage.name]
    wave = _Wave(engine, run, only_due, executor, on_outcome)
    levels = [[stage.name for stage in level] for level in engine.graph.levels(stages)]
    engine.decisions.land_earlier()
    decided, ran = engine.decisions.waiting(), True
    while ran:
        ran = False
        for level in levels:
            decided = engine.decisions.take_in(decided)
            report, to_run = wave.runnable(level)
            for name, statuses in to_run.items():
                on_stage(name, len(statuses))
            ran = wave.run_all(report, to_run) or ran
    engine.journal.try_to_export()
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
        touched=tuple(wave.sums()),
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
    executor: Executor | None
    on_outcome: OnOutcome
    done: Counter[ActionTaken] = field(default_factory=Counter)
    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    tried: set[tuple[str, str, str, str]] = field(default_factory=set)
    touched: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def runnable(self, stages: Sequence[str]) -> tuple[StalenessReport, dict[str, list[PartitionStatus]]]:
        """The partitions of some stages that are to run now, by stage, with the report they are in."""
        report, found = self.engine.planner.report(stages), dict[str, list[PartitionStatus]]()
        for name in stages:
            of_stage = report.statuses[name].values()
            statuses = [status for status in of_stage if status.can_run and _key(status) not in self.tried]
            if self.only_due and statuses:
                statuses = self.engine.planner.due(statuses, datetime.now(UTC))
            if statuses:
                found[name] = statuses
        return report, found

    def run_all(self, report: StalenessReport, to_run: Mapping[str, Sequence[PartitionStatus]]) -> bool:
        """Run partitions of one level, here or elsewhere; return True if anything was done."""
        here, ran = list[_Runnable](), False
        for name, statuses in to_run.items():
            causes = self.engine.causes(report, name, statuses)
            runnable = [(status, causes[status.partition]) for status in statuses]
            if self.executor is None or self.engine.graph.stages[name].delivery is not None:
                here += runnable
            else:
                ran = self._run_elsewhere(self.executor, report, runnable) or ran
        return self._run_here(report, here) or ran

    def _run_here(self, report: StalenessReport, runnable: Sequence[_Runnable]) -> bool:
        causes = {(status.stage, status.partition): cause for status, cause in runnable}
        ran = False
        started = ((status, Trigger(self.run, cause=str(cause))) for status, cause in runnable)
        for status, outcome in run_each(self.engine, report, started):
            ran = self._record(status, causes[status.stage, status.partition], outcome) or ran
        return ran

    def _run_elsewhere(self, executor: Executor, report: StalenessReport, runnable: Sequence[_Runnable]) -> bool:
        """Let workers run partitions of one stage, and run here what they leave, by the ledger as it is then."""
        stage, ran, rest = runnable[0][0].stage, False, list(runnable)
        while (seconds := self.engine.ledger.recent_seconds(stage)) is None and rest:
            ran = self._run_here(report, [rest.pop(0)]) or ran  # shows how long one takes
        if seconds is None or not rest:
            return ran
        waiting = {status.partition: (status, cause) for status, cause in rest}
        causes = {key: str(cause) for key, (_, cause) in waiting.items()}
        for result in executor.run(Batch(stage, causes, terms_of(self.engine, stage), self.run), seconds):
            outcome = outcome_of(self.engine, stage, result)
            ran = self._record(*waiting.pop(result.partition), outcome) or ran
        return self._take_again(stage, waiting) or ran if waiting else ran

    def _take_again(self, stage: str, waiting: Mapping[str, _Runnable]) -> bool:
        """Run here what workers have left, by the ledger as it is now. Retry policies have no say: nothing has failed."""
        report, ran, left = self.engine.planner.report([stage]), False, []
        for partition, (status, cause) in waiting.items():
            outcome = published_since(self.engine, status, self.run, str(cause))
            now = report.statuses[stage].get(partition)
            if outcome is not None:
                ran = self._record(status, cause, outcome) or ran
            elif now is not None and now.can_run:
                left.append(now)
        causes = self.engine.causes(report, stage, left)
        return self._run_here(report, [(status, causes[status.partition]) for status in left]) or ran

    def sums(self) -> Iterator[Touched]:
        """What ran, summed up, in the order of the stages: that of partitions side by side is chance."""
        order = list(self.engine.graph.stages)
        for stage, what, why in sorted(self.touched, key=lambda item: (order.index(item[0]), *item)):
            yield Touched(stage, self.touched[stage, what, why], what, why)

    def _record(self, status: PartitionStatus, why: Cause, outcome: Outcome | Failure) -> bool:
        """Record what came of a partition, and that it was tried; return True if anything was done."""
        self.touched[status.stage, _what_was_done(status, outcome), why.summary] += 1
        if isinstance(outcome, Failure):
            self.tried.add(_key(status))
            self.failed[status.stage, status.partition] = outcome
            self.on_outcome(status, why, outcome)
            return False
        if status.reason is not Reason.HISTORY_CHANGED:  # that can change with each publication, and ends when those do
            self.tried.add(_key(status))
        self.failed.pop((status.stage, status.partition), None)
        self.done[outcome.action] += 1
        self.on_outcome(status, why, outcome)
        return outcome.action is not ActionTaken.NOTHING


def _what_was_done(status: PartitionStatus, outcome: Outcome | Failure) -> str:
    """The action, in the words of somebody who wonders what changed."""
    if isinstance(outcome, Failure):
        return "failed"
    if outcome.refused:
        return "refused, quarantined"
    is_same = status.published is not None and status.published.content == outcome.version.content
    if outcome.action is ActionTaken.COMPUTED and is_same:
        return "computed, content unchanged"
    return outcome.action.value


def _key(status: PartitionStatus) -> tuple[str, str, str, str]:
    return (
        status.stage,
        status.partition,
        status.recipe,
        status.reason.name if status.required_action is RequiredAction.AUDIT else "",
    )
