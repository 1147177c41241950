"""The check `converged` of every stage: which of its partitions are not fresh, why, and what happens next; and which are late.

It reads the ledger and runs nothing, so it can be executed in the UI at any time; a convergence evaluates it too.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.metadata import table
from spam_pipeline.protocol.operating import Engine, LateInShort, NotFresh, Outlook, late_partitions, outlook

CONVERGED_CHECK = "converged"


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
        report = engine.planner.report([stage])
        found = evaluation(outlook(engine, report, stage, late_partitions(engine, report)), stage, keys)
        return dg.AssetCheckResult(passed=found.passed, severity=found.severity, metadata=found.metadata)

    return converged


def evaluation(found: Outlook, stage: str, keys: AssetKeys = UNPREFIXED) -> dg.AssetCheckEvaluation:
    """The check's evaluation for one stage; an error when a partition is late by the stage's deadline, else a warning."""
    return dg.AssetCheckEvaluation(
        asset_key=keys.key(stage),
        check_name=CONVERGED_CHECK,
        passed=not found.first and not found.late,
        severity=dg.AssetCheckSeverity.ERROR if found.late else dg.AssetCheckSeverity.WARN,
        metadata={
            "partitions": found.partitions,
            **found.not_fresh,
            "not_fresh": _table(found.first, NotFresh._fields),
            **({} if found.late is None else {"late": _table(found.late, LateInShort._fields)}),
        },
    )


def _table(rows: Sequence[NotFresh] | Sequence[LateInShort], columns: Sequence[str]) -> Any:
    return table([item._asdict() for item in rows], dict.fromkeys(columns, "string"))
