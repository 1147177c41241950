"""Environments as a whole: the pointers that one has of its own, carrying them over to production, and giving them up.

The caller has begun the transaction.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.foundation.errors import NotPromoted
from spam_pipeline.protocol.ledger.pointers import pointers
from spam_pipeline.protocol.ledger.prunings import require_unpruned
from spam_pipeline.protocol.ledger.records import DROPPED, PRODUCTION, EnvironmentSummary, Publication, Trigger
from spam_pipeline.protocol.ledger.rows import moment, now, publication_of, ticks
from spam_pipeline.protocol.ledger.tables import publications

Pointers = Mapping[tuple[str, str], int | None]
"""Version ids by stage and partition, None for a retraction."""


def own(connection: Connection, environment: str) -> dict[tuple[str, str], int | None]:
    """The pointers of an environment's own; elsewhere it reads through to production."""
    current = pointers(environment).subquery()
    rows = connection.execute(sa.select(current.c.stage, current.c.partition, current.c.version_id))
    return {(stage, partition): version_id for stage, partition, version_id in rows}


def summaries(connection: Connection) -> list[EnvironmentSummary]:
    """Every environment that something was ever published in, by name."""
    names = sa.select(publications.c.environment).distinct().order_by(publications.c.environment)
    production = own(connection, PRODUCTION)
    return [_summary(connection, name, production) for name in connection.scalars(names).all()]


def _summary(connection: Connection, name: str, production: Pointers) -> EnvironmentSummary:
    rows = connection.execute(pointers(name)).all()
    times = [moment(row.published_at) for row in rows]
    differing = sum(row.version_id != production.get((row.stage, row.partition)) for row in rows)
    return EnvironmentSummary(name, len(rows), differing, min(times, default=None), max(times, default=None))


def promote(
    connection: Connection, environment: str, promoted: Pointers, trigger: Trigger, seen: Pointers
) -> list[Publication]:
    """Point production at what is promoted, where it does not point there yet; the environment gives up its own pointers to that.

    Raises `NotPromoted` when production points neither there nor where it was `seen` to point, and `Pruned`.
    """
    current, given_up = own(connection, PRODUCTION), own(connection, environment).items() & promoted.items()
    elsewhere = [place for place, version_id in seen.items() if current.get(place) not in {version_id, promoted[place]}]
    if elsewhere:
        rest = f" and {len(elsewhere) - 1} more" if len(elsewhere) > 1 else ""
        raise NotPromoted(
            f"{PRODUCTION} has published something else of {' '.join(elsewhere[0])}{rest} meanwhile: promote again to see what "
            "that would change now"
        )
    moved = {place: version_id for place, version_id in promoted.items() if current.get(place) != version_id}
    require_unpruned(connection, [version_id for version_id in moved.values() if version_id is not None])
    added = _add(connection, PRODUCTION, moved, trigger)
    drop(connection, environment, (place for place, _ in given_up), trigger)
    return added


def drop(connection: Connection, environment: str, places: Iterable[tuple[str, str]], trigger: Trigger) -> int:
    """Give up some of an environment's own pointers; return how many."""
    given_up = dict.fromkeys(sorted(places))
    return len(_add(connection, environment, given_up, trigger._replace(action=DROPPED)))


def _add(connection: Connection, environment: str, moved: Pointers, trigger: Trigger) -> list[Publication]:
    row = {"environment": environment, **trigger._asdict(), "published_at": ticks(now())}
    rows = [
        {"stage": stage, "partition": partition, "version_id": version_id, **row}
        for (stage, partition), version_id in moved.items()
    ]
    if not rows:
        return []
    last = connection.scalar(sa.select(sa.func.max(publications.c.id))) or 0
    connection.execute(sa.insert(publications), rows)
    added = sa.select(publications).where(publications.c.id > last).order_by(publications.c.id)
    return [publication_of(row) for row in connection.execute(added)]
