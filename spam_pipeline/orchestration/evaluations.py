"""Evaluations of asset checks: findings of an audit by check, with severity and evidence.

Pure functions of a version and its audit, except `beside_latest`, which asks the instance. The checks themselves are in `checks`.
What people wrote or landed is shown as text: tables and texts are that in the UI, while descriptions are Markdown, which loads
remote images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster_shared.record import copy

from spam_pipeline.dagster_links import decision_path
from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.grids import key_in_dagster
from spam_pipeline.orchestration.metadata import (
    CONTRACT_CHECK,
    fingerprint_metadata,
    recorded_metadata,
    table,
    version_metadata,
)
from spam_pipeline.pages.markdown import as_image, as_text
from spam_pipeline.pages.pictures import picture_of
from spam_pipeline.protocol import Finding, Severity, Version
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import (
    PRODUCTION,
    Audit,
    DecisionKind,
    Expected,
    Verdict,
    breaches,
    decide_command,
)

HISTORY_CHECK = "history"
"""Name of the check of a version against the stage's own history and the domain's rules."""

EXPECTED_BY = "expected_by_"
"""Prefix of the names of checks of a consumer's expectations; the consumer's name follows."""

RETRACTED = "there is nothing to compute it from any more, so it is no longer published"
"""The reason why there is nothing to audit of a partition that was retracted."""

_CONTRACT_RULES = frozenset({"columns", "rows", "rejected", "limit", "schema", "decision"})
"""Rules that need no other version to compare with."""

_SHOWN = 50
_DRAWN = 5
"""Rows of a table, and pictures of findings, that one evaluation has at most."""

_FINDINGS = dict.fromkeys(("severity", "about", "expected", "got"), "string")
_MOVED = {"about": "string", "value": "string", "expected share": "float", "seen share": "float"}
_EVIDENCE = {"about": "string", "clue": "string", "seen": "float", "usual": "float", "speaks for": "string"}


def evaluations(
    expected: Expected,
    version: Version,
    audit: Audit,
    keys: AssetKeys = UNPREFIXED,
    environment: str = PRODUCTION,
) -> list[dg.AssetCheckEvaluation]:
    """One evaluation for each check that applies to a version in an environment: refusals fail, warnings warn, notes pass.

    The tables of the fingerprint stand beside the contract alone, because a version that is refused has no other place.
    """
    by_contract = [finding for finding in audit.findings if finding.rule in _CONTRACT_RULES]
    by_history = [finding for finding in audit.findings if finding.rule not in _CONTRACT_RULES]
    is_refused = audit.verdict is Verdict.REFUSED
    found = [_evaluation(keys, CONTRACT_CHECK, version, by_contract, environment, is_refused=is_refused)]
    if audit.history or by_history:
        found.append(_evaluation(keys, HISTORY_CHECK, version, by_history, environment, is_refused=is_refused))
    seen = numbers(version.fingerprint)
    for consumer, limits in expected.get(version.stage, {}).items():
        unmet = [replace(finding, severity=Severity.WARN) for finding in breaches(limits, seen)]
        found.append(_meets(keys, version, consumer, unmet))
    return found


def refusal_metadata(version: Version, audit: Audit, environment: str) -> dict[str, Any]:
    """Metadata of a refused version, for where it would have been materialized: the evidence and how to decide, then the version."""
    return {**_metadata(audit.refusing), **_decide(version, environment, is_refused=True), **version_metadata(version)}


def nothing_to_audit(
    stage: str, partition: str, why: str, severity: dg.AssetCheckSeverity, keys: AssetKeys = UNPREFIXED
) -> dg.AssetCheckEvaluation:
    """A failed evaluation because there is no version of a partition to audit."""
    return dg.AssetCheckEvaluation(
        asset_key=keys.key(stage),
        check_name=CONTRACT_CHECK,
        passed=False,
        severity=severity,
        partition=key_in_dagster(partition),
        description=f"nothing to audit: {as_text(why)}",
    )


def beside_latest(
    instance: dg.DagsterInstance, found: Sequence[dg.AssetCheckEvaluation]
) -> list[dg.AssetCheckEvaluation]:
    """Attach evaluations of one partition to its latest materialization; others don't count in the UI.

    Also those of a refused version, which is not materialized: the partition has to be shown as refused.
    """
    if not found:
        return []
    partitions = None if found[0].partition is None else [found[0].partition]
    asked = dg.AssetRecordsFilter(found[0].asset_key, asset_partitions=partitions)
    records = instance.fetch_materializations(asked, 1).records
    if not records:
        return list(found)
    latest = records[0]
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=latest.storage_id, run_id=latest.event_log_entry.run_id, timestamp=latest.timestamp
    )
    return [copy(evaluation, target_materialization_data=target) for evaluation in found]


def _evaluation(  # noqa: PLR0913 - what is shown of which check, and where
    keys: AssetKeys, check: str, version: Version, findings: Sequence[Finding], environment: str, *, is_refused: bool
) -> dg.AssetCheckEvaluation:
    refusing = sum(finding.severity is Severity.REFUSE for finding in findings)
    warning = sum(finding.severity is Severity.WARN for finding in findings)
    return dg.AssetCheckEvaluation(
        asset_key=keys.key(version.stage),
        check_name=check,
        passed=not refusing and not warning,
        severity=dg.AssetCheckSeverity.ERROR if refusing else dg.AssetCheckSeverity.WARN,
        partition=key_in_dagster(version.partition),
        description=_description(refusing, warning, is_refused=is_refused),
        metadata={
            **_metadata(findings),
            "recipe": version.recipe,
            **(_decide(version, environment, is_refused=is_refused) if findings else {}),
            **fingerprint_metadata(version),
            **(recorded_metadata(version) if check == CONTRACT_CHECK else {}),
        },
    )


def _decide(version: Version, environment: str, *, is_refused: bool) -> dict[str, Any]:
    """How a person overrules an audit: the command, and the launchpad that asks for the rest."""
    kind = DecisionKind.ACCEPT if is_refused else DecisionKind.REJECT
    return {
        "decide": decide_command(kind, version.recipe, environment),
        "decide here": dg.MetadataValue.url(decision_path(kind, version.recipe[:16])),
    }


def _meets(keys: AssetKeys, version: Version, consumer: str, unmet: Sequence[Finding]) -> dg.AssetCheckEvaluation:
    """The check of a consumer's expectations: a warning where unmet, since that holds nobody but the consumer."""
    return dg.AssetCheckEvaluation(
        asset_key=keys.key(version.stage),
        check_name=f"{EXPECTED_BY}{consumer}",
        passed=not unmet,
        severity=dg.AssetCheckSeverity.WARN,
        partition=key_in_dagster(version.partition),
        description="held until there is a better version; keeps what it had" if unmet else None,
        metadata={**_metadata(unmet), "recipe": version.recipe},
    )


def _description(refusing: int, warning: int, *, is_refused: bool) -> str | None:
    if refusing:
        return f"refused by {_counted(refusing, 'finding')} and quarantined: consumers keep what they had"
    if warning and not is_refused:
        return f"published with {_counted(warning, 'warning')}: somebody should look"
    return None


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _metadata(findings: Sequence[Finding]) -> dict[str, Any]:
    """Findings, the evidence and what moved, each as a table where there is any; pictures where there is something to draw.

    The UI shows entries by name: these stand before the numbers of the fingerprint.
    """
    found = {
        "findings": (_rows(findings), _FINDINGS),
        "evidence": (list(islice(_clues(findings), _SHOWN)), _EVIDENCE),
        "expected and seen": (list(islice(_moved(findings), _SHOWN)), _MOVED),
    }
    tables = {name: table(rows, columns) for name, (rows, columns) in found.items() if rows}
    behind = [item for finding in findings if finding.evidence for item in finding.evidence.behind]
    pictures = "\n\n".join(islice(_pictures(findings), _DRAWN))
    return {
        "findings": "none",
        **tables,
        **({"behind": "; ".join(behind)} if behind else {}),
        **({"drawn": dg.MetadataValue.md(pictures)} if pictures else {}),
    }


def _rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings, the gravest first."""
    order = [Severity.REFUSE, Severity.WARN, Severity.NOTE]
    gravest = sorted(findings, key=lambda item: order.index(item.severity))[:_SHOWN]
    cells = [(finding.severity.value, finding.about, finding.expected, finding.seen) for finding in gravest]
    return [dict(zip(_FINDINGS, row, strict=True)) for row in cells]


def _moved(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    for finding in findings:
        for moved in finding.moved:
            yield dict(zip(_MOVED, (finding.about, *moved), strict=True))


def _clues(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    for finding in findings:
        for clue in finding.evidence.clues if finding.evidence else ():
            yield dict(zip(_EVIDENCE, (finding.about, *clue), strict=True))


def _pictures(findings: Sequence[Finding]) -> Iterator[str]:
    """Pictures of the findings that have something to draw, in Markdown."""
    for finding in findings:
        picture = picture_of(finding)
        if picture:
            yield as_image(finding.about, picture)
