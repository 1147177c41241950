"""The terminal: how results, progress and messages are printed. What they say is up to the commands.

Results go to standard output, everything else to standard error, so that a result can be piped.
"""

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

from spam_pipeline.command_line.narrow_table import narrow_table

FAILED, WRONG_USAGE, HELD = 1, 2, 3
"""Exit status of a failure, of a command that was not called as it wants to be, and of a convergence that left something held."""

_WIDE = 240


def _console(*, stderr: bool, width: int | None = None) -> Console:
    """A console for data and messages: square brackets and colons in them stand for themselves."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False, soft_wrap=stderr)


_is_wide_open = not sys.stdout.isatty() and "COLUMNS" not in os.environ

out = _console(stderr=False, width=_WIDE if _is_wide_open else None)
err = _console(stderr=True)


class _Log(logging.Handler):
    """Messages on standard error, above a bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        err.print(self.format(record))


def log_to_terminal() -> None:
    """Print warnings and errors, of whatever library, on standard error."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, handlers=[_Log()])


def log_from(level: str) -> None:
    """Print messages of the pipeline from a level on, and those of libraries from warnings on."""
    least = getattr(logging, level.upper())
    logging.getLogger("spam_pipeline").setLevel(least)
    logging.getLogger().setLevel(max(least, logging.WARNING))


@contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """Show what is being done, and how much of how much is done by now, on standard error.

    On a terminal that is a line that changes, with a bar and the time left once there is a total; elsewhere a line whenever
    something else is being done.
    """
    if not err.is_terminal:
        yield _print_step
        return
    what = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    columns = (SpinnerColumn(), what, BarColumn(bar_width=20), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, expand=True) as shown:
        task = shown.add_task("starting", total=None)

        def update(text: str, done: float = 0, total: float = 0) -> None:
            shown.update(task, description=text or shown.tasks[task].description)
            if total:
                shown.update(task, completed=done, total=total)
            shown.refresh()  # by itself it does so ten times a second, which what is quick does not live to see

        yield update


def _print_step(text: str, _done: float = 0, _total: float = 0) -> None:
    if text:
        err.print(text)


@contextmanager
def working(on: str) -> Iterator[None]:
    """Show at a terminal that something is being done that is nothing to log."""
    if not err.is_terminal:
        yield
        return
    with err.status(on):
        yield


def print_record(record: dict[str, Any], *, as_json: bool) -> None:
    """Print names and values, one a line."""
    if as_json:
        print_json(record)
    else:
        rows = [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in record.items()]
        print_table(("", ""), rows)


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(_plain(value), default=str))  # noqa: T201 - JSON goes out as it is, not wrapped to a terminal's width


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], on: Console = out) -> None:
    """Print rows under the names of their columns."""
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    on.print(table)


def print_narrow_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], details: Sequence[str] | None = None
) -> str:
    """Print rows of any data, each on a line that fits the terminal, and return what was left out for that, if anything.

    `details` are what is too long for a cell: one for each row, printed below it.
    """
    table = narrow_table(columns, rows, out.width)
    out.print(table.head, style="bold", soft_wrap=True)
    for line, detail in zip_longest(table.lines, details or ()):
        out.print(line, soft_wrap=True)
        if detail:
            out.print(f"  {detail}", style="dim", soft_wrap=not out.is_terminal)
    return table.shortened


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: keys are text, and a float that is no number is null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
