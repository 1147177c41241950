"""Processes of this machine as workers of a convergence.

They are started when the work that there is promises to save more than their start costs, and end with the coordinator: a worker
reads from a pipe that closes when the coordinator dies. One that dies is noticed at once, by the same means.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.executor import Batch, PartitionResult, divided
from spam_pipeline.protocol.execution.worker import work
from spam_pipeline.protocol.foundation.errors import PlaceUnusable, WorkerDiffers

START_SECONDS = 4.0
"""Seconds until started processes have made up for their start: each imports for about two seconds of its core."""

_BATCH_SECONDS = 0.5
"""Work of a batch: enough for the planning that comes with each of them not to count."""

_BATCHES_EACH = 4
"""Batches for each process at least, so that all of them end at about the same time."""

_Answer = PartitionResult | WorkerDiffers | PlaceUnusable | None
"""What a worker sends: results, then None at the end of a batch; or why it cannot go on."""


class Processes:
    """An executor on processes of this machine, each of which opens an engine of its own.

    `open_engine` is called in each process, so it has to be picklable. Use it as a context manager, which ends the processes.
    """

    def __init__(self, open_engine: Callable[[], Engine], count: int, start_seconds: float = START_SECONDS) -> None:
        self._open_engine = open_engine
        self._count = count
        self._start_seconds = start_seconds
        self._saved = 0.0
        self._idle: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        for process in self._idle:
            process.end()

    def run(self, batch: Batch, seconds_each: float) -> Iterator[PartitionResult]:
        """Yield the results of a batch that is worth it, as `Executor` promises."""
        if not self._is_worth_it(len(batch.causes), seconds_each):
            return
        waiting = deque(divided(batch, seconds_each, _BATCH_SECONDS, at_least=self._count * _BATCHES_EACH))
        busy: dict[Connection, _Process] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self._count:
                    process = self._idle.pop() if self._idle else _Process(self._open_engine)
                    busy[process.connection] = process
                    process.give(waiting.popleft())
                yield from self._answers(busy)
        finally:
            for process in busy.values():
                process.end()

    def _answers(self, busy: "dict[Connection, _Process]") -> Iterator[PartitionResult]:
        """The results that some processes have sent. Those that are done with their batch, or dead, are busy no more."""
        for connection in wait(list(busy)):
            if not isinstance(connection, Connection):
                continue
            try:
                answer: _Answer = connection.recv()
            except (EOFError, ConnectionError):
                busy.pop(connection).end()
                continue
            if answer is None:
                self._idle.append(busy.pop(connection))
            elif isinstance(answer, PartitionResult):
                yield answer
            else:
                raise answer

    def _is_worth_it(self, partitions: int, seconds_each: float) -> bool:
        """Return True if the time saved so far, had there been processes, pays for their start; later there are some."""
        if partitions == 1 or self._count == 1:
            return False
        self._saved += partitions * seconds_each * (1 - 1 / min(partitions, self._count))
        return self._saved >= self._start_seconds


class _Process:
    """A worker process, and the end of the pipe to it."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of Polars hold
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, open_engine), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, batch: Batch) -> None:
        """Send a batch; if the process is dead, reading its answer says so."""
        try:
            self.connection.send(batch)
        except ConnectionError:
            return

    def end(self) -> None:
        """End the process, whatever it is doing: that leaves at most an unreferenced file."""
        self.connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, open_engine: Callable[[], Engine]) -> None:
    """Answer batches until the coordinator ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption at the terminal is the coordinator's to handle
    try:
        engine = open_engine()
        while True:
            for result in work(engine, connection.recv()):
                connection.send(result)
            connection.send(None)
    except (WorkerDiffers, PlaceUnusable) as problem:
        connection.send(problem)
    except (EOFError, ConnectionError):
        return


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
