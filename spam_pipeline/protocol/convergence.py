"""Convergence: run whatever is stale, in order, until nothing is but what is held.

Level-triggered: each look starts from the ledger, so it does not matter who else publishes meanwhile or where an earlier
attempt was killed. One failing partition stops nobody else, and several processes share the work.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from spam_pipeline.protocol.causes import Cause
from spam_pipeline.protocol.errors import Claimed
from spam_pipeline.protocol.graph import AnyStage
from spam_pipeline.protocol.needs import HISTORY, Need, State, Work
from spam_pipeline.protocol.records import Occasion
from spam_pipeline.protocol.runner import Action, Outcome, Runner, told
from spam_pipeline.protocol.staleness import Assessment

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A partition whose stage raised an error."""

    stage: str
    partition: str
    error: str


OnStage = Callable[[str, int], None]
"""Told the name of a stage and how many of its partitions are about to run."""

OnOutcome = Callable[[Need, Cause, Outcome | Failure], None]
"""Told about every partition that ran: why, and what came of it."""


@dataclass(frozen=True)
class Converged:
    """What a convergence did, and what is left: `held` as `stage partition: reason`, and how many are still `stale`."""

    computed: int
    reused: int
    audited: int
    held: tuple[str, ...]
    failed: tuple[Failure, ...]
    stale: int
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether nothing is stale except what is held."""
        return not self.failed and not self.stale


def converge(  # noqa: PLR0913 - two say what to converge, the others how it is told
    runner: Runner,
    names: Collection[str] | None = None,
    *,
    run: str | None = None,
    only_due: bool = False,
    on_stage: OnStage = lambda _name, _count: None,
    on_outcome: OnOutcome = lambda _need, _cause, _outcome: None,
) -> Converged:
    """Bring the named stages (or all) and what they rest on up to date; `run` is the orchestrator's, if it is one.

    A recipe that fails is tried once. With `only_due`, what failed earlier is left to its stage's retry policy; otherwise
    somebody asks for it, and it is tried whatever happened before.
    """
    started = time.perf_counter()
    stages = runner.graph.with_upstreams(runner.graph.stages if names is None else names)
    wave = _Wave(runner, run, only_due, on_outcome)
    ran = True
    while ran:
        ran = False
        for stage in stages:
            assessment, to_run = wave.look(stage)
            if to_run:
                on_stage(stage.name, len(to_run))
                ran = wave.run_all(assessment, stage.name, to_run) or ran
    left = runner.needs([stage.name for stage in stages])
    needs = [need for by_partition in left.values() for need in by_partition.values()]
    return Converged(
        computed=wave.done[Action.COMPUTED],
        reused=wave.done[Action.REUSED],
        audited=wave.done[Action.AUDITED],
        held=tuple(f"{need.stage} {need.partition}: {need.reason}" for need in needs if need.state is State.HELD),
        failed=tuple(wave.failed.values()),
        stale=sum(need.can_run for need in needs),
        seconds=round(time.perf_counter() - started, 3),
    )


@dataclass
class _Wave:
    """One convergence under way: what was done, and what was tried, which is not tried again in it.

    A target may forget at once, and another process with other code may publish its own version again: neither keeps a
    convergence from ending.
    """

    runner: Runner
    run: str | None
    only_due: bool
    on_outcome: OnOutcome
    done: Counter[Action] = field(default_factory=Counter)
    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    tried: set[tuple[str, str, str, str]] = field(default_factory=set)

    def look(self, stage: AnyStage) -> tuple[Assessment, list[Need]]:
        """What is to be run of a stage now."""
        assessment = self.runner.assess([stage.name])
        found = assessment.needs[stage.name].values()
        needs = [need for need in found if need.can_run and _key(need) not in self.tried]
        if self.only_due and needs:
            needs = self.runner.due(needs, datetime.now(UTC))
        return assessment, needs

    def run_all(self, assessment: Assessment, stage: str, needs: Collection[Need]) -> bool:
        """Run partitions of a stage, those last that another process is computing; return whether anything was done."""
        ran, claimed = False, []
        causes = self.runner.causes(assessment, stage, needs)
        for need in needs:
            try:
                ran = self._attempt(assessment, need, causes[need.partition], wait=False) or ran
            except Claimed:
                claimed.append(need)
        for need in claimed:
            ran = self._attempt(assessment, need, causes[need.partition], wait=True) or ran
        return ran

    def _attempt(self, assessment: Assessment, need: Need, why: Cause, *, wait: bool) -> bool:
        try:
            outcome = self.runner.run(assessment, need, Occasion(self.run, cause=str(why)), wait=wait)
        except Claimed:
            raise
        except Exception as error:
            _logger.debug("%s %s failed", need.stage, need.partition, exc_info=True)
            failure = Failure(need.stage, need.partition, told(error))
            self.tried.add(_key(need))
            self.failed[need.stage, need.partition] = failure
            self.on_outcome(need, why, failure)
            return False
        if need.reason != HISTORY:  # that can change with each publication, and ends when those do
            self.tried.add(_key(need))
        self.failed.pop((need.stage, need.partition), None)
        self.done[outcome.action] += 1
        self.on_outcome(need, why, outcome)
        return outcome.action is not Action.NOTHING


def _key(need: Need) -> tuple[str, str, str, str]:
    return need.stage, need.partition, need.recipe, need.reason if need.work is Work.AUDIT else ""
