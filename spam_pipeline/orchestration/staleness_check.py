"""The check `converged` of every stage: which of its partitions are not fresh, why, and what happens next; and which are late.

It reads the ledger and runs nothing, so it can be executed in the UI at any time; a convergence evaluates it too.
"""

from collections.abc import Collection, Sequence
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.metadata import table
from spam_pipeline.protocol.operating import (
    Attempts,
    Engine,
    Late,
    PartitionStatus,
    StalenessReport,
    State,
    late_partitions,
)

CONVERGED_CHECK = "converged"

_SHOWN = 50
_COLUMNS = {"partition": "string", "state": "string", "why": "string", "then": "string"}


def staleness_check(stage: str, keys: AssetKeys = UNPREFIXED) -> dg.AssetChecksDefinition:
    """The check of one stage."""

    @dg.asset_check(
        asset=keys.key(stage),
        name=CONVERGED_CHECK,
        description="Whether every partition is fresh; if not, which are stale, missing or held, and why. An error when one is late.",
        required_resource_keys={ENGINE},
        blocking=False,
    )
    def converged(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        engine: Engine = context.resources.engine
        found = evaluation(engine, engine.planner.report([stage]), stage, keys)
        return dg.AssetCheckResult(passed=found.passed, severity=found.severity, metadata=found.metadata)

    return converged


def evaluation(
    engine: Engine, report: StalenessReport, stage: str, keys: AssetKeys = UNPREFIXED
) -> dg.AssetCheckEvaluation:
    """The check's evaluation for one stage of a report; an error when a partition is late by the stage's deadline, else a warning."""
    has_deadline = engine.graph.stages[stage].deadline is not None
    late = [item for item in late_partitions(engine, report) if item.stage == stage] if has_deadline else []
    statuses = report.statuses[stage].values()
    unsettled = [status for status in statuses if status.state is not State.FRESH]
    return dg.AssetCheckEvaluation(
        asset_key=keys.key(stage),
        check_name=CONVERGED_CHECK,
        passed=not unsettled and not late,
        severity=dg.AssetCheckSeverity.ERROR if late else dg.AssetCheckSeverity.WARN,
        metadata={
            "partitions": len(statuses),
            **{
                state.value: sum(status.state is state for status in unsettled)
                for state in State
                if state is not State.FRESH
            },
            "not_fresh": table(_rows(engine, report, stage, unsettled[:_SHOWN]), _COLUMNS),
            **(_lateness(late) if has_deadline else {}),
        },
    )


def _lateness(late: Sequence[Late]) -> dict[str, Any]:
    rows = [{"partition": item.partition, "due": f"{item.due:%Y-%m-%d %H:%M} UTC", "why": item.why} for item in late]
    return {
        "late": len(late),
        "late_partitions": table(rows[:_SHOWN], {"partition": "string", "due": "string", "why": "string"}),
    }


def _rows(
    engine: Engine, report: StalenessReport, stage: str, statuses: Collection[PartitionStatus]
) -> list[dict[str, Any]]:
    to_run = [status for status in statuses if status.can_run]
    causes = engine.causes(report, stage, to_run)
    tried = engine.planner.attempts(to_run)
    return [
        {
            "partition": status.partition,
            "state": status.state.value,
            "why": str(causes.get(status.partition, status.explanation)),
            "then": _then(engine, status, tried.get(status.recipe)),
        }
        for status in statuses
    ]


def _then(engine: Engine, status: PartitionStatus, tried: Attempts | None) -> str:
    """The next step for a partition that is not fresh."""
    if not status.can_run:
        return "goes on by itself once that is there" if not status.recipe else "quarantined until something changes"
    if tried is None:
        return "the next convergence runs it"
    next_try = engine.graph.stages[status.stage].retry.next_try(tried)
    ended = tried.error or "a process that died"
    when = (
        f"again from {next_try:%Y-%m-%d %H:%M:%S} UTC"
        if next_try
        else "left until something changes, or is materialized"
    )
    return f"tried {tried.count} times, {when}: {ended}"
