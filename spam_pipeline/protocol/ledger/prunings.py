"""Prunings of versions: which are pruned now, refusing to point at one, and bringing one back. The caller has begun the transaction.

A pruned version keeps its row, its parts and what it was computed from: who published what, and why, stays readable. Its data may be
gone, so nobody reuses it; computing its recipe again brings it back.
"""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.foundation.errors import Pruned
from spam_pipeline.protocol.ledger.records import Version
from spam_pipeline.protocol.ledger.rows import in_batches, moment, now, ticks
from spam_pipeline.protocol.ledger.tables import fingerprints, prunings, versions

PRUNED = sa.select(prunings.c.version_id).where(prunings.c.revived_at.is_(None))
"""The ids of the versions that are pruned now."""

# Statements that every partition needs are put together once, see `rows`.
_OF_IDS = sa.select(prunings.c.version_id, prunings.c.pruned_at).where(
    prunings.c.revived_at.is_(None), prunings.c.version_id.in_(sa.bindparam("ids", expanding=True))
)
_ADDED_AFTER = (
    sa.select(versions.c.recipe, versions.c.stage)
    .join(prunings, prunings.c.version_id == versions.c.id)
    .where(prunings.c.id > sa.bindparam("after"), prunings.c.revived_at.is_(None))
)


def pruned_at(connection: Connection, version_ids: Collection[int]) -> dict[int, datetime]:
    """The time at which versions were pruned, by id; absent for those that are not pruned."""
    return {
        version_id: moment(at)
        for some in in_batches(version_ids)
        for version_id, at in connection.execute(_OF_IDS, {"ids": some})
    }


def require_unpruned(connection: Connection, version_ids: Collection[int]) -> None:
    """Raise `Pruned` if one of these versions is pruned: a pointer must not lead to data that may be gone."""
    if gone := pruned_at(connection, version_ids):
        version_id, when = min(gone.items())
        place = connection.execute(
            sa.select(versions.c.stage, versions.c.partition, versions.c.recipe).where(versions.c.id == version_id)
        ).one()
        raise Pruned(f"{place.stage} {place.partition}: {pruned_text(place.recipe, when)}; nothing was published")


def pruned_text(recipe: str, when: datetime) -> str:
    """How messages say that a version is pruned."""
    return f"the version of recipe {recipe[:12]} was pruned on {when:%Y-%m-%d %H:%M} UTC"


def pruned_after(connection: Connection, pruning_id: int) -> dict[str, str]:
    """The recipes of versions that were pruned after a pruning, and are, with their stages."""
    return {row.recipe: row.stage for row in connection.execute(_ADDED_AFTER, {"after": pruning_id})}


def add_prunings(connection: Connection, version_ids: Collection[int], cause: str) -> None:
    """Prune versions: from now on nobody reuses them. What was measured of them goes; it is measured again if they come back."""
    row = {"cause": cause, "pruned_at": ticks(now())}
    for some in in_batches(sorted(version_ids)):
        connection.execute(sa.insert(prunings), [{"version_id": version_id, **row} for version_id in some])
        connection.execute(sa.delete(fingerprints).where(fingerprints.c.version_id.in_(some)))


def revived(connection: Connection, version_id: int, again: Version) -> int | None:
    """The id of a version that was computed again, which is not pruned any more; None if that has led to another content.

    Then the pruned one keeps its id for whatever was computed from it, and gives its recipe up to the one that is there now.
    """
    if not pruned_at(connection, [version_id]):
        return version_id
    of_version = versions.c.id == version_id
    if connection.scalar(sa.select(versions.c.content).where(of_version)) != again.content:
        connection.execute(sa.update(versions).where(of_version).values(recipe=f"{again.recipe}-{version_id}"))
        return None
    took = {"computed_at": ticks(again.computed_at), "seconds": again.seconds}
    connection.execute(sa.update(versions).where(of_version).values(took))
    is_pruned = (prunings.c.version_id == version_id) & prunings.c.revived_at.is_(None)
    connection.execute(sa.update(prunings).where(is_pruned).values(revived_at=ticks(now())))
    return version_id
