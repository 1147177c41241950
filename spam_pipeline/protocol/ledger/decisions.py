"""Decisions of people about versions: adding one, and those that an environment follows. The caller has begun the transaction.

An environment follows its own decisions and those for production, which it reads through to.
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.foundation.errors import AlreadyDecided
from spam_pipeline.protocol.foundation.finding import finding_from_json, finding_to_json
from spam_pipeline.protocol.ledger.records import PRODUCTION, Decision, DecisionKind, DecisionSummary
from spam_pipeline.protocol.ledger.rows import moment, ticks
from spam_pipeline.protocol.ledger.tables import decisions, landed_decisions, versions

# Statements that every partition may need are put together once, see `rows`.
_FOLLOWED = (
    sa.select(decisions)
    .where(decisions.c.environment.in_(sa.bindparam("environments", expanding=True)))
    .order_by(decisions.c.id)
)
_FOLLOWED_AFTER = _FOLLOWED.where(decisions.c.id > sa.bindparam("after"))
_FOLLOWED_ABOUT = _FOLLOWED.where(
    decisions.c.stage == sa.bindparam("stage"), decisions.c.partition == sa.bindparam("partition")
)
_UNLANDED = (
    sa.select(decisions, versions.c.recipe)
    .join(versions, versions.c.id == decisions.c.version_id)
    .where(decisions.c.id.not_in(sa.select(landed_decisions.c.decision_id)))
    .order_by(decisions.c.id)
)


def decisions_of(connection: Connection, environment: str) -> list[Decision]:
    """The decisions that an environment follows, oldest first."""
    return _read(connection, _FOLLOWED, environment)


def decisions_about(connection: Connection, environment: str, stage: str, partition: str) -> list[Decision]:
    """The decisions about a partition that an environment follows, oldest first."""
    return _read(connection, _FOLLOWED_ABOUT, environment, stage=stage, partition=partition)


def add_decision(connection: Connection, decision: Decision, last: int | None) -> Decision:
    """Add a decision made in knowledge of the one with the id `last`, 0 for none, and return it with its own id.

    Raises `AlreadyDecided` when there is a later one, unless `last` is None: then it follows whichever there is.
    """
    before = decisions_about(connection, decision.environment, decision.stage, decision.partition)
    if last is not None and before and before[-1].id != last:
        raise AlreadyDecided(_as_text(before[-1]))
    added = connection.execute(sa.insert(decisions).returning(decisions), _row_of(decision)).one()
    return _decision_of(added)


def unlanded(connection: Connection) -> list[tuple[Decision, str]]:
    """The decisions without a document in the landing zone, oldest first, each with the recipe of its version."""
    return [(_decision_of(row), row.recipe) for row in connection.execute(_UNLANDED)]


def decisions_after(connection: Connection, environments: Collection[str], after: int) -> list[DecisionSummary]:
    """The decisions for some environments after the one of this id, in their order."""
    found = connection.execute(_FOLLOWED_AFTER, {"environments": list(environments), "after": after})
    return [
        DecisionSummary(row.environment, row.stage, row.partition, row.id, row.version_id, DecisionKind(row.kind))
        for row in found
    ]


def _read(connection: Connection, query: sa.Select[Any], environment: str, **values: str) -> list[Decision]:
    found = connection.execute(query, {"environments": [environment, PRODUCTION], **values})
    return [_decision_of(row) for row in found]


def _as_text(decision: Decision) -> str:
    return (
        f"{decision.stage} {decision.partition}: {decision.by} {decision.kind.value}ed it in {decision.environment} at "
        f"{decision.decided_at:%Y-%m-%d %H:%M:%S} UTC, because: {decision.reason}; your decision was made without knowing of "
        "that and was not recorded: look at the partition again, then decide again"
    )


def _row_of(decision: Decision) -> dict[str, Any]:
    return {
        "environment": decision.environment,
        "version_id": decision.version_id,
        "stage": decision.stage,
        "partition": decision.partition,
        "content": decision.content,
        "kind": decision.kind.value,
        "by": decision.by,
        "reason": decision.reason,
        "findings": [finding_to_json(finding) for finding in decision.findings],
        "decided_at": ticks(decision.decided_at),
    }


def _decision_of(row: Any) -> Decision:
    return Decision(
        id=row.id,
        environment=row.environment,
        version_id=row.version_id,
        stage=row.stage,
        partition=row.partition,
        content=row.content,
        kind=DecisionKind(row.kind),
        by=row.by,
        reason=row.reason,
        findings=tuple(finding_from_json(finding) for finding in row.findings),
        decided_at=moment(row.decided_at),
    )
