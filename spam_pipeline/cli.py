"""The command line: reads arguments, calls the pipeline, prints. What the commands mean is in the modules they call.

Exit status: 0 on success, 1 on failure with one message, 2 on wrong usage, 3 when `converge` left something held.
"""

import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import duckdb
import sqlalchemy.exc
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from spam_pipeline.demonstration import demonstrate
from spam_pipeline.headless import InstanceNotTold, converge_headless
from spam_pipeline.pipeline import Pipeline, WrongMoment, moment
from spam_pipeline.protocol.convergence import Converged
from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.partition import WHOLE
from spam_pipeline.protocol.plan import Planned, grouped
from spam_pipeline.protocol.records import Audit, Version
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.query import Answer, ask
from spam_pipeline.settings import settings_from_environment
from spam_pipeline.simulation import SCENARIOS, simulate

FAILED, HELD = 1, 3
"""Exit status of a failure, and of a convergence that left something held."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_WIDE = 240


def _console(*, stderr: bool, width: int | None = None) -> Console:
    """A console for data and messages: square brackets and colons in them stand for themselves."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False, soft_wrap=stderr)


_out = _console(stderr=False, width=None if sys.stdout.isatty() else _WIDE)
_err = _console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Stages = Annotated[
    list[str] | None, typer.Argument(metavar="[STAGE]...", help="Stages; all of them when none is named.")
]


@app.command("simulate")
def simulate_command(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    days: Annotated[int, typer.Option(min=1)] = 14,
    plays_per_day: Annotated[int, typer.Option(min=1)] = 20_000,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    start: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD; default: the start date setting.")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(SCENARIOS)}; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """Write a landing zone of simulated plays, and the truth of every attack to truth.parquet beside it."""
    settings = settings_from_environment()
    settings.require_landing_below_home()
    with _progress() as tell:
        made = simulate(
            settings.home,
            days=days,
            plays_per_day=plays_per_day,
            seed=seed,
            start=_day(start) if start else settings.start_date,
            scenarios=_known(scenario),
            on_day=lambda day, plays: tell(f"simulated {day}: {plays:,} plays"),
        )
    _print_record(asdict(made), as_json=as_json)


@app.command("converge")
def converge_command(stages: Stages = None, as_json: Json = False) -> None:
    """Observe the landing zone, then bring the stages up to date. Exits with 3 when something is held."""
    pipeline = Pipeline()
    pipeline.graph.find(stages or ())  # a wrong name is told before anything starts
    try:
        with _progress() as tell:
            done = converge_headless(pipeline, stages, tell)
    except InstanceNotTold as problem:
        _print_converged(problem.done, as_json=as_json)
        raise
    _print_converged(done, as_json=as_json)
    if not done.converged:
        raise typer.Exit(FAILED)
    if done.held:
        raise typer.Exit(HELD)


@app.command("status")
def status_command(stages: Stages = None, as_json: Json = False) -> None:
    """Per stage: partitions fresh, stale, held, missing."""
    found = Pipeline().status(stages)
    converged = not any(counts["stale"] or counts["missing"] for counts in found.values())
    if as_json:
        _print_json({"converged": converged, "stages": found})
        return
    rows = [(stage, *(str(count) for count in counts.values())) for stage, counts in found.items()]
    _print_table(("stage", "fresh", "stale", "held", "missing"), rows)
    _out.print("converged" if converged else "not converged: run spam-pipeline converge")


@app.command("plan")
def plan_command(stages: Stages = None, as_json: Json = False) -> None:
    """Every partition that would run, why, and whether it is computed, reused or audited again; runs nothing."""
    pipeline = Pipeline()
    found = pipeline.plan(stages)
    if as_json:
        _print_json(
            [
                {
                    "stage": item.stage,
                    "partition": item.partition,
                    "cause": str(item.cause),
                    "action": item.action.value,
                }
                for item in found
            ]
        )
        return
    rows = [
        (group.stage, str(group.partitions), group.span, group.action.value, group.cause, _duration(group.seconds))
        for group in grouped(found, pipeline.runner.ledger.seconds_by_stage())
    ]
    _print_table(("stage", "partitions", "which", "action", "cause", "work"), rows)
    _out.print(_planned(found))


@app.command("versions")
def versions_command(stage: str, partition: Annotated[str, typer.Argument()] = WHOLE, as_json: Json = False) -> None:
    """The versions of a partition, oldest first, with recipe, content, code version, fingerprint and audit."""
    pipeline = Pipeline()
    found = pipeline.versions(stage, partition)
    published = pipeline.published_at(found)
    described = [_described(version, audit, published.get(version.id)) for version, audit in found]
    if as_json:
        _print_json(described)
        return
    columns = ("recipe", "content", "code_version", "rows", "computed_at", "audit", "published_at")
    _print_table(columns, [[str(item[name])[:19] for name in columns] for item in described])
    for item in described:
        _out.print(f"{item['recipe'][:19]} fingerprint: {item['fingerprint']}")


@app.command("query")
def query_command(
    sql: str,
    as_of: Annotated[str | None, typer.Option(help="YYYY-MM-DD or an ISO 8601 date and time.")] = None,
    as_json: Json = False,
) -> None:
    """Run SQL (DuckDB) over what is published: one view per stage, <context>.<stage>."""
    with Pipeline().query(_moment(as_of)) as connection:
        answer = ask(connection, sql)
    if as_json:
        _print_json(_objects(answer))
    else:
        _print_table(answer.columns, [[str(value) for value in row] for row in answer.rows])


@app.command("demo")
def demo_command() -> None:
    """Simulate ten days, converge, and show what happened."""
    with _progress() as tell:
        for line in demonstrate(Pipeline(), tell):
            _out.print(line, soft_wrap=True)


def main() -> None:
    """Run the command line; every expected failure is one message on standard error."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        app()
    except (PipelineError, OSError, ValueError, duckdb.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        _err.print(f"error: {error}", style="red")
        sys.exit(FAILED)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Tells what is being done: a line that changes on a terminal, a line each elsewhere; on standard error."""
    if not _err.is_terminal:
        yield _err.print
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_err, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)


def _described(version: Version, audit: Audit, published_at: Any) -> dict[str, Any]:
    return {
        "recipe": version.recipe,
        "content": version.content,
        "code_version": version.code_version,
        "rows": version.rows,
        "rows_read": version.rows_read,
        "bytes": version.bytes,
        "fingerprint": dict(version.fingerprint),
        "audit": audit.verdict.value,
        "findings": list(audit.findings),
        "inputs": [
            {"from": item.upstream, "partition": item.partition, "part": item.part, "content": item.content}
            for item in version.inputs
        ],
        "computed_at": version.computed_at.isoformat(),
        "published_at": published_at.isoformat() if published_at else None,
    }


def _print_converged(done: Converged, *, as_json: bool) -> None:
    if as_json:
        failed = [{"stage": item.stage, "partition": item.partition, "error": item.error} for item in done.failed]
        _print_json(
            {
                "converged": done.converged,
                "computed": done.computed,
                "reused": done.reused,
                "audited": done.audited,
                "held": list(done.held),
                "failed": failed,
                "seconds": done.seconds,
            }
        )
        return
    audited = f", audited {done.audited}" if done.audited else ""
    _out.print(f"computed {done.computed}, reused {done.reused}{audited} in {done.seconds:.1f} s")
    for line in done.held:
        _out.print(f"held: {line}")
    for item in done.failed:
        _err.print(f"failed: {item.stage} {item.partition}: {item.error}", style="red")


def _planned(found: Sequence[Planned]) -> str:
    if not found:
        return "nothing to do: everything is fresh or held"
    counts = Counter(item.action.value for item in found)
    follows = "" if all(item.cause.is_certain for item in found) else "; what follows from a change only if it is one"
    return f"to do: {', '.join(f'{action} {count:,}' for action, count in counts.items())}{follows}"


def _duration(seconds: float) -> str:
    return f"about {timedelta(seconds=round(seconds))}" if seconds >= 1 else "under a second"


def _print_record(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(record)
    else:
        _print_table(
            ("", ""), [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in record.items()]
        )


def _objects(answer: Answer) -> list[dict[str, Any]]:
    """Rows as JSON objects, which cannot hold two columns of one name."""
    twice = sorted({name for name in answer.columns if answer.columns.count(name) > 1})
    if twice:
        raise QueryRefused(f"two columns are called {', '.join(twice)}: name them apart with AS")
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: keys are text, and a float that is no number is null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_json(value: Any) -> None:
    print(json.dumps(_plain(value), default=str))  # noqa: T201 - JSON goes out as it is, not wrapped to a terminal's width


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    _out.print(table)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day: expected YYYY-MM-DD", param_hint="--start") from None


def _moment(text: str | None) -> datetime | None:
    try:
        return moment(text)
    except WrongMoment as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None


def _known(scenarios: list[str] | None) -> list[str] | None:
    for name in scenarios or ():
        if name not in SCENARIOS:
            raise typer.BadParameter(
                f"{name!r} is no scenario: expected any of {', '.join(SCENARIOS)}", param_hint="--scenario"
            )
    return scenarios
