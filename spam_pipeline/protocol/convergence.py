"""Convergence: run whatever is stale, in order, until nothing is but what is held.

Level-triggered: each look starts from the ledger, so it does not matter who else publishes meanwhile or where an earlier
attempt was killed. One failing partition stops nobody else.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from spam_pipeline.protocol.graph import AnyStage
from spam_pipeline.protocol.runner import Action, Outcome, Runner
from spam_pipeline.protocol.staleness import Need, State

_logger = logging.getLogger(__name__)

OnStage = Callable[[str, int], None]
"""Told the name of a stage and how many of its partitions are about to run."""

OnOutcome = Callable[[Need, Outcome | None], None]
"""Told about every partition that ran; the outcome is None where it failed."""


@dataclass(frozen=True)
class Failure:
    """A partition whose stage raised an error."""

    stage: str
    partition: str
    error: str


@dataclass(frozen=True)
class Converged:
    """What a convergence did, and what is left: `held` as `stage partition: reason`."""

    computed: int
    reused: int
    held: tuple[str, ...]
    failed: tuple[Failure, ...]
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether nothing is stale except what is held."""
        return not self.failed


def converge(
    runner: Runner,
    names: Collection[str] | None = None,
    on_stage: OnStage = lambda _name, _count: None,
    on_outcome: OnOutcome = lambda _need, _outcome: None,
) -> Converged:
    """Bring the named stages (or all) and what they rest on up to date."""
    started = time.perf_counter()
    stages = runner.graph.with_upstreams(runner.graph.stages if names is None else names)
    done: Counter[Action] = Counter()
    failed: dict[str, Failure] = {}
    delivered: set[str] = set()
    ran = True
    while ran:
        ran = False
        for stage in stages:
            passed_over = failed.keys() | delivered  # a target that forgets at once is filled once, not for ever
            to_run = [
                need for need in _runnable(runner, stage) if need.recipe and need.recipe.digest not in passed_over
            ]
            if to_run:
                on_stage(stage.name, len(to_run))
            for need in to_run:
                outcome = _attempt(runner, need, failed)
                on_outcome(need, outcome)
                done[outcome.action if outcome else Action.NOTHING] += 1
                if outcome and outcome.action is Action.DELIVERED:
                    delivered.add(outcome.version.recipe)
                ran = ran or (outcome is not None and outcome.action is not Action.NOTHING)
    held = [
        f"{need.stage} {need.partition}: {need.reason}"
        for by_partition in runner.needs([stage.name for stage in stages]).values()
        for need in by_partition.values()
        if need.state is State.HELD
    ]
    return Converged(
        computed=done[Action.COMPUTED],
        reused=done[Action.REUSED],
        held=tuple(held),
        failed=tuple(failed.values()),
        seconds=round(time.perf_counter() - started, 3),
    )


def _runnable(runner: Runner, stage: AnyStage) -> list[Need]:
    return [need for need in runner.needs([stage.name])[stage.name].values() if need.can_run]


def _attempt(runner: Runner, need: Need, failed: dict[str, Failure]) -> Outcome | None:
    try:
        return runner.run(need)
    except Exception as error:
        _logger.debug("%s %s failed", need.stage, need.partition, exc_info=True)
        recipe = need.recipe.digest if need.recipe else f"{need.stage} {need.partition}"
        failed[recipe] = Failure(need.stage, need.partition, f"{type(error).__name__}: {error}")
        return None
