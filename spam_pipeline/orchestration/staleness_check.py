"""The check `converged` of every stage: which of its partitions are not fresh, why, and what happens next.

It reads the ledger and changes nothing, so it can be executed in the UI at any time; a convergence evaluates it too.
"""

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.metadata import table
from spam_pipeline.protocol.operating import Engine, NotFresh, Outlook, outlook

CONVERGED_CHECK = "converged"


def staleness_check(stage: str, keys: AssetKeys = UNPREFIXED) -> dg.AssetChecksDefinition:
    """The check of one stage."""

    @dg.asset_check(
        asset=keys.key(stage),
        name=CONVERGED_CHECK,
        description="Whether every partition is fresh; if not, which are stale, missing or held, and why.",
        required_resource_keys={ENGINE},
        blocking=False,
    )
    def converged(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        engine: Engine = context.resources.engine
        found = evaluation(outlook(engine, engine.planner.report([stage]), stage), stage, keys)
        return dg.AssetCheckResult(passed=found.passed, severity=found.severity, metadata=found.metadata)

    return converged


def evaluation(found: Outlook, stage: str, keys: AssetKeys = UNPREFIXED) -> dg.AssetCheckEvaluation:
    """The check's evaluation for one stage."""
    return dg.AssetCheckEvaluation(
        asset_key=keys.key(stage),
        check_name=CONVERGED_CHECK,
        passed=not found.first,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "partitions": found.partitions,
            **found.not_fresh,
            "not_fresh": table([item._asdict() for item in found.first], dict.fromkeys(NotFresh._fields, "string")),
        },
    )
