"""Audits: adding one, the last one of a version, and those that planning needs. The caller has begun the transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.foundation.finding import finding_from_json, finding_to_json
from spam_pipeline.protocol.ledger.records import Audit, AuditSummary, Position, Verdict, Version
from spam_pipeline.protocol.ledger.rows import now, ticks
from spam_pipeline.protocol.ledger.tables import audits, decisions, versions


def add_audit(connection: Connection, version_id: int, audit: Audit) -> None:
    """Add an audit of a version."""
    row = {
        "version_id": version_id,
        "contract": audit.contract,
        "verdict": audit.verdict.value,
        "findings": [finding_to_json(finding) for finding in audit.findings],
        "history": audit.history,
        "is_provisional": audit.is_provisional,
        "decision": audit.decision,
        "audited_at": ticks(now()),
    }
    connection.execute(sa.insert(audits), row)


def with_last_audit(
    connection: Connection, found: Sequence[Version], environments: Collection[str]
) -> list[tuple[Version, Audit]]:
    """Each version with its last audit; those that followed decisions for other environments count where there is no other."""
    ids = [version.id for version in found]
    last = last_audits(connection, ids) | last_audits(connection, ids, environments=environments)
    return [(version, last[version.id]) for version in found]


def last_audits(
    connection: Connection, version_ids: Collection[int], contract: str = "", environments: Collection[str] = ()
) -> dict[int, Audit]:
    """The last audit of each version: by any contract, or by one; with any decision, or with none but those for some environments."""
    query = sa.select(sa.func.max(audits.c.id)).where(audits.c.version_id.in_(version_ids))
    if contract:
        query = query.where(audits.c.contract == contract)
    if environments:
        query = query.where(_counts_for(environments))
    last = sa.select(audits).where(audits.c.id.in_(query.group_by(audits.c.version_id)))
    return {row.version_id: _audit_of(row) for row in connection.execute(last)}


def _audit_of(row: Any) -> Audit:
    return Audit(
        verdict=Verdict(row.verdict),
        findings=tuple(finding_from_json(finding) for finding in row.findings),
        contract=row.contract,
        history=row.history,
        is_provisional=row.is_provisional,
        decision=row.decision,
    )


def _counts_for(environments: Collection[str]) -> sa.ColumnElement[bool]:
    """Condition that an audit took no decision into account, or one for these environments: other environments' stay theirs."""
    known = sa.select(decisions.c.id).where(decisions.c.environment.in_(environments))
    return (audits.c.decision == 0) | audits.c.decision.in_(known)


def audits_after(
    connection: Connection, after: Position, contracts: Collection[str], environments: Collection[str]
) -> list[AuditSummary]:
    """The audits after a position, in their order.

    From the start, only those that matter under `contracts` in these environments: the last audit of a version by one of
    them, if it refused the version, was provisional or took a decision into account; and, with an empty contract, one for
    each version that none of them has audited.
    """
    audit_context = (audits.c.contract, audits.c.history, audits.c.is_provisional, audits.c.decision)
    columns = (audits.c.version_id, versions.c.recipe, versions.c.stage, audits.c.verdict, *audit_context)
    query = sa.select(*columns).join(versions, versions.c.id == audits.c.version_id).order_by(audits.c.id)
    if after.audit:
        return _audits_of(connection.execute(query.where(audits.c.id > after.audit)))
    own = audits.c.contract.in_(contracts) & _counts_for(environments)
    last = sa.select(sa.func.max(audits.c.id)).where(own).group_by(audits.c.version_id)
    is_open = (audits.c.verdict == Verdict.REFUSED.value) | audits.c.is_provisional | (audits.c.decision > 0)
    audited = sa.select(audits.c.version_id).where(own)
    unaudited = sa.select(versions.c.id, versions.c.recipe, versions.c.stage, sa.literal(Verdict.PASSED.value))
    return [
        *_audits_of(connection.execute(query.where(audits.c.id.in_(last), is_open))),
        *_audits_of(connection.execute(unaudited.add_columns(sa.literal("")).where(versions.c.id.not_in(audited)))),
    ]


def _audits_of(rows: Iterable[Any]) -> list[AuditSummary]:
    return [
        AuditSummary(version_id, recipe, stage, Verdict(verdict), *audit_context)
        for version_id, recipe, stage, verdict, *audit_context in rows
    ]
