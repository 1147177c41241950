"""The executor: where a convergence has the partitions of a stage computed, if not in its own process.

The seam between one coordinator, which keeps the wave, its order and its report, and workers elsewhere. Here are the records that
pass between them; `worker` has a worker's side, `processes` one way to have workers, and orchestrators have others.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import ActionTaken
from spam_pipeline.protocol.foundation.digest import digest


@dataclass(frozen=True)
class Batch:
    """Partitions of one stage for a worker.

    `causes` has why each of them runs, in words, by partition and in the order in which they run. `terms` are what the worker has
    to have in common with the coordinator, see `terms_of`; `run` is the orchestrator's run that publications are recorded with.
    """

    stage: str
    causes: Mapping[str, str]
    terms: Mapping[str, str]
    run: str | None


@dataclass(frozen=True)
class PartitionResult:
    """What a worker did to a partition; the rest of it is in the ledger.

    `recipe` is that of the version that the action was taken with, `publication` the id of what was published, 0 for nothing. `error` is that of a
    stage that failed; there is no recipe then.
    """

    partition: str
    action: ActionTaken
    recipe: str
    publication: int = 0
    error: str = ""


class Executor(Protocol):
    """Has partitions computed by workers."""

    def run(self, batch: Batch, seconds_each: float) -> Iterator[PartitionResult]:
        """Yield the results of partitions of a batch as they come; one of them takes about `seconds_each`.

        Those that it yields none for are left to the coordinator: too little work to be worth a worker, a worker that died, one that
        never began. Raises `WorkerDiffers` when a worker refused, and `PlaceUnusable`.
        """
        ...


def terms_of(engine: Engine, stage: str) -> dict[str, str]:
    """The terms on which a worker computes a stage for a coordinator: of two engines with equal ones, either may."""
    graph = engine.graph
    return {
        "code": graph.code_versions[stage].digest,
        "contract": graph.contract_digests[stage],
        "settings": digest(graph.configuration_digests(graph.stages[stage])),
        "ledger": engine.ledger.identity,
        "environment": engine.environment,
    }


def divided(batch: Batch, seconds_each: float, seconds: float, at_least: int = 1) -> list[Batch]:
    """Divide a batch into some of about `seconds` of work, and into `at_least` that many if it has as many partitions.

    >>> batch = Batch("plays", dict.fromkeys(["01", "02", "03", "04", "05"], "missing"), {}, None)
    >>> print(*(len(some.causes) for some in divided(batch, seconds_each=10, seconds=25)))
    2 2 1
    >>> print(*(len(some.causes) for some in divided(batch, seconds_each=0.1, seconds=25, at_least=2)))
    3 2
    """
    count = len(batch.causes)
    by_work = math.floor(seconds / seconds_each) if seconds_each * count > seconds else count
    size = max(1, min(by_work, math.ceil(count / at_least)))
    items = iter(batch.causes.items())
    return [replace(batch, causes=some) for _ in range(0, count, size) if (some := dict(islice(items, size)))]
