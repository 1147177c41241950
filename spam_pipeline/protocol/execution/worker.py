"""A worker: runs partitions of one stage in this process, for a coordinator or as one.

It plans for itself, from the ledger as it is now, so that a batch that comes late or twice does nothing in vain. Where a worker
lives and how a batch reaches it is up to the executor.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TypeVar

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.executor import Batch, PartitionResult, terms_of
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure, Outcome, format_error
from spam_pipeline.protocol.execution.running import run
from spam_pipeline.protocol.foundation.errors import Claimed, PlaceUnusable, WorkerDiffers
from spam_pipeline.protocol.ledger.records import Trigger
from spam_pipeline.protocol.planning.partition_status import PartitionStatus
from spam_pipeline.protocol.planning.staleness import StalenessReport

_logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


def work(engine: Engine, batch: Batch) -> Iterator[PartitionResult]:
    """Run what can run of a batch, and yield the result of each partition, also of those that are up to date already.

    Raises `WorkerDiffers` before anything has run when this engine would not do what the coordinator's does, and `PlaceUnusable`.
    """
    _require_terms(engine, batch)
    report = engine.planner.report([batch.stage])
    found = report.statuses[batch.stage]
    statuses = [found[partition] for partition in batch.causes if partition in found]
    for status in statuses:
        if not status.can_run and status.published:
            yield PartitionResult(status.partition, ActionTaken.NOTHING, status.published.recipe)
    runnable = [
        (status, Trigger(batch.run, cause=batch.causes[status.partition])) for status in statuses if status.can_run
    ]
    for status, outcome in run_each(engine, report, runnable):
        yield _result(status, outcome)


def run_each(
    engine: Engine, report: StalenessReport, runnable: Iterable[tuple[PartitionStatus, Trigger]]
) -> Iterator[tuple[PartitionStatus, Outcome | Failure]]:
    """Run partitions of which none waits for another, and yield what came of each as soon as it is done.

    They begin in their order, as many side by side as the engine says; those that another process is computing come last. An error of
    a stage is a `Failure`. Raises `PlaceUnusable`, after those that have begun.
    """
    claimed = []
    for (status, trigger), result in _side_by_side(partial(_attempt, engine, report), runnable, engine.at_once):
        try:
            outcome = result()
        except Claimed:
            claimed.append((status, trigger))
        else:
            yield status, outcome
    for status, trigger in claimed:
        yield status, _attempt(engine, report, (status, trigger), wait=True)


def _side_by_side(act: Callable[[T], R], items: Iterable[T], at_once: int) -> Iterator[tuple[T, Callable[[], R]]]:
    """Act on items in threads, and yield each that is done with its result, or with the error that asking for the result raises.

    Threads, because nearly all the time is spent in Polars, which leaves the interpreter to others.
    """
    waiting, running = iter(items), dict[Future[R], T]()
    threads = ThreadPoolExecutor(at_once)
    try:
        while True:
            for item in islice(waiting, at_once - len(running)):
                running[threads.submit(act, item)] = item
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result
    finally:
        threads.shutdown()


def _attempt(
    engine: Engine, report: StalenessReport, runnable: tuple[PartitionStatus, Trigger], *, wait: bool = False
) -> Outcome | Failure:
    status, trigger = runnable
    try:
        return run(engine, report, status, trigger, wait=wait)
    except (Claimed, PlaceUnusable):
        raise
    except Exception as error:
        _logger.debug("%s %s failed", status.stage, status.partition, exc_info=True)
        return Failure(status.stage, status.partition, format_error(error))


def _result(status: PartitionStatus, outcome: Outcome | Failure) -> PartitionResult:
    if isinstance(outcome, Failure):
        return PartitionResult(status.partition, ActionTaken.NOTHING, "", error=outcome.error)
    publication = outcome.publication.id if outcome.publication else 0
    return PartitionResult(status.partition, outcome.action, outcome.version.recipe, publication)


def _require_terms(engine: Engine, batch: Batch) -> None:
    if batch.stage not in engine.graph.stages:
        raise WorkerDiffers(
            f"a worker does not know the stage {batch.stage}: start it again with the coordinator's code"
        )
    own = terms_of(engine, batch.stage)
    others = [name for name, value in batch.terms.items() if own.get(name) != value]
    if others:
        raise WorkerDiffers(
            f"a worker was to compute {batch.stage} and has other {', '.join(others)} than the coordinator of the convergence: start "
            "both again with the same code and the same settings; nothing was computed"
        )
