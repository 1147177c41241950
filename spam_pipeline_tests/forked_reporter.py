"""The process that reports to Dagster, forked from one that has loaded Dagster already.

It is a process of its own with the same input, output and variables, and the same end as one that is started; only that loading Dagster
is paid once by each worker of a run of the tests, and not by each convergence of the command line, of which it is the larger part.
That it can be started as a program is tested where that is the point.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import pytest

from spam_pipeline.operations import reported_convergence, reporter_process


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["spam_pipeline.orchestration.event_reporting", __name__])
    return context


class ForkedReporter:
    """What `subprocess.Popen` is to a convergence: something to write to, and a return code once the block has ended."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], **others: object) -> None:
        assert command == [sys.executable, "-m", reporter_process.__name__]
        assert others == {"stdin": subprocess.PIPE, "text": True, "start_new_session": True}
        reading, writing = os.pipe()
        self.stdin = os.fdopen(writing, "w")
        self.returncode: int | None = None
        files = [DupFd(file) for file in (reading, 1, 2)]
        self._process = _server().Process(target=_report, args=(files, Path.cwd(), dict(env)))
        self._process.start()
        os.close(reading)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stdin.close()
        self._process.join()
        self.returncode = self._process.exitcode


def _report(files: Sequence[Any], folder: Path, variables: Mapping[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, file in enumerate(files):
        os.dup2(file.detach(), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    reporter_process.main()


@contextmanager
def forked_reporters() -> Iterator[None]:
    """Convergences of this process fork their reporter while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        forking = SimpleNamespace(Popen=ForkedReporter, PIPE=subprocess.PIPE)
        patch.setattr(reported_convergence, "subprocess", forking)
        yield
