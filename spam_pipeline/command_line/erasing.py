"""Printing where people occur, and what erasing them did. Whom it is about is never printed."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from spam_pipeline.command_line.terminal import FAILED, out, print_json, progress
from spam_pipeline.operations.erasing import Erasing, erase
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.traces import Person, Trace, by_place, traces

_SHOWN = 5
"""Places that are listed of each kind; --json has them all."""

_STANDARD_INPUT = "-"


def print_traces(named: Mapping[str, Sequence[str]], *, is_check: bool, as_json: bool) -> None:
    """Print every place in which people occur; with `is_check`, exit with the status of a failure if there is one."""
    with progress() as on_progress:
        found = traces(Pipeline(), _people(named), on_progress)
    if as_json:
        print_json({"found": [_to_json(trace) for trace in found]})
    else:
        _print_places(found)
        out.print(_verdict(found, is_check=is_check))
    if found and is_check:
        raise typer.Exit(FAILED)


def print_erasing(named: Mapping[str, Sequence[str]], by: str, reason: str, *, as_json: bool) -> None:
    """Erase people and print what went; exit with the status of a failure if they still occur somewhere."""
    with progress() as on_progress:
        done = erase(Pipeline(), _people(named), by=by, reason=reason, on_progress=on_progress)
    if as_json:
        left = [_to_json(trace) for trace in done.left]
        print_json(
            {**{name: getattr(done, name) for name in ("records", "files", "versions", "held", "failed")}, "left": left}
        )
    else:
        _print_done(done)
    if done.left:
        raise typer.Exit(FAILED)


def _people(named: Mapping[str, Sequence[str]]) -> list[Person]:
    """The people that were named, or read from standard input, so that they stand in no history of a shell."""
    typed = [(kind, identity) for kind, ids in named.items() for identity in ids]
    kinds_read = [kind for kind, identity in typed if identity == _STANDARD_INPUT]
    if len(kinds_read) > 1:
        raise typer.BadParameter("standard input has ids of one kind: - may be given once")
    read = [Person(kind, line.strip()) for kind in kinds_read for line in sys.stdin if line.strip()]
    return read + [Person(kind, identity) for kind, identity in typed if identity != _STANDARD_INPUT]


def _print_done(done: Erasing) -> None:
    out.print(
        f"erased {done.records:,} records from {done.files:,} landed files, and forgot {done.versions:,} versions"
    )
    for line in done.held:
        out.print(f"held: {line}")
    for line in done.failed:
        out.print(f"failed: {line}", style="red")
    _print_places(done.left)
    out.print(_verdict(done.left, is_check=True))


def _verdict(found: Sequence[Trace], *, is_check: bool) -> str:
    if not found:
        return "nothing names them anywhere"
    if is_check:
        return f"they still occur in {len(found):,} places: decide what is held, mend what failed, and erase them again"
    return "this was a dry run: --yes with --by and --reason erases them"


def _print_places(found: Sequence[Trace]) -> None:
    for place, some in by_place(found).items():
        records = sum(trace.records or 0 for trace in some)
        out.print(f"{place}: {len(some):,} places" + (f", {records:,} records" if records else ""))
        for trace in some[:_SHOWN]:
            is_counted = f": {trace.records:,} records" if trace.records else ""
            out.print(f"  {trace.where}{is_counted}", soft_wrap=True, highlight=False)
        if len(some) > _SHOWN:
            out.print(f"  and {len(some) - _SHOWN:,} more")


def _to_json(trace: Trace) -> dict[str, Any]:
    return {"place": trace.place, "where": trace.where, "records": trace.records}
