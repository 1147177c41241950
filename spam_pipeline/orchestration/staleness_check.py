"""The check `converged` of every stage: which of its partitions are not fresh, why, and what happens next.

It reads the ledger and changes nothing, so it can be executed in the UI at any time; a convergence evaluates it too.
"""

from collections.abc import Collection
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.assets import RUNNER
from spam_pipeline.orchestration.metadata import table
from spam_pipeline.protocol.needs import Need, State
from spam_pipeline.protocol.records import Attempts
from spam_pipeline.protocol.runner import Runner
from spam_pipeline.protocol.staleness import Assessment

CONVERGED_CHECK = "converged"

_SHOWN = 50
_COLUMNS = {"partition": "string", "state": "string", "why": "string", "then": "string"}


def staleness_check(stage: str) -> dg.AssetChecksDefinition:
    """The check of one stage."""

    @dg.asset_check(
        asset=stage,
        name=CONVERGED_CHECK,
        description="Whether every partition is fresh; if not, which are stale, missing or held, and why.",
        required_resource_keys={RUNNER},
        blocking=False,
    )
    def converged(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        runner: Runner = context.resources.runner
        found = evaluation(runner, runner.assess([stage]), stage)
        return dg.AssetCheckResult(passed=found.passed, severity=found.severity, metadata=found.metadata)

    return converged


def evaluation(runner: Runner, assessment: Assessment, stage: str) -> dg.AssetCheckEvaluation:
    """The check's evaluation for one of the stages that were assessed."""
    needs = assessment.needs[stage].values()
    unsettled = [need for need in needs if need.state is not State.FRESH]
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(stage),
        check_name=CONVERGED_CHECK,
        passed=not unsettled,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "partitions": len(needs),
            **{
                state.value: sum(need.state is state for need in unsettled)
                for state in State
                if state is not State.FRESH
            },
            "not_fresh": table(_rows(runner, assessment, stage, unsettled[:_SHOWN]), _COLUMNS),
        },
    )


def _rows(runner: Runner, assessment: Assessment, stage: str, needs: Collection[Need]) -> list[dict[str, Any]]:
    to_run = [need for need in needs if need.can_run]
    causes = runner.causes(assessment, stage, to_run)
    tried = runner.attempts(to_run)
    return [
        {
            "partition": need.partition,
            "state": need.state.value,
            "why": str(causes.get(need.partition, need.reason)),
            "then": _then(runner, need, tried.get(need.recipe)),
        }
        for need in needs
    ]


def _then(runner: Runner, need: Need, tried: Attempts | None) -> str:
    """What happens next with a partition that is not fresh."""
    if not need.can_run:
        return "goes on by itself once that is there" if not need.recipe else "quarantined until something changes"
    if tried is None:
        return "the next convergence runs it"
    next_try = runner.graph.stages[need.stage].retry.next_try(tried)
    ended = tried.error or "a process that died"
    when = (
        f"again from {next_try:%Y-%m-%d %H:%M:%S} UTC"
        if next_try
        else "left until something changes, or is materialized"
    )
    return f"tried {tried.count} times, {when}: {ended}"
