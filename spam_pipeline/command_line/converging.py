"""Printing what is stale, what would run, and what a convergence did."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

import typer
from rich.filesize import decimal

from spam_pipeline.command_line.terminal import (
    FAILED,
    HELD,
    err,
    out,
    print_json,
    print_narrow_table,
    progress,
    working,
)
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.reported_convergence import InstanceNotUpdated, converge_and_report
from spam_pipeline.protocol.operating import (
    Converged,
    Cost,
    Late,
    Planned,
    PlannedTogether,
    State,
    cost_of,
    grouped,
    shell_command,
    total_cost,
)

_SHOWN = 5
"""Paths that are listed of those that were passed over."""


def print_convergence(stages: Sequence[str] | None, *, from_landing: bool, as_json: bool) -> None:
    """Converge, print what that did, and exit with the status that says whether everything is up to date."""
    pipeline = Pipeline(from_landing=from_landing)
    environment = pipeline.settings.environment
    pipeline.graph.find(stages or ())  # a wrong name fails before anything starts
    try:
        with progress() as on_progress:
            done = converge_and_report(pipeline, stages, on_progress, is_estimated=err.is_terminal)
    except InstanceNotUpdated as problem:
        _print_converged(problem.done, environment, as_json=as_json)
        raise
    _print_converged(done, environment, as_json=as_json)
    if not done.converged:
        raise typer.Exit(FAILED)
    if done.held:
        raise typer.Exit(HELD)


def print_status(stages: Sequence[str] | None, *, all_stages: bool = False, as_json: bool = False) -> None:
    """Print what waits, is late or is not fresh, then how many partitions are; with the named stages, or all, those by state as well."""
    pipeline = Pipeline()
    found, environment = pipeline.status(stages), pipeline.settings.environment
    if as_json:
        print_json(
            {
                "converged": found.converged,
                "stages": found.counts,
                "waiting": [f"{item.stage} {item.partition}: {item.explanation}" for item in found.waiting],
                "passed_over": _passed_over_to_json(found.passed_over),
                "late": [_late_to_json(item) for item in found.late],
            }
        )
        return
    for item in found.waiting:
        out.print(f"waiting: {item.place}: {item.why_in_full}", soft_wrap=True)
        if item.command:
            out.print(f"  {item.command}", soft_wrap=True)
    if found.waiting:
        out.print(f"to see what follows from that, and the evidence: {shell_command('waiting', environment)}")
    for late in found.late:
        out.print(f"late: {late}", soft_wrap=True)
    _print_passed_over(found.passed_over)
    _print_counts(found.counts, in_full=all_stages or bool(stages))
    except_for = ", except for what waits for somebody" if found.waiting else ""
    out.print(
        f"converged{except_for}" if found.converged else f"not converged: run {shell_command('converge', environment)}"
    )


def _print_counts(counts: Mapping[str, Mapping[str, int]], *, in_full: bool) -> None:
    """Print the partitions of stages by state, of those alone that are not entirely fresh unless asked, and how many stages are."""
    fresh = {stage: of_it for stage, of_it in counts.items() if of_it[State.FRESH.value] == sum(of_it.values())}
    listed = counts if in_full else {stage: of_it for stage, of_it in counts.items() if stage not in fresh}
    if listed:
        rows = [(stage, *map(str, of_it.values())) for stage, of_it in listed.items()]
        print_narrow_table(("stage", *(state.value for state in State)), rows)
    if not in_full and fresh:
        partitions = sum(of_it[State.FRESH.value] for of_it in fresh.values())
        out.print(f"{len(fresh):,} stages fresh, {partitions:,} partitions (--all lists them)")


def print_plan(stages: Sequence[str] | None, *, as_json: bool) -> None:
    """Print what converging would run: as JSON partition by partition, as a table grouped by cause."""
    pipeline = Pipeline()
    with working("planning"):
        found = pipeline.plan(stages)
    costs = pipeline.engine.ledger.recent_costs()
    if as_json:
        print_json([_planned_to_json(item, cost_of(item, costs)) for item in found])
        return
    if found:
        _print_groups(grouped(found, costs))
    out.print(_summary(found, costs))


def _print_groups(groups: Sequence[PlannedTogether]) -> None:
    """Print what would run on a line each, with the cause below it."""
    rows = [
        (
            group.stage,
            group.span.replace(" to ", ".."),
            f"{group.partitions:,}",
            group.action.value,
            *_cells(group.cost),
        )
        for group in groups
    ]
    columns = ("stage", "partitions", "", "action", "time", "size")
    print_narrow_table(columns, rows, [group.cause for group in groups])


def _print_converged(done: Converged, environment: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_converged_to_json(done))
        return
    audited = f", audited {done.audited}" if done.audited else ""
    out.print(f"computed {done.computed}, reused {done.reused}{audited} in {done.seconds:.1f} s")
    _print_held(done.held, environment)
    _print_passed_over(done.passed_over)
    for item in done.failed:
        err.print(f"failed: {item.stage} {item.partition}: {item.error}", style="red")


def _print_held(lines: Sequence[str], environment: str) -> None:
    """Print what waits for somebody, and how to answer."""
    for line in lines:
        out.print(f"held: {line}")
    if lines:
        waiting = shell_command("waiting", environment)
        out.print(f"to see why, what follows from it and the command that decides: {waiting}")


def _print_passed_over(paths: Mapping[str, str]) -> None:
    """Print how many paths were passed over, and the first few."""
    first = [f"{path} ({why})" for path, why in list(paths.items())[:_SHOWN]]
    if first:
        out.print(
            f"passed over in the landing zone: {len(paths)}{'' if len(paths) <= _SHOWN else ', of which the first'}"
        )
    for line in first:
        out.print(f"  {line}")


def _passed_over_to_json(paths: Mapping[str, str]) -> dict[str, object]:
    return {
        "files": len(paths),
        "first": [{"path": path, "why": why} for path, why in list(paths.items())[:_SHOWN]],
    }


def _late_to_json(item: Late) -> dict[str, str]:
    return {"stage": item.stage, "partition": item.partition, "due": item.due.isoformat(), "why": item.why}


def _converged_to_json(done: Converged) -> dict[str, object]:
    return {
        "converged": done.converged,
        "computed": done.computed,
        "reused": done.reused,
        "audited": done.audited,
        "held": list(done.held),
        "failed": [{"stage": item.stage, "partition": item.partition, "error": item.error} for item in done.failed],
        "seconds": done.seconds,
        "passed_over": _passed_over_to_json(done.passed_over),
    }


def _planned_to_json(item: Planned, cost: Cost | None) -> dict[str, object]:
    return {
        "stage": item.stage,
        "partition": item.partition,
        "cause": str(item.cause),
        "action": item.action.value,
        "seconds": round(cost.seconds, 3) if cost else None,
        "bytes": cost.bytes if cost else None,
    }


def _summary(found: Sequence[Planned], costs: Mapping[str, Cost]) -> str:
    if not found:
        return "nothing to do: everything is fresh or held"
    counts = Counter(item.action.value for item in found)
    time, size = _cells(total_cost(found, costs))
    unknown = sum(cost_of(item, costs) is None for item in found)
    beside = f", not counting {unknown:,} of stages that were never computed" if unknown else ""
    is_certain = all(item.cause.is_certain for item in found)
    downstream = "" if is_certain else "; a downstream partition only runs if its inputs do change"
    return (
        f"to do: {', '.join(f'{action} {count:,}' for action, count in counts.items())}; together about {time} of "
        f"computing and {size}, by the last versions{beside}{downstream}"
    )


def _cells(cost: Cost) -> tuple[str, str]:
    return str(timedelta(seconds=round(cost.seconds))) if cost.seconds >= 1 else "under 1 s", decimal(cost.bytes)
