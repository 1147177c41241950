"""Audits: adding one, the last one of a version, and those that planning needs. The caller has begun the transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.foundation.finding import finding_from_json, finding_to_json
from spam_pipeline.protocol.ledger.prunings import PRUNED
from spam_pipeline.protocol.ledger.records import Audit, AuditSummary, Position, Refusal, Verdict, Version
from spam_pipeline.protocol.ledger.rows import moment, now, ticks
from spam_pipeline.protocol.ledger.tables import audits, decisions, versions

if TYPE_CHECKING:
    from datetime import datetime


def _last_audits(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    of_versions = audits.c.version_id.in_(sa.bindparam("ids", expanding=True))
    last = sa.select(sa.func.max(audits.c.id)).where(of_versions, *conditions).group_by(audits.c.version_id)
    return sa.select(audits).where(audits.c.id.in_(last))


# Statements that every partition needs are put together once, see `rows`.
_BY_CONTRACT = audits.c.contract == sa.bindparam("contract")
_COUNTS = (audits.c.decision == 0) | audits.c.decision.in_(
    sa.select(decisions.c.id).where(decisions.c.environment.in_(sa.bindparam("environments", expanding=True)))
)
"""Condition that an audit took no decision into account, or one for some environments: other environments' stay theirs."""

_ANY_AUDIT, _AUDIT_THAT_COUNTS = _last_audits(), _last_audits(_COUNTS)
_AUDIT_BY_CONTRACT = _last_audits(_COUNTS, _BY_CONTRACT)
_ADD = sa.insert(audits)


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
    connection.execute(_ADD, row)


def with_last_audit(
    connection: Connection, found: Sequence[Version], environments: Collection[str]
) -> list[tuple[Version, Audit]]:
    """Each version with its last audit; those that followed decisions for other environments count where there is no other."""
    ids = [version.id for version in found]
    last = _by_version(connection, _AUDIT_THAT_COUNTS, {"ids": ids, "environments": list(environments)})
    if len(last) < len(found):
        last = _by_version(connection, _ANY_AUDIT, {"ids": ids}) | last
    return [(version, last[version.id]) for version in found]


def last_audit(connection: Connection, version_id: int, contract: str, environments: Collection[str]) -> Audit | None:
    """The last audit of a version by a contract, without those that followed decisions for other environments than these."""
    values = {"ids": [version_id], "environments": list(environments), "contract": contract}
    return _by_version(connection, _AUDIT_BY_CONTRACT, values).get(version_id)


def _by_version(connection: Connection, query: sa.Select[Any], values: Mapping[str, Any]) -> dict[int, Audit]:
    return {row.version_id: _audit_of(row) for row in connection.execute(query, values)}


def _audit_of(row: Any) -> Audit:
    return Audit(
        verdict=Verdict(row.verdict),
        findings=tuple(finding_from_json(finding) for finding in row.findings),
        contract=row.contract,
        history=row.history,
        is_provisional=row.is_provisional,
        decision=row.decision,
    )


def refusals_of(connection: Connection, recipes: Collection[str], environments: Collection[str]) -> dict[str, Refusal]:
    """The refusals of versions by recipe; of those whose last audit that counts refused them."""
    found: dict[str, Refusal] = {}
    since: dict[str, datetime] = {}
    for row in connection.execute(_ALL_AUDITS, {"recipes": list(recipes), "environments": list(environments)}):
        if row.verdict == Verdict.REFUSED.value:
            since.setdefault(row.recipe, moment(row.audited_at))
            found[row.recipe] = Refusal(_audit_of(row).refusing, since[row.recipe])
        else:
            since.pop(row.recipe, None)
            found.pop(row.recipe, None)
    return found


_ALL_AUDITS = (
    sa.select(versions.c.recipe, audits)
    .join(versions, versions.c.id == audits.c.version_id)
    .where(versions.c.recipe.in_(sa.bindparam("recipes", expanding=True)), _COUNTS)
    .order_by(audits.c.id)
)


def audits_after(
    connection: Connection, after: Position, contracts: Collection[str], environments: Collection[str]
) -> list[AuditSummary]:
    """The audits after a position, in their order.

    From the start, only those that matter under `contracts` in these environments, of versions that are not pruned: the last audit of a version by one of
    them, if it refused the version, was provisional or took a decision into account; and, with an empty contract, one for
    each version that none of them has audited.
    """
    if after.audit:
        return _audits_of(connection.execute(_AUDITS_AFTER, {"after": after.audit}))
    ours = {"contracts": list(contracts), "environments": list(environments)}
    return [
        *_audits_of(connection.execute(_OPEN_AUDITS, ours)),
        *_audits_of(connection.execute(_UNAUDITED, ours)),
    ]


_SUMMARIES = (
    sa.select(
        audits.c.version_id,
        versions.c.recipe,
        versions.c.stage,
        audits.c.verdict,
        audits.c.contract,
        audits.c.history,
        audits.c.is_provisional,
        audits.c.decision,
    )
    .join(versions, versions.c.id == audits.c.version_id)
    .order_by(audits.c.id)
)
_AUDITS_AFTER = _SUMMARIES.where(audits.c.id > sa.bindparam("after"))
_OWN = audits.c.contract.in_(sa.bindparam("contracts", expanding=True)) & _COUNTS
_OPEN_AUDITS = _SUMMARIES.where(
    audits.c.id.in_(sa.select(sa.func.max(audits.c.id)).where(_OWN).group_by(audits.c.version_id)),
    (audits.c.verdict == Verdict.REFUSED.value) | audits.c.is_provisional | (audits.c.decision > 0),
    audits.c.version_id.not_in(PRUNED),
)
_UNAUDITED = sa.select(
    versions.c.id, versions.c.recipe, versions.c.stage, sa.literal(Verdict.PASSED.value), sa.literal("")
).where(versions.c.id.not_in(sa.select(audits.c.version_id).where(_OWN)), versions.c.id.not_in(PRUNED))


def _audits_of(rows: Iterable[Any]) -> list[AuditSummary]:
    return [
        AuditSummary(version_id, recipe, stage, Verdict(verdict), *audit_context)
        for version_id, recipe, stage, verdict, *audit_context in rows
    ]
