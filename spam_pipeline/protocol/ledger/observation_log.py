"""Observations: the files seen in the landing zone, and the shards they were decoded into. Part of the ledger."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.records import KnownState, Observation, SeenFile, StoredFile
from spam_pipeline.protocol.ledger.rows import (
    files_of,
    in_batches,
    last_observations,
    listed,
    now,
    observation_of,
    row_of_observation,
    ticks,
)
from spam_pipeline.protocol.ledger.tables import observations, shards, writing

_BY_ID = sa.select(observations).where(observations.c.id.in_(sa.bindparam("ids", expanding=True)))
_SHARD = sa.select(shards.c.files).where(shards.c.recipe == sa.bindparam("recipe"))
_ADD, _ADD_SHARD = sa.insert(observations), sa.insert(shards)


class ObservationLog:
    """The observations in a ledger's database, and the shards that observed files were decoded into."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def by_id(self, ids: Collection[int]) -> dict[int, Observation]:
        """Observations by id, superseded ones included."""
        with self._engine.connect() as connection:
            return {
                row.id: observation_of(row)
                for some in in_batches(ids)
                for row in connection.execute(_BY_ID, {"ids": some})
            }

    def last(self, paths: Collection[str], until: int | None = None) -> dict[str, Observation]:
        """The last observation of each of these paths, up to an id if one is given; absent if there was none."""
        with self._engine.connect() as connection:
            return {
                item.path: item
                for some in in_batches(paths)
                for item in last_observations(connection, paths=some, until=until)
            }

    def added(self, after: int, until: int) -> list[Observation]:
        """The last observation of every path that was observed after one id and up to another, files that have gone included."""
        with self._engine.connect() as connection:
            return last_observations(connection, after=after, until=until)

    def every_file(self, until: int) -> Iterator[list[SeenFile]]:
        """The files that are there by the observations up to an id, ordered by path, in batches: there may be millions."""
        with self._engine.connect() as connection:
            columns = (getattr(observations.c, name) for name in SeenFile._fields)
            query = _there(connection, columns, until).execution_options(yield_per=_ROWS)
            for rows in connection.execute(query).partitions():
                yield [SeenFile(*row) for row in rows]

    def files(self, source: str, partition: str, paths: tuple[str, str], until: int) -> list[Observation]:
        """The files of a partition that are there by the observations up to an id, ordered by path.

        `paths` are the first and the last that they can have: the ledger finds paths, not partitions, without reading everything.
        """
        with self._engine.connect() as connection:
            path = _bytewise(connection)
            query = _there(connection, observations.c, until).where(
                path >= paths[0],
                path <= paths[1],
                observations.c.source == source,
                observations.c.partition == partition,
            )
            return [observation_of(row) for row in connection.execute(query)]

    def below(self, folder: str) -> dict[str, KnownState]:
        """The state of the files below a folder that are there by their last observation, by path; of all files for no folder."""
        with self._engine.connect() as connection:
            path = _bytewise(connection)
            columns = (getattr(observations.c, name) for name in ("path", *KnownState._fields))
            query = _there(connection, columns)
            if folder:
                query = query.where(path > f"{folder}/", path < folder + _AFTER_SLASH)
            return {seen: KnownState(*state) for seen, *state in connection.execute(query)}

    def of_source(self, source: str) -> list[Observation]:
        """The files of a source that are there by their last observation, ordered by path. Reads all observations."""
        with self._engine.connect() as connection:
            query = _there(connection, observations.c).where(observations.c.source == source)
            return [observation_of(row) for row in connection.execute(query)]

    def record(self, seen: Sequence[Observation]) -> None:
        """Add a batch of observations, except those that another process has added meanwhile."""
        with writing(self._engine) as connection:
            before = last_observations(connection, [item.path for item in seen])
            known = {_what_was_seen(item) for item in before}
            new = [item for item in seen if _what_was_seen(item) not in known]
            if new:
                connection.execute(_ADD, [row_of_observation(item) for item in new])

    def after(self, observation_id: int, limit: int) -> list[Observation]:
        """The observations after a given one, oldest first."""
        query = sa.select(observations).where(observations.c.id > observation_id).order_by(observations.c.id)
        with self._engine.connect() as connection:
            return [observation_of(row) for row in connection.execute(query.limit(limit))]

    def shard(self, recipe: str) -> dict[str, tuple[StoredFile, ...]] | None:
        """The files, by part, that the landed files of this recipe were decoded into; None if they were not yet."""
        with self._engine.connect() as connection:
            files = connection.scalar(_SHARD, {"recipe": recipe})
        return None if files is None else {part: files_of(items) for part, items in files.items()}

    def record_shard(self, recipe: str, stage: str, path: str, files: Mapping[str, Iterable[StoredFile]]) -> None:
        """Record the files that landed files were decoded into, of which `path` is the first; the same shard again changes nothing."""
        row = {
            "recipe": recipe,
            "stage": stage,
            "path": path,
            "files": {part: listed(made) for part, made in files.items()},
            "decoded_at": ticks(now()),
        }
        with writing(self._engine) as connection:
            if connection.scalar(_SHARD, {"recipe": recipe}) is None:
                connection.execute(_ADD_SHARD, row)


_ROWS = 10_000
"""Rows of one batch: enough that a batch costs nothing, few enough that it takes no memory."""

_AFTER_SLASH = chr(ord("/") + 1)
"""In the order of bytes, what lies in a folder is between its name with a slash and its name with the character after it."""


_LATER = observations.alias()


def _bytewise(connection: Connection) -> sa.ColumnElement[str]:
    """The path in the order of bytes: SQLite has no other one, PostgreSQL's own order is that of a language."""
    path = observations.c.path
    return path.collate("C") if connection.dialect.name == "postgresql" else path


def _there(connection: Connection, columns: Iterable[sa.Column[Any]], until: int | None = None) -> sa.Select[Any]:
    """The last observation of every path, up to an id if one is given, where the file is there; ordered by path.

    SQLite answers it along the index of paths, without sorting and without holding more than a row.
    """
    is_superseded = sa.exists().where(_LATER.c.path == observations.c.path, _LATER.c.id > observations.c.id)
    query = sa.select(*columns).where(observations.c.digest.is_not(None))
    if until is not None:
        is_superseded = is_superseded.where(_LATER.c.id <= until)
        query = query.where(observations.c.id <= until)
    return query.where(~is_superseded).order_by(_bytewise(connection))


def _what_was_seen(item: Observation) -> tuple[object, ...]:
    """Everything of an observation but its time and its id."""
    return item.source, item.partition, item.path, item.digest, item.size, item.marker
