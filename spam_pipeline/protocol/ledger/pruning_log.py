"""Prunings: which versions retention has given up, when and why; and who has which file of the store. Part of the ledger.

What is given up is decided by whoever prunes, inside the transaction that records it: no writer moves a pointer in between.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.layouts import give_back_room
from spam_pipeline.protocol.ledger.prunings import PRUNED, add_prunings, pruned_at, pruned_text
from spam_pipeline.protocol.ledger.records import DROPPED, StoredFile, Verdict
from spam_pipeline.protocol.ledger.rows import files_of, in_batches, moment, now, ticks
from spam_pipeline.protocol.ledger.tables import (
    attempts,
    audits,
    completions,
    deliveries,
    failures,
    parts,
    prunings,
    publications,
    shards,
    versions,
    writing,
)

_ATTEMPT_LASTS = timedelta(days=1)
"""The time after which an attempt that reported no end is one whose process died."""


class UnprunedVersion(NamedTuple):
    """A version that is not pruned, as retention looks at it; `is_refused` is the verdict of its last audit."""

    id: int
    partition: str
    recipe: str
    code_version: str
    is_refused: bool


class PointerMove(NamedTuple):
    """A publication as retention looks at it: the version that an environment's partition points at from then on, None for none."""

    environment: str
    partition: str
    version_id: int | None
    is_dropped: bool
    published_at: datetime


@dataclass(frozen=True)
class StageHistory:
    """What retention decides from about one stage: its versions and the moves of its pointers, oldest first."""

    versions: tuple[UnprunedVersion, ...]
    moves: tuple[PointerMove, ...]


@dataclass(frozen=True)
class Shard:
    """Files that landed files were decoded into, by part."""

    recipe: str
    files: Mapping[str, tuple[StoredFile, ...]]
    decoded_at: datetime

    @property
    def paths(self) -> set[str]:
        """The paths of its files."""
        return {file.path for made in self.files.values() for file in made}


class Owned(NamedTuple):
    """The files of some partitions that somebody has, and the partitions in which somebody may be writing at this moment."""

    files: set[str]
    busy: set[str]


class PruningLog:
    """The prunings in a ledger's database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def of(self, version_ids: Collection[int]) -> dict[int, datetime]:
        """The time at which versions were pruned, by id; absent for those that are not pruned."""
        with self._engine.connect() as connection:
            return pruned_at(connection, version_ids)

    def of_file(self, path: str) -> str | None:
        """How messages say that whatever had a file is pruned; None when some version has it, or none ever had it."""
        _, stage, partition, _ = path.split("/")
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(versions.c.id, versions.c.recipe, parts.c.files)
                .join(parts, parts.c.version_id == versions.c.id)
                .where(versions.c.stage == stage, versions.c.partition == partition)
            ).all()
            having = {row.id: row.recipe for row in rows if path in {file.path for file in files_of(row.files)}}
            gone = pruned_at(connection, having)
        newest = max(gone, default=None)
        return pruned_text(having[newest], gone[newest]) if newest and len(gone) == len(having) else None

    def are_since_delivery(self, environment: str, stage: str) -> bool:
        """Return True if anything was pruned since a stage of an environment was last delivered."""
        last = sa.select(sa.func.max(prunings.c.pruned_at)).scalar_subquery()
        delivered = sa.select(sa.func.max(deliveries.c.delivered_at)).where(
            deliveries.c.environment == environment, deliveries.c.stage == stage
        )
        with self._engine.connect() as connection:
            pruned, at = connection.execute(sa.select(last, delivered.scalar_subquery())).one()
        return pruned is not None and at is not None and pruned > at

    def stages(self) -> list[tuple[str, str]]:
        """Context and name of every stage that has a version, in order."""
        query = (
            sa.select(versions.c.context, versions.c.stage).distinct().order_by(versions.c.context, versions.c.stage)
        )
        with self._engine.connect() as connection:
            return [(context, stage) for context, stage in connection.execute(query)]

    def history(self, stage: str) -> StageHistory:
        """What retention decides from about a stage."""
        with self._engine.connect() as connection:
            return _history(connection, stage)

    def prune(self, stage: str, choose: Callable[[StageHistory], Collection[int]], cause: str) -> list[int]:
        """Prune the versions of a stage that are chosen, in one transaction, and return their ids."""
        with writing(self._engine) as connection:
            chosen = sorted(choose(_history(connection, stage)))
            if chosen:
                add_prunings(connection, chosen, cause)
            return chosen

    def prune_unpublished(self, version_ids: Collection[int], cause: str) -> tuple[list[int], list[int]]:
        """Prune versions unless some environment publishes them; return those that are pruned then, and those that are published."""
        with writing(self._engine) as connection:
            published = {item for item in _published(connection) if item in set(version_ids)}
            gone = set(version_ids) - published
            new = gone - pruned_at(connection, gone).keys()
            if new:
                add_prunings(connection, new, cause)
            return sorted(gone), sorted(published)

    def pruned_files(self, stage: str, partitions: Collection[str]) -> set[str]:
        """The files of the versions of some partitions that are pruned."""
        with self._engine.connect() as connection:
            return {
                file.path
                for some in in_batches(partitions)
                for listed in connection.scalars(
                    sa.select(parts.c.files)
                    .join(versions, versions.c.id == parts.c.version_id)
                    .where(versions.c.stage == stage, versions.c.partition.in_(some), _IS_PRUNED)
                )
                for file in files_of(listed)
            }

    def version_files(self, stage: str, pruned_since: datetime | None = None) -> set[str]:
        """The files that versions of a stage have which are not pruned, or were not before a time."""
        with self._engine.connect() as connection:
            return _files(connection, stage, None, pruned_since)

    def stage_files(self, stage: str) -> dict[int, list[StoredFile]]:
        """The files of each version of a stage that is not pruned."""
        query = sa.select(parts.c.version_id, parts.c.files).join(versions, versions.c.id == parts.c.version_id)
        found: dict[int, list[StoredFile]] = {}
        with self._engine.connect() as connection:
            for version_id, files in connection.execute(query.where(versions.c.stage == stage, ~_IS_PRUNED)):
                found.setdefault(version_id, []).extend(files_of(files))
        return found

    def shards(self, stage: str) -> list[Shard]:
        """The shards of a stage."""
        with self._engine.connect() as connection:
            return list(_shards(connection, stage))

    def forget_shards(self, stage: str, choose: Callable[[Shard, set[str]], bool]) -> list[Shard]:
        """Remove the shards of a stage that are chosen, given the files that its versions have which are not pruned; return them."""
        with writing(self._engine) as connection:
            every = list(_shards(connection, stage))
            kept = _files(connection, stage, None, None) if every else set()
            chosen = [shard for shard in every if choose(shard, kept)]
            for some in in_batches([shard.recipe for shard in chosen]):
                connection.execute(sa.delete(shards).where(shards.c.recipe.in_(some)))
            return chosen

    @contextmanager
    def still(self, stage: str, partitions: Collection[str], pruned_since: datetime | None) -> Iterator[Owned]:
        """Let nobody begin to write or publish meanwhile; yield what shards and versions have, those included that were pruned lately.

        Whoever computes begins an attempt before the first file is written, so what lies there and is neither owned nor in a busy
        partition can be deleted inside the block: a writer that comes later does not find it, and writes it.
        """
        with writing(self._engine) as connection:
            decoded = {path for shard in _shards(connection, stage) for path in shard.paths}
            owned = decoded | _files(connection, stage, partitions, pruned_since)
            yield Owned(owned, _busy(connection, stage, partitions))

    def compact(self, least_free: float = 0.0) -> None:
        """Give the room of removed rows back if that is a share of the file, and leave nothing of them in it.

        SQLite only: PostgreSQL's own vacuum does that by itself.
        """
        if self._engine.dialect.name != "sqlite":
            return
        with self._engine.connect() as connection:
            free, pages = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("freelist_count", "page_count")
            )
        if free >= least_free * pages:
            give_back_room(self._engine)


_IS_PRUNED = versions.c.id.in_(PRUNED)


def _history(connection: Connection, stage: str) -> StageHistory:
    last = (
        sa.select(sa.func.max(audits.c.id))
        .join(versions, versions.c.id == audits.c.version_id)
        .where(versions.c.stage == stage)
        .group_by(audits.c.version_id)
    )
    verdicts = sa.select(audits.c.version_id, audits.c.verdict).where(audits.c.id.in_(last)).subquery()
    known = (
        sa.select(versions.c.id, versions.c.partition, versions.c.recipe, versions.c.code_version, verdicts.c.verdict)
        .join(verdicts, verdicts.c.version_id == versions.c.id, isouter=True)
        .where(versions.c.stage == stage, ~_IS_PRUNED)
        .order_by(versions.c.id)
    )
    moves = sa.select(publications).where(publications.c.stage == stage).order_by(publications.c.id)
    return StageHistory(
        tuple(
            UnprunedVersion(row.id, row.partition, row.recipe, row.code_version, row.verdict == Verdict.REFUSED.value)
            for row in connection.execute(known)
        ),
        tuple(
            PointerMove(row.environment, row.partition, row.version_id, row.action == DROPPED, moment(row.published_at))
            for row in connection.execute(moves)
        ),
    )


def _published(connection: Connection) -> Iterable[int]:
    last = sa.select(sa.func.max(publications.c.id)).group_by(
        publications.c.environment, publications.c.stage, publications.c.partition
    )
    current = sa.select(publications.c.version_id).where(
        publications.c.id.in_(last), publications.c.version_id.is_not(None)
    )
    return connection.scalars(current)


def _shards(connection: Connection, stage: str) -> Iterator[Shard]:
    for row in connection.execute(sa.select(shards).where(shards.c.stage == stage).order_by(shards.c.decoded_at)):
        yield Shard(row.recipe, {part: files_of(made) for part, made in row.files.items()}, moment(row.decoded_at))


def _files(
    connection: Connection, stage: str, partitions: Collection[str] | None, pruned_since: datetime | None
) -> set[str]:
    """The files of versions that are not pruned, or were not before a time; of some partitions of a stage, or of all."""
    gone = PRUNED if pruned_since is None else PRUNED.where(prunings.c.pruned_at < ticks(pruned_since))
    query = (
        sa.select(parts.c.files)
        .join(versions, versions.c.id == parts.c.version_id)
        .where(versions.c.stage == stage, versions.c.id.not_in(gone))
    )
    within = (
        [query]
        if partitions is None
        else (query.where(versions.c.partition.in_(some)) for some in in_batches(partitions))
    )
    return {file.path for some in within for listed in connection.scalars(some) for file in files_of(listed)}


def _busy(connection: Connection, stage: str, partitions: Collection[str]) -> set[str]:
    """The partitions with an attempt that may still write: it reported no end, led to no version since, and is not long dead."""
    is_over = sa.exists().where(versions.c.recipe == attempts.c.recipe, versions.c.computed_at >= attempts.c.began_at)
    query = (
        sa.select(attempts.c.partition)
        .join(failures, failures.c.attempt_id == attempts.c.id, isouter=True)
        .join(completions, completions.c.attempt_id == attempts.c.id, isouter=True)
        .where(
            attempts.c.stage == stage,
            attempts.c.began_at > ticks(now() - _ATTEMPT_LASTS),
            failures.c.attempt_id.is_(None),
            completions.c.attempt_id.is_(None),
            ~is_over,
        )
    )
    return set(connection.scalars(query)) & set(partitions)
