"""Convergence: run whatever is stale, in order, until nothing is stale except what is held.

Level-triggered: each look starts from the ledger, so it does not matter who else publishes meanwhile or where an earlier
attempt was killed. One failing partition stops nobody else, and several processes share the work. With an executor, workers run
what it takes; this process runs the rest, keeps the order of the stages, and knows of every outcome.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.executor import Batch, Executor, terms_of
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure, Outcome
from spam_pipeline.protocol.execution.results import outcome_of, published_since
from spam_pipeline.protocol.execution.worker import run_each
from spam_pipeline.protocol.explanation.causes import Cause
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction
from spam_pipeline.protocol.planning.staleness import StalenessReport

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
    executor: Executor | None = None,
    on_stage: OnStage = lambda _name, _count: None,
    on_outcome: OnOutcome = lambda _status, _cause, _outcome: None,
) -> Converged:
    """Bring the named stages (or all) and their upstreams up to date; `run` is the orchestrator's, if it is one.

    Without an `executor`, everything runs in this process. Deliveries always do: it is this machine's targets that they go to.

    Raises `PlaceUnusable`, once for all, when the ledger or the store cannot be used any more, and `WorkerDiffers`.

    A recipe that fails is tried once. With `only_due`, what failed earlier is left to its stage's retry policy; otherwise it
    is tried whatever happened before.
    """
    started = time.perf_counter()
    stages = engine.graph.with_upstreams(engine.graph.stages if names is None else names)
    for stage in stages:  # code that cannot be digested is an error before anything has run, not halfway
        engine.graph.code_versions[stage.name]
    wave = _Wave(engine, run, only_due, executor, on_outcome)
    ran = True
    while ran:
        ran = False
        for stage in stages:
            report, to_run = wave.runnable(stage)
            if to_run:
                on_stage(stage.name, len(to_run))
                ran = wave.run_all(report, stage, to_run) or ran
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
    executor: Executor | None
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

    def run_all(self, report: StalenessReport, stage: AnyStage, statuses: Sequence[PartitionStatus]) -> bool:
        """Run partitions of a stage, here or elsewhere; return True if anything was done."""
        causes = self.engine.causes(report, stage.name, statuses)
        if self.executor is None or stage.delivery is not None:
            return self._run_here(report, statuses, causes)
        ran, rest = False, list(statuses)
        while (seconds := self.engine.ledger.recent_seconds(stage.name)) is None and rest:
            ran = self._run_here(report, [rest.pop(0)], causes) or ran  # shows how long one takes
        if seconds is not None and rest:
            ran = self._run_elsewhere(self.executor, rest, causes, seconds) or ran
        return ran

    def _run_here(
        self, report: StalenessReport, statuses: Collection[PartitionStatus], causes: Mapping[str, Cause]
    ) -> bool:
        texts = {partition: str(cause) for partition, cause in causes.items()}
        ran = False
        for status, outcome in run_each(self.engine, report, statuses, texts, self.run):
            ran = self._record(status, causes[status.partition], outcome) or ran
        return ran

    def _run_elsewhere(
        self, executor: Executor, statuses: Sequence[PartitionStatus], causes: Mapping[str, Cause], seconds: float
    ) -> bool:
        """Let workers run partitions of one stage, and run here what they leave, by the ledger as it is then."""
        stage, ran = statuses[0].stage, False
        waiting = {status.partition: status for status in statuses}
        batch = Batch(stage, {key: str(causes[key]) for key in waiting}, terms_of(self.engine, stage), self.run)
        for result in executor.run(batch, seconds):
            status = waiting.pop(result.partition)
            outcome = outcome_of(self.engine, stage, result)
            ran = self._record(status, causes[status.partition], outcome) or ran
        return self._take_again(stage, waiting, causes) or ran if waiting else ran

    def _take_again(self, stage: str, waiting: Mapping[str, PartitionStatus], causes: Mapping[str, Cause]) -> bool:
        """Run here what workers have left, by the ledger as it is now. Retry policies have no say: nothing has failed."""
        report, ran, left = self.engine.planner.report([stage]), False, []
        for partition, status in waiting.items():
            outcome = published_since(self.engine, status, self.run, str(causes[partition]))
            now = report.statuses[stage].get(partition)
            if outcome is not None:
                ran = self._record(status, causes[partition], outcome) or ran
            elif now is not None and now.can_run:
                left.append(now)
        return self._run_here(report, left, self.engine.causes(report, stage, left)) or ran

    def _record(self, status: PartitionStatus, why: Cause, outcome: Outcome | Failure) -> bool:
        """Record what came of a partition, and that it was tried; return True if anything was done."""
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


def _key(status: PartitionStatus) -> tuple[str, str, str, str]:
    return (
        status.stage,
        status.partition,
        status.recipe,
        status.reason.name if status.required_action is RequiredAction.AUDIT else "",
    )
