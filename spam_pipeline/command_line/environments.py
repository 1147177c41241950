"""Printing the environments, what promoting one changes, and what was promoted or dropped."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

import typer

from spam_pipeline.command_line.terminal import WRONG_USAGE, err, out, print_json, print_table
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import PRODUCTION, EnvironmentSummary, Promotion

_SHOWN = 10
"""Held partitions that are listed before a promotion."""


def print_environments(*, as_json: bool) -> None:
    """Print every environment, with what it publishes itself."""
    found = Pipeline().environments()
    if as_json:
        print_json([{**item._asdict(), "since": _time(item.since), "last": _time(item.last)} for item in found])
        return
    print_table(("environment", "publishes itself", "differing", "since", "last"), [_cells(item) for item in found])
    out.print(
        f"differing: where readers of {PRODUCTION} see another version; everywhere else an environment reads {PRODUCTION}"
    )


def print_promotion(by: str, *, is_confirmed: bool, as_json: bool) -> None:
    """Print what promoting the environment changes, ask whether to, and print what was promoted and what was held back."""
    pipeline = Pipeline()
    asked = pipeline.promotion()
    if asked.changes:
        _ask(asked, is_confirmed=is_confirmed, as_json=as_json)
    promoted = pipeline.promote(by, asked)
    if as_json:
        moved = [{"stage": item.stage, "partition": item.partition} for item in promoted.publications]
        print_json({"promoted": moved, "held": list(promoted.held)})
        return
    out.print(f"promoted {len(promoted.publications)} partitions of {asked.environment} to {PRODUCTION}")
    if not asked.carried:
        _print_nothing(pipeline)
    for place in promoted.held:
        out.print(f"held, and not promoted: {place}")


def print_drop(*, as_json: bool) -> None:
    """Drop the environment, and print how many partitions that were its own."""
    pipeline = Pipeline()
    dropped = pipeline.drop()
    if as_json:
        print_json({"dropped": dropped})
    else:
        out.print(f"dropped {dropped} partitions of {pipeline.settings.environment}: it reads {PRODUCTION} again")
    if not dropped and not as_json:
        _print_nothing(pipeline)


def _print_nothing(pipeline: Pipeline) -> None:
    err.print(f"{pipeline.settings.environment} publishes nothing itself any more")


def _ask(asked: Promotion, *, is_confirmed: bool, as_json: bool) -> None:
    """Show what would change, on standard error, and let the person at the terminal confirm it, unless that is done."""
    if not (is_confirmed and as_json):
        err.print(f"promoting {asked.environment} changes what readers of {PRODUCTION} see:")
        print_table(("stage", "new", "replaced", "retracted", "partitions"), list(_changes(asked)), on=err)
        if asked.held:
            rest = f" and {len(asked.held) - _SHOWN} more" if len(asked.held) > _SHOWN else ""
            err.print(f"held, and not promoted: {', '.join(asked.held[:_SHOWN])}{rest}")
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        err.print(
            "error: nothing was promoted: there is no terminal to ask at; --yes promotes without asking", style="red"
        )
        raise typer.Exit(WRONG_USAGE)
    err.print(f"spam-pipeline diff {PRODUCTION} --environment {asked.environment} compares them")
    err.print("promote it? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort


def _changes(asked: Promotion) -> Iterator[tuple[str, ...]]:
    """A row for each stage: how many partitions are new to readers, replaced or retracted, and which."""
    by_stage = defaultdict[str, dict[str, str]](dict)
    for (stage, partition), before in asked.changes.items():
        after = asked.carried[stage, partition]
        kind = "retracted" if after is None else "new" if before is None else "replaced"
        by_stage[stage][partition] = kind
    for stage, kinds in by_stage.items():
        counts, span = Counter(kinds.values()), " to ".join(dict.fromkeys((min(kinds), max(kinds))))
        yield stage, *(str(counts[kind]) for kind in ("new", "replaced", "retracted")), span


def _cells(item: EnvironmentSummary) -> tuple[str, ...]:
    times = (at.isoformat(" ", "minutes").removesuffix("+00:00") if at else "" for at in (item.since, item.last))
    return item.name, f"{item.partitions:,}", f"{item.differing:,}", *times


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
