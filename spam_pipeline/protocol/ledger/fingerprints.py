"""Fingerprints of versions: one row for each version and contract that measured it. The caller has begun the transaction."""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.fingerprint import Fingerprint, fingerprint_from_json, fingerprint_to_json, numbers
from spam_pipeline.protocol.ledger.rows import in_batches, now, ticks
from spam_pipeline.protocol.ledger.tables import fingerprints


def add_fingerprint(connection: Connection, version_id: int, contract: str, fingerprint: Fingerprint) -> None:
    """Add the fingerprint that a contract measured of a version, unless it is there: the same contract measures the same."""
    same = (fingerprints.c.version_id == version_id) & (fingerprints.c.contract == contract)
    if connection.scalar(sa.select(fingerprints.c.id).where(same)) is None:
        row = {
            "version_id": version_id,
            "contract": contract,
            "numbers": numbers(fingerprint),
            "measures": fingerprint_to_json(fingerprint),
            "measured_at": ticks(now()),
        }
        connection.execute(sa.insert(fingerprints), row)


def fingerprints_of(
    connection: Connection, version_ids: Collection[int], contracts: Collection[str] = ()
) -> dict[int, Fingerprint]:
    """The fingerprint of each version: the one measured by one of `contracts`, otherwise the last one."""
    return {
        version_id: fingerprint_from_json(measures)
        for some in in_batches(version_ids)
        for version_id, measures in connection.execute(_chosen(fingerprints.c.measures, some, contracts))
    }


def numbers_of(
    connection: Connection, version_ids: Collection[int], contracts: Collection[str] = ()
) -> dict[int, Mapping[str, float]]:
    """The numbers of each version's fingerprint; see `fingerprints_of`."""
    return {
        version_id: found
        for some in in_batches(version_ids)
        for version_id, found in connection.execute(_chosen(fingerprints.c.numbers, some, contracts))
    }


def _chosen(column: sa.Column[Any], version_ids: Collection[int], contracts: Collection[str]) -> Any:
    is_foreign = sa.case((fingerprints.c.contract.in_(contracts), 0), else_=1)
    rank = sa.func.row_number().over(
        partition_by=fingerprints.c.version_id, order_by=(is_foreign, fingerprints.c.id.desc())
    )
    ranked = (
        sa.select(fingerprints.c.id, rank.label("rank")).where(fingerprints.c.version_id.in_(version_ids)).subquery()
    )
    return (
        sa.select(fingerprints.c.version_id, column)
        .join(ranked, ranked.c.id == fingerprints.c.id)
        .where(ranked.c.rank == 1)
    )
