"""Observations: the files seen in the landing zone, and the shards they were decoded into. Part of the ledger."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from spam_pipeline.protocol.ledger.records import Observation, StoredFile
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
                for row in connection.execute(sa.select(observations).where(observations.c.id.in_(some)))
            }

    def last(self, paths: Collection[str]) -> dict[str, Observation]:
        """The last observation of each of these paths; absent if there was none."""
        with self._engine.connect() as connection:
            return {item.path: item for some in in_batches(paths) for item in last_observations(connection, paths=some)}

    def record(self, seen: Sequence[Observation]) -> None:
        """Add a batch of observations, except those that another process has added meanwhile."""
        with writing(self._engine) as connection:
            before = last_observations(connection, [item.path for item in seen])
            known = {_what_was_seen(item) for item in before}
            new = [item for item in seen if _what_was_seen(item) not in known]
            if new:
                connection.execute(sa.insert(observations), [row_of_observation(item) for item in new])

    def after(self, observation_id: int, limit: int) -> list[Observation]:
        """The observations after a given one, oldest first."""
        query = sa.select(observations).where(observations.c.id > observation_id).order_by(observations.c.id)
        with self._engine.connect() as connection:
            return [observation_of(row) for row in connection.execute(query.limit(limit))]

    def shard(self, recipe: str) -> dict[str, tuple[StoredFile, ...]] | None:
        """The files, by part, that one landed file was decoded into under this recipe; None if it was not yet."""
        with self._engine.connect() as connection:
            files = connection.scalar(sa.select(shards.c.files).where(shards.c.recipe == recipe))
        return None if files is None else {part: files_of(items) for part, items in files.items()}

    def record_shard(self, recipe: str, stage: str, path: str, files: Mapping[str, Iterable[StoredFile]]) -> None:
        """Record the files that a landed file was decoded into; the same shard again changes nothing."""
        row = {
            "recipe": recipe,
            "stage": stage,
            "path": path,
            "files": {part: listed(made) for part, made in files.items()},
            "decoded_at": ticks(now()),
        }
        with writing(self._engine) as connection:
            if connection.scalar(sa.select(shards.c.recipe).where(shards.c.recipe == recipe)) is None:
                connection.execute(sa.insert(shards), row)


def _what_was_seen(item: Observation) -> tuple[object, ...]:
    """Everything of an observation but its time and its id."""
    return item.source, item.partition, item.path, item.digest, item.size, item.marker
