"""Conversion of the ledger's rows to records and back, and small queries. The caller has begun the transaction."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.records import Attempts, Observation, Position, Publication, StoredFile, Trigger
from spam_pipeline.protocol.ledger.tables import (
    attempts,
    audits,
    completions,
    decisions,
    failures,
    observations,
    prunings,
    publications,
    versions,
)

T = TypeVar("T")


def _attempts_of() -> sa.Select[Any]:
    failed = failures.c.failed_at > sa.func.coalesce(versions.c.computed_at, 0)
    died = failures.c.attempt_id.is_(None) & versions.c.id.is_(None) & completions.c.attempt_id.is_(None)
    counted = (
        sa.select(sa.func.count().label("tries"), sa.func.max(attempts.c.id).label("last_id"))
        .join(failures, failures.c.attempt_id == attempts.c.id, isouter=True)
        .join(completions, completions.c.attempt_id == attempts.c.id, isouter=True)
        .join(versions, versions.c.recipe == attempts.c.recipe, isouter=True)
        .where(attempts.c.recipe.in_(sa.bindparam("recipes", expanding=True)), failed | died)
        .group_by(attempts.c.recipe)
        .subquery()
    )
    last_at = sa.func.coalesce(failures.c.failed_at, attempts.c.began_at)
    return (
        sa.select(attempts.c.recipe, counted.c.tries, last_at, failures.c.error)
        .join(counted, counted.c.last_id == attempts.c.id)
        .join(failures, failures.c.attempt_id == attempts.c.id, isouter=True)
    )


# Statements that every partition needs are put together once: doing so each time took 30 % of the CPU time of a small convergence.
_ATTEMPTS_OF = _attempts_of()
_LAST_POSITION = sa.select(
    *(
        sa.select(sa.func.max(table.c.id)).scalar_subquery()
        for table in (observations, versions, audits, publications, decisions, prunings)
    )
)


def attempts_of(connection: Connection, recipes: Collection[str]) -> Iterable[tuple[str, Attempts]]:
    """The tries of recipes that failed since their version, if any, was computed, or whose process died without making one."""
    for recipe, tries, last_at, error in connection.execute(_ATTEMPTS_OF, {"recipes": list(recipes)}):
        yield recipe, Attempts(tries, moment(last_at), error)


def last_position(connection: Connection) -> Position:
    """The ledger's last position at this moment."""
    return Position(*(number or 0 for number in connection.execute(_LAST_POSITION).one()))


def last_observations(
    connection: Connection, paths: Collection[str] | None = None, after: int = 0, until: int | None = None
) -> list[Observation]:
    """The last observation of every path, or of some (as many as one query takes), made after one and up to another; by path."""
    last = sa.select(sa.func.max(observations.c.id)).where(observations.c.id > after).group_by(observations.c.path)
    if until is not None:
        last = last.where(observations.c.id <= until)
    if paths is not None:
        last = last.where(observations.c.path.in_(paths))
    query = sa.select(observations).where(observations.c.id.in_(last)).order_by(observations.c.path)
    return [observation_of(row) for row in connection.execute(query)]


def row_of_observation(item: Observation) -> dict[str, Any]:
    """A record as a row."""
    return {
        "source": item.source,
        "partition": item.partition,
        "path": item.path,
        "digest": item.digest,
        "size": item.size,
        "marker": item.marker,
        "observed_at": ticks(item.observed_at),
    }


def observation_of(row: Any) -> Observation:
    """A row as a record."""
    return Observation(
        row.source, row.partition, row.path, row.digest, row.size, row.marker, moment(row.observed_at), row.id
    )


def publication_of(row: Any) -> Publication:
    """A row as a record."""
    trigger = Trigger(row.run, row.action, row.cause)
    return Publication(
        row.id, row.environment, row.stage, row.partition, row.version_id, trigger, moment(row.published_at)
    )


def files_of(items: Iterable[tuple[str, int, int]]) -> tuple[StoredFile, ...]:
    """Stored files from their listing."""
    return tuple(StoredFile(*item) for item in items)


def listed(files: Iterable[StoredFile]) -> list[tuple[str, int, int]]:
    """Stored files as a row keeps them."""
    return [(file.path, file.rows, file.bytes) for file in files]


def in_batches(ids: Collection[T]) -> Iterable[list[T]]:
    """Ids, digests or rows in lists that a database takes in one query."""
    ordered = list(ids)
    return (ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH))


_BATCH = 10_000
"""Ids in one IN list: below SQLite's 32,766 variables and PostgreSQL's 65,535."""


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def ticks(when: datetime) -> int:
    """Microseconds since 1970, exact in every database."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """The moment that `ticks` turned into a number."""
    return _EPOCH + timedelta(microseconds=at)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
