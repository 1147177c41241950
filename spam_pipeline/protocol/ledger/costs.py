"""What the last versions of each stage took, to estimate what the next ones will. The caller has begun the transaction."""

from collections import defaultdict
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.rows import files_of
from spam_pipeline.protocol.ledger.tables import parts, versions

_LAST = 5
"""Versions of a stage that are averaged: few, so that an estimate follows a stage that was made faster, or a volume that grew."""


class Cost(NamedTuple):
    """Seconds of computing and bytes of stored files."""

    seconds: float
    bytes: int


def recent_costs(connection: Connection) -> dict[str, Cost]:
    """The average cost of the last versions of each stage that was ever computed."""
    rank = sa.func.row_number().over(partition_by=versions.c.stage, order_by=versions.c.id.desc()).label("rank")
    ranked = sa.select(versions.c.id, versions.c.stage, versions.c.seconds, rank).subquery()
    last = sa.select(ranked).where(ranked.c.rank <= _LAST).subquery()
    seconds, sizes = defaultdict[str, list[float]](list), defaultdict[str, int](int)
    for stage, took in connection.execute(sa.select(last.c.stage, last.c.seconds)):
        seconds[stage].append(took)
    stored = sa.select(last.c.stage, parts.c.files).join(parts, parts.c.version_id == last.c.id)
    for stage, files in connection.execute(stored):
        sizes[stage] += sum(file.bytes for file in files_of(files))
    return {
        stage: Cost(sum(several) / len(several), sizes[stage] // len(several)) for stage, several in seconds.items()
    }
