"""Fingerprints of versions: one row for each version and contract that measured it. The caller has begun the transaction."""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.fingerprint import Fingerprint, fingerprint_from_json, fingerprint_to_json, numbers
from spam_pipeline.protocol.ledger.rows import in_batches, now, ticks
from spam_pipeline.protocol.ledger.tables import fingerprints


def _chosen(column: sa.Column[Any]) -> Any:
    is_foreign = sa.case((fingerprints.c.contract.in_(sa.bindparam("contracts", expanding=True)), 0), else_=1)
    rank = sa.func.row_number().over(
        partition_by=fingerprints.c.version_id, order_by=(is_foreign, fingerprints.c.id.desc())
    )
    ranked = (
        sa.select(fingerprints.c.id, rank.label("rank"))
        .where(fingerprints.c.version_id.in_(sa.bindparam("ids", expanding=True)))
        .subquery()
    )
    return (
        sa.select(fingerprints.c.version_id, column)
        .join(ranked, ranked.c.id == fingerprints.c.id)
        .where(ranked.c.rank == 1)
    )


_MEASURES, _NUMBERS = _chosen(fingerprints.c.measures), _chosen(fingerprints.c.numbers)
_SAME = sa.select(fingerprints.c.id).where(
    fingerprints.c.version_id == sa.bindparam("version_id"), fingerprints.c.contract == sa.bindparam("contract")
)
_ADD = sa.insert(fingerprints)


def add_fingerprint(connection: Connection, version_id: int, contract: str, fingerprint: Fingerprint) -> None:
    """Add the fingerprint that a contract measured of a version, unless it is there: the same contract measures the same."""
    if connection.scalar(_SAME, {"version_id": version_id, "contract": contract}) is None:
        row = {
            "version_id": version_id,
            "contract": contract,
            "numbers": numbers(fingerprint),
            "measures": fingerprint_to_json(fingerprint),
            "measured_at": ticks(now()),
        }
        connection.execute(_ADD, row)


def fingerprints_of(
    connection: Connection, version_ids: Collection[int], contracts: Collection[str] = ()
) -> dict[int, Fingerprint]:
    """The fingerprint of each version: the one measured by one of `contracts`, otherwise the last one."""
    return {
        version_id: fingerprint_from_json(measures)
        for some in in_batches(version_ids)
        for version_id, measures in connection.execute(_MEASURES, {"ids": some, "contracts": list(contracts)})
    }


def numbers_of(
    connection: Connection, version_ids: Collection[int], contracts: Collection[str] = ()
) -> dict[int, Mapping[str, float]]:
    """The numbers of each version's fingerprint; see `fingerprints_of`."""
    return {
        version_id: found
        for some in in_batches(version_ids)
        for version_id, found in connection.execute(_NUMBERS, {"ids": some, "contracts": list(contracts)})
    }
