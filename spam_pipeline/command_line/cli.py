"""The command line: reads arguments, calls the pipeline, prints. What the commands mean is in the modules they call.

Exit status: 0 on success, 1 on failure with one message, 2 on wrong usage, 3 when `converge` left something held.
"""

import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import duckdb
import sqlalchemy.exc
import typer

from spam_pipeline.command_line.demonstration import demonstrate
from spam_pipeline.command_line.royalties_commands import royalties
from spam_pipeline.command_line.terminal import Json, err, out, print_json, print_record, print_table, progress
from spam_pipeline.operations.pipeline import Pipeline, WrongMoment, moment
from spam_pipeline.operations.reported_convergence import InstanceNotUpdated, converge_and_report
from spam_pipeline.pages.comparison_page import page_of
from spam_pipeline.protocol import WHOLE, PipelineError, Version
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import (
    NEWEST,
    ONLY_ACCEPTED_TOGETHER,
    PUBLISHED,
    Audit,
    Converged,
    Decided,
    Decision,
    DecisionKind,
    Planned,
    comparison_lines,
    comparison_to_json,
    finding_lines,
    finding_to_json,
    grouped,
)
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.query import Answer, ask
from spam_pipeline.settings import settings_from_environment
from spam_pipeline.simulation import SCENARIOS, simulate

FAILED, HELD = 1, 3
"""Exit status of a failure, and of a convergence that left something held."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(royalties)
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
    with progress() as on_progress:
        made = simulate(
            settings.home,
            days=days,
            plays_per_day=plays_per_day,
            seed=seed,
            start=_day(start) if start else settings.start_date,
            scenarios=_known(scenario),
            on_day=lambda day, plays: on_progress(f"simulated {day}: {plays:,} plays"),
        )
    print_record(asdict(made), as_json=as_json)


@app.command("converge")
def converge_command(stages: Stages = None, as_json: Json = False) -> None:
    """Observe the landing zone, then bring the stages up to date. Exits with 3 when something is held."""
    pipeline = Pipeline()
    pipeline.graph.find(stages or ())  # a wrong name is told before anything starts
    try:
        with progress() as on_progress:
            done = converge_and_report(pipeline, stages, on_progress)
    except InstanceNotUpdated as problem:
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
        print_json({"converged": converged, "stages": found})
        return
    rows = [(stage, *(str(count) for count in counts.values())) for stage, counts in found.items()]
    print_table(("stage", "fresh", "stale", "held", "missing"), rows)
    out.print("converged" if converged else "not converged: run spam-pipeline converge")


@app.command("plan")
def plan_command(stages: Stages = None, as_json: Json = False) -> None:
    """Every partition that would run, why, and whether it is computed, reused or audited again; runs nothing."""
    pipeline = Pipeline()
    found = pipeline.plan(stages)
    if as_json:
        print_json(
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
        for group in grouped(found, pipeline.engine.ledger.seconds_by_stage())
    ]
    print_table(("stage", "partitions", "which", "action", "cause", "work"), rows)
    out.print(_planned(found))


@app.command("versions")
def versions_command(stage: str, partition: Annotated[str, typer.Argument()] = WHOLE, as_json: Json = False) -> None:
    """The versions of a partition, oldest first, with recipe, content, code version, fingerprint and audit."""
    pipeline = Pipeline()
    found = pipeline.versions(stage, partition)
    published = pipeline.published_at(found)
    described = [_described(version, audit, published.get(version.id)) for version, audit in found]
    if as_json:
        print_json(described)
        return
    columns = ("recipe", "content", "code_version", "rows", "computed_at", "audit", "published_at")
    print_table(columns, [[str(item[name])[:19] for name in columns] for item in described])
    for version, audit in found:
        out.print(f"{version.recipe[:19]} fingerprint: {numbers(version.fingerprint)}")
        for line in (line for finding in audit.findings for line in finding_lines(finding)):
            out.print(f"  {line}")


@app.command("diff")
def diff_command(  # noqa: PLR0913, PLR0917 - one parameter per argument and option of the command
    stage: Annotated[str, typer.Argument(help="A stage; or an environment, to compare all that differs from it.")],
    partition: Annotated[str, typer.Argument(help="A partition, or a range of them: 2026-01-01..2026-01-31.")] = WHOLE,
    old: Annotated[str, typer.Argument(help="First digits of a recipe (range: code version), or a word.")] = PUBLISHED,
    new: Annotated[str, typer.Argument(help="The same; the words are published, newest and production.")] = NEWEST,
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures into this file.")] = None,
    as_json: Json = False,
) -> None:
    """Two versions side by side: figures with the significance of each move, rows, and why they differ."""
    pipeline = Pipeline()
    is_environment = stage not in pipeline.graph.stages and partition == WHOLE and (old, new) == (PUBLISHED, NEWEST)
    compared = pipeline.diff_environment(stage) if is_environment else [pipeline.diff(stage, partition, old, new)]
    if html:
        html.write_text(page_of(compared), encoding="utf-8")
    if as_json:
        found = [comparison_to_json(item) for item in compared]
        print_json(found if is_environment else found[0])
        return
    for item in compared:
        for line in comparison_lines(item):
            out.print(line, soft_wrap=True)
    if not compared:
        out.print(f"{pipeline.settings.environment} publishes what {stage} does")


@app.command("decide")
def decide_command(  # noqa: PLR0913 - one parameter per argument and option of the command
    action: Annotated[DecisionKind, typer.Argument(help="Accept a quarantined version, or reject a published one.")],
    version: Annotated[str, typer.Argument(help="The recipe of the version, or its first digits; see versions.")],
    *,
    by: Annotated[str, typer.Option(help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    all_matching: Annotated[
        bool, typer.Option(help="Accept as well what the same code made and is quarantined for the same.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Accept a quarantined version or reject a published one; what follows from it converges by itself."""
    if all_matching and action is not DecisionKind.ACCEPT:
        raise typer.BadParameter(ONLY_ACCEPTED_TOGETHER, param_hint="--all-matching")
    decided = Pipeline().decide(action, version, by=by, reason=reason, all_matching=all_matching)
    if as_json:
        print_json([_decision(item) for item in decided] if all_matching else _decision(decided[0]))
        return
    for item in decided:
        out.print(
            f"{action.value}ed {item.version.stage} {item.version.partition} {item.version.recipe[:16]}: {_led_to(item)}"
        )
    out.print("what follows converges: by the daemon, or with spam-pipeline converge")


@app.command("decisions")
def decisions_command(as_json: Json = False) -> None:
    """Who decided what, when and why; oldest first."""
    found = [_as_record(decision) for decision in Pipeline().decisions()]
    if as_json:
        print_json(found)
        return
    columns = ("decided_at", "environment", "action", "stage", "partition", "by", "reason")
    print_table(columns, [[item[name] for name in columns] for item in found])


@app.command("promote")
def promote_command(
    by: Annotated[str, typer.Option(help="Who promotes.")],
    as_json: Json = False,
) -> None:
    """Let production read what SPAM_PIPELINE_ENVIRONMENT publishes, in one transaction; nothing is computed."""
    pipeline = Pipeline()
    promoted = pipeline.promote(by)
    if as_json:
        moved = [{"stage": item.stage, "partition": item.partition} for item in promoted.publications]
        print_json({"promoted": moved, "held": list(promoted.held)})
        return
    out.print(f"promoted {len(promoted.publications)} partitions of {pipeline.settings.environment} to production")
    for place in promoted.held:
        out.print(f"held, and not promoted: {place}")


@app.command("drop")
def drop_command(as_json: Json = False) -> None:
    """Give up what SPAM_PIPELINE_ENVIRONMENT publishes itself: it reads through to production again."""
    pipeline = Pipeline()
    dropped = pipeline.drop()
    if as_json:
        print_json({"dropped": dropped})
    else:
        out.print(f"{pipeline.settings.environment} gave up {dropped} partitions and reads production")


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
        print_json(_objects(answer))
    else:
        print_table(answer.columns, [[str(value) for value in row] for row in answer.rows])


@app.command("demo")
def demo_command() -> None:
    """Simulate ten days, converge, and show what happened."""
    with progress() as on_progress:
        for line in demonstrate(Pipeline(), on_progress):
            out.print(line, soft_wrap=True)


def main() -> None:
    """Run the command line; every expected failure is one message on standard error."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        app()
    except (PipelineError, OSError, ValueError, duckdb.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        err.print(f"error: {error}", style="red")
        sys.exit(FAILED)


def _decision(decided: Decided) -> dict[str, Any]:
    return {"version": decided.version.recipe, **_as_record(decided.decision), "led_to": _led_to(decided)}


def _as_record(decision: Decision) -> dict[str, Any]:
    return {
        "environment": decision.environment,
        "stage": decision.stage,
        "partition": decision.partition,
        "content": decision.content,
        "action": decision.kind.value,
        "by": decision.by,
        "reason": decision.reason,
        "decided_at": decision.decided_at.isoformat(timespec="seconds"),
    }


def _led_to(decided: Decided) -> str:
    """What a decision has changed for readers so far."""
    if decided.outcome is None:
        return "recorded; it is not what readers are to see now"
    if decided.outcome.refused:
        return "readers see the last accepted version before it, if there is one"
    return "published"


def _described(version: Version, audit: Audit, published_at: Any) -> dict[str, Any]:
    return {
        "recipe": version.recipe,
        "content": version.content,
        "code_version": version.code_version,
        "rows": version.rows,
        "rows_read": version.rows_read,
        "bytes": version.bytes,
        "fingerprint": numbers(version.fingerprint),
        "audit": audit.verdict.value,
        "findings": [f"{finding.severity.value}: {finding}" for finding in audit.findings],
        "evidence": [finding_to_json(finding) for finding in audit.findings if finding.evidence],
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
        print_json(
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
    out.print(f"computed {done.computed}, reused {done.reused}{audited} in {done.seconds:.1f} s")
    for line in done.held:
        out.print(f"held: {line}")
    if done.held:
        out.print("why, and the evidence: spam-pipeline diff STAGE PARTITION; to overrule it: spam-pipeline decide")
    for item in done.failed:
        err.print(f"failed: {item.stage} {item.partition}: {item.error}", style="red")


def _planned(found: Sequence[Planned]) -> str:
    if not found:
        return "nothing to do: everything is fresh or held"
    counts = Counter(item.action.value for item in found)
    follows = "" if all(item.cause.is_certain for item in found) else "; what follows from a change only if it is one"
    return f"to do: {', '.join(f'{action} {count:,}' for action, count in counts.items())}{follows}"


def _duration(seconds: float) -> str:
    return f"about {timedelta(seconds=round(seconds))}" if seconds >= 1 else "under a second"


def _objects(answer: Answer) -> list[dict[str, Any]]:
    """Rows as JSON objects, which cannot hold two columns of one name."""
    twice = sorted({name for name in answer.columns if answer.columns.count(name) > 1})
    if twice:
        raise QueryRefused(f"two columns are called {', '.join(twice)}: name them apart with AS")
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


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
