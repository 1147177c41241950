"""The ledger's pointers: the version that each partition of an environment points at, and moving a pointer.

The last publication is current, so moving a pointer is adding one. The caller has begun the transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.prunings import PRUNED, require_unpruned
from spam_pipeline.protocol.ledger.records import DROPPED, PRODUCTION, PartSummary, Publication, Trigger, VersionSummary
from spam_pipeline.protocol.ledger.rows import in_batches, now, publication_of, ticks
from spam_pipeline.protocol.ledger.tables import parts, publications, versions


def pointers(environment: str, as_of: datetime | None = None) -> Any:
    """A query for the last publication of every stage and partition that an environment has a pointer of its own for."""
    latest = sa.select(sa.func.max(publications.c.id)).where(publications.c.environment == environment)
    if as_of is not None:
        latest = latest.where(publications.c.published_at <= ticks(as_of))
    latest = latest.group_by(publications.c.stage, publications.c.partition)
    return sa.select(publications).where(publications.c.id.in_(latest), publications.c.action != DROPPED)


# Statements that every partition needs are put together once, see `rows`.
_SUMMARIES = (
    sa.select(
        versions.c.id,
        versions.c.recipe,
        versions.c.code_version,
        versions.c.content,
        parts.c.name,
        parts.c.content,
        parts.c.rows,
        parts.c.is_side_part,
    )
    .select_from(versions)
    .join(parts, parts.c.version_id == versions.c.id, isouter=True)
    .order_by(versions.c.id, parts.c.name)
)
_SUMMARIES_OF_RECIPES = _SUMMARIES.where(
    versions.c.recipe.in_(sa.bindparam("recipes", expanding=True)), versions.c.id.not_in(PRUNED)
)
_SUMMARIES_OF_IDS = _SUMMARIES.where(versions.c.id.in_(sa.bindparam("ids", expanding=True)))
_POINTER = sa.select(
    publications.c.environment,
    publications.c.stage,
    publications.c.partition,
    publications.c.version_id,
    publications.c.action,
)
_EVERY_POINTER = _POINTER.where(
    publications.c.id.in_(
        sa.select(sa.func.max(publications.c.id))
        .where(publications.c.environment.in_(sa.bindparam("environments", expanding=True)))
        .group_by(publications.c.environment, publications.c.stage, publications.c.partition)
    )
)
_SUMMARIES_OF_POINTERS = _SUMMARIES.where(versions.c.id.in_(sa.select(_EVERY_POINTER.subquery().c.version_id)))
# By id alone: asked for an environment too, SQLite went through all publications of it, which took 14 ms for those of ten years.
_PUBLISHED_AFTER = _POINTER.where(publications.c.id > sa.bindparam("after")).order_by(publications.c.id)
_LAST_OF_PLACE = (
    sa.select(publications)
    .where(
        publications.c.environment == sa.bindparam("environment"),
        publications.c.stage == sa.bindparam("stage"),
        publications.c.partition == sa.bindparam("partition"),
    )
    .order_by(publications.c.id.desc())
    .limit(1)
)
_ADD = sa.insert(publications).returning(publications)


def moved(
    connection: Connection, environments: Collection[str], after: int
) -> tuple[dict[str, dict[str, dict[str, VersionSummary | None]]], list[tuple[str, str, str]]]:
    """The pointers that were set after a publication, by environment, stage and partition, as `published_of` has them.

    With them, environment, stage and partition of those that were given up since and not set again.
    """
    if after:
        added = connection.execute(_PUBLISHED_AFTER, {"after": after}).all()
        rows = list({row[:3]: row for row in added if row.environment in environments}.values())
        ids = {row.version_id for row in rows if row.version_id is not None}
        by_id = {key: item for some in in_batches(ids) for key, item in versions_of(connection, some).items()}
    else:
        asked = {"environments": list(environments)}
        rows = list(connection.execute(_EVERY_POINTER, asked).all())
        by_id = _by_id(connection, _SUMMARIES_OF_POINTERS, asked)
    found: dict[str, dict[str, dict[str, VersionSummary | None]]] = {name: defaultdict(dict) for name in environments}
    given_up = []
    for name, stage, partition, version_id, action in rows:
        if action == DROPPED:
            given_up.append((name, stage, partition))
        else:
            found[name][stage][partition] = by_id.get(version_id)
    return found, given_up


def published_of(connection: Connection, found: Any) -> dict[str, dict[str, VersionSummary | None]]:
    """The versions behind some publications, by stage and partition, without files; None for a retraction."""
    current = found.subquery()
    by_id = _by_id(connection, _SUMMARIES.where(versions.c.id.in_(sa.select(current.c.version_id))), {})
    published: dict[str, dict[str, VersionSummary | None]] = defaultdict(dict)
    for stage, partition, version_id in connection.execute(
        sa.select(current.c.stage, current.c.partition, current.c.version_id)
    ).all():
        published[stage][partition] = by_id.get(version_id)
    return published


def made_of(connection: Connection, recipes: Collection[str]) -> Iterable[VersionSummary]:
    """The versions of some recipes, without files; pruned ones are not among them."""
    return _by_id(connection, _SUMMARIES_OF_RECIPES, {"recipes": list(recipes)}).values()


def versions_of(connection: Connection, ids: Collection[int]) -> dict[int, VersionSummary]:
    """The versions with these ids, without files."""
    return _by_id(connection, _SUMMARIES_OF_IDS, {"ids": list(ids)})


def _by_id(connection: Connection, summaries: Any, values: Mapping[str, Any]) -> dict[int, VersionSummary]:
    """The versions of a query for summaries with some values, by id, their parts in the order of their names."""
    found: dict[int, VersionSummary] = {}
    for version_id, recipe, code_version, content, name, part_content, rows, is_side_part in connection.execute(
        summaries, values
    ).all():
        part: tuple[PartSummary, ...] = () if name is None else (PartSummary(name, part_content, rows),)
        before = found.get(version_id)
        own, side = (before.parts, before.side_parts) if before else ((), ())
        own, side = (own, side + part) if is_side_part else (own + part, side)
        found[version_id] = VersionSummary(version_id, recipe, code_version, content, own, side)
    return found


class Place(NamedTuple):
    """The owner of a pointer: a partition of a stage, in an environment."""

    environment: str
    stage: str
    partition: str


def pointer(connection: Connection, place: Place, as_of: datetime | None = None) -> Publication | None:
    """The current publication for readers of a place: its environment's own, otherwise production's."""
    query = _LAST_OF_PLACE if as_of is None else _LAST_OF_PLACE.where(publications.c.published_at <= ticks(as_of))
    for name in dict.fromkeys((place.environment, PRODUCTION)):
        found = connection.execute(query, place._replace(environment=name)._asdict()).first()
        if found is not None and found.action != DROPPED:
            return publication_of(found)
    return None


def publish(connection: Connection, place: Place, version_id: int | None, trigger: Trigger) -> Publication | None:
    """Point a place at a version, or at none; return None when its readers are there already. Raises `Pruned`."""
    current = pointer(connection, place)
    if (current.version_id if current else None) == version_id:
        return None
    return _add(connection, place, version_id, trigger)


def fall_back(
    connection: Connection, place: Place, version_id: int, fall_back_to: int | None, trigger: Trigger
) -> None:
    """Point a place at another version, or at none, if it points at this one. Raises `Pruned`."""
    current = pointer(connection, place)
    if current is not None and current.version_id == version_id:
        _add(connection, place, fall_back_to, trigger)


def pointed_at(connection: Connection, place: Place) -> list[int]:
    """The ids of the versions that a place pointed at since it was last retracted, the last one first.

    The environment's own, since it last gave its pointer up, come before production's.
    """
    found: list[int] = []
    for name in dict.fromkeys((place.environment, PRODUCTION)):
        rows = connection.execute(_LAST_OF_PLACE.limit(None), place._replace(environment=name)._asdict()).all()
        since = list(takewhile(lambda row: row.version_id is not None, rows))
        found += [row.version_id for row in since]
        if len(since) < len(rows) and rows[len(since)].action != DROPPED:
            break
    return list(dict.fromkeys(found))


def _add(connection: Connection, place: Place, version_id: int | None, trigger: Trigger) -> Publication:
    if version_id is not None:
        require_unpruned(connection, [version_id])
    row = {**place._asdict(), "version_id": version_id, **trigger._asdict(), "published_at": ticks(now())}
    return publication_of(connection.execute(_ADD, row).one())
