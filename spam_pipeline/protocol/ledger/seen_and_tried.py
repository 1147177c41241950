"""What is seen and tried before there is a version: observations, shards, attempts and code versions."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from spam_pipeline.protocol.code_version import CodeVersion
from spam_pipeline.protocol.ledger.rows import (
    attempts_of,
    files_of,
    in_batches,
    last_observations,
    listed,
    now,
    observation_of,
    row_of_observation,
    ticks,
)
from spam_pipeline.protocol.ledger.tables import (
    attempts,
    code_versions,
    completions,
    connect,
    failures,
    layout,
    observations,
    shards,
    writing,
)
from spam_pipeline.protocol.records import Attempts, Observation, StoredFile


class SeenAndTried:
    """The part of a ledger that knows of no version."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        with self._engine.connect() as connection:
            self.identity: str = connection.execute(sa.select(layout.c.identity)).scalar_one()

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()

    # Observations and shards

    def observed(self, ids: Collection[int]) -> dict[int, Observation]:
        """Observations by id, whatever was observed of their paths since."""
        with self._engine.connect() as connection:
            return {
                row.id: observation_of(row)
                for some in in_batches(ids)
                for row in connection.execute(sa.select(observations).where(observations.c.id.in_(some)))
            }

    def record_observations(self, seen: Sequence[Observation]) -> None:
        """Add a batch of what was seen, except what another process has seen meanwhile."""
        with writing(self._engine) as connection:
            before = last_observations(connection, [item.path for item in seen])
            known = {(item.path, item.digest, item.size, item.marker) for item in before}
            new = [item for item in seen if (item.path, item.digest, item.size, item.marker) not in known]
            if new:
                connection.execute(sa.insert(observations), [row_of_observation(item) for item in new])

    def observations_after(self, observation_id: int, limit: int) -> list[Observation]:
        """What was observed after an observation, oldest first."""
        query = sa.select(observations).where(observations.c.id > observation_id).order_by(observations.c.id)
        with self._engine.connect() as connection:
            return [observation_of(row) for row in connection.execute(query.limit(limit))]

    def shard(self, recipe: str) -> dict[str, tuple[StoredFile, ...]] | None:
        """The files, by part, that one landed file was decoded into under this recipe."""
        with self._engine.connect() as connection:
            files = connection.scalar(sa.select(shards.c.files).where(shards.c.recipe == recipe))
        return None if files is None else {part: files_of(items) for part, items in files.items()}

    def record_shard(self, recipe: str, stage: str, path: str, files: Mapping[str, Iterable[StoredFile]]) -> None:
        """Remember what a landed file was decoded into; the same shard again changes nothing."""
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

    # Attempts

    def begin(self, recipe: str, stage: str, partition: str, run: str | None = None) -> int:
        """Note that a recipe is being tried, and return the attempt's id. A process that dies leaves nothing but this."""
        row = {"recipe": recipe, "stage": stage, "partition": partition, "run": run, "began_at": ticks(now())}
        with writing(self._engine) as connection:
            return int(connection.execute(sa.insert(attempts).returning(attempts.c.id), row).scalar_one())

    def fail(self, attempt_id: int, error: str) -> None:
        """Note what an attempt failed with."""
        with writing(self._engine) as connection:
            connection.execute(
                sa.insert(failures), {"attempt_id": attempt_id, "error": error, "failed_at": ticks(now())}
            )

    def complete(self, attempt_id: int) -> None:
        """Note that an attempt that makes no version ended well."""
        with writing(self._engine) as connection:
            connection.execute(sa.insert(completions), {"attempt_id": attempt_id, "completed_at": ticks(now())})

    def attempts(self, recipes: Collection[str]) -> dict[str, Attempts]:
        """How often each of these recipes was tried; absent if never."""
        with self._engine.connect() as connection:
            return {recipe: found for some in in_batches(recipes) for recipe, found in attempts_of(connection, some)}

    # Code

    def remember_code(self, code: CodeVersion) -> None:
        """Keep what a code version consists of, so that a later one can be compared with it."""
        row = {
            "digest": code.digest,
            "definitions": dict(code.definitions),
            "libraries": dict(code.libraries),
            "recorded_at": ticks(now()),
        }
        with writing(self._engine) as connection:
            if (
                connection.scalar(sa.select(code_versions.c.digest).where(code_versions.c.digest == code.digest))
                is None
            ):
                connection.execute(sa.insert(code_versions), row)

    def code(self, digests: Collection[str]) -> dict[str, CodeVersion]:
        """What these code versions consist of; absent if nothing was ever computed by them."""
        with self._engine.connect() as connection:
            return {
                row.digest: CodeVersion(row.digest, row.definitions, row.libraries)
                for some in in_batches(digests)
                for row in connection.execute(sa.select(code_versions).where(code_versions.c.digest.in_(some)))
            }
