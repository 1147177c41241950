"""The ledger: what was observed, computed, audited and published, and which data came from which.

Rows are only added. What is current is the last one: the last observation of a path, the last audit of a version, the last
publication of (environment, stage, partition); so every past state can be read. Whatever is recorded together is recorded
in one transaction, and writers never overlap. Decisions about what to compute are in `staleness`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger_rows import (
    add_audit,
    add_version,
    files_of,
    id_of,
    in_batches,
    last_observations,
    listed,
    moment,
    now,
    observation_of,
    publication_of,
    published_of,
    row_of_observation,
    ticks,
    versions_where,
    with_last_audit,
)
from spam_pipeline.protocol.ledger_tables import (
    audits,
    connect,
    observations,
    parts,
    publications,
    shards,
    versions,
    writing,
)
from spam_pipeline.protocol.records import (
    Audit,
    Observation,
    Publication,
    Published,
    StoredFile,
    Verdict,
    Version,
)

PRODUCTION = "production"
"""The environment that every other one reads through to."""


class Ledger:
    """The ledger at a SQLAlchemy URL; SQLite and PostgreSQL behave the same."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()

    # Observations and shards

    def landed(self) -> list[Observation]:
        """The last observation of every path, gone files included, ordered by path."""
        with self._engine.connect() as connection:
            return last_observations(connection)

    def observed(self, ids: Collection[int]) -> dict[int, Observation]:
        """Observations by id, whatever was observed of their paths since."""
        with self._engine.connect() as connection:
            return {
                row.id: observation_of(row)
                for some in in_batches(ids)
                for row in connection.execute(sa.select(observations).where(observations.c.id.in_(some)))
            }

    def record_observations(self, seen: Sequence[Observation]) -> None:
        """Add what was seen, except what another process has seen meanwhile."""
        with writing(self._engine) as connection:
            known = {(item.path, item.digest, item.size, item.modified) for item in last_observations(connection)}
            new = [item for item in seen if (item.path, item.digest, item.size, item.modified) not in known]
            if new:
                connection.execute(sa.insert(observations), [row_of_observation(item) for item in new])

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

    # Versions

    def record(self, version: Version, audit: Audit, environment: str, run: str | None = None) -> Publication | None:
        """Add a version with its audit and, if it passed, publish it: all of it in one transaction.

        A version of the same recipe that is there already is kept and takes this one's place. Returns the publication, or
        None when the version was refused or is what is published already.
        """
        with writing(self._engine) as connection:
            version_id = id_of(connection, version.recipe) or add_version(connection, version)
            add_audit(connection, version_id, audit)
            if audit.verdict is not Verdict.PASSED:
                return None
            return _publish(connection, environment, replace(version, id=version_id), run)

    def publish(self, version: Version, environment: str, run: str | None = None) -> Publication | None:
        """Point the environment at a version that passed its audit before; None when it points there already."""
        with writing(self._engine) as connection:
            return _publish(connection, environment, version, run)

    def version(self, recipe: str) -> tuple[Version, Audit] | None:
        """The version of a recipe with its last audit."""
        with self._engine.connect() as connection:
            found = versions_where(connection, versions.c.recipe == recipe)
            return with_last_audit(connection, found)[0] if found else None

    def versions(self, stage: str, partition: str) -> list[tuple[Version, Audit]]:
        """Every version of a partition ever computed, oldest first, each with its last audit."""
        with self._engine.connect() as connection:
            return with_last_audit(
                connection,
                versions_where(connection, (versions.c.stage == stage) & (versions.c.partition == partition)),
            )

    def refused(self, stages: Collection[str]) -> set[str]:
        """Recipes whose version is quarantined: its last audit refused it."""
        last = sa.select(sa.func.max(audits.c.id)).group_by(audits.c.version_id)
        query = (
            sa.select(versions.c.recipe)
            .join(audits, audits.c.version_id == versions.c.id)
            .where(audits.c.id.in_(last), audits.c.verdict == Verdict.REFUSED.value, versions.c.stage.in_(stages))
        )
        with self._engine.connect() as connection:
            return set(connection.scalars(query))

    # Publications

    def published(
        self, environment: str, stages: Collection[str], as_of: datetime | None = None
    ) -> dict[str, dict[str, Published]]:
        """What is published, by stage and partition, without files; an environment reads through to production."""
        found: dict[str, dict[str, Published]] = {stage: {} for stage in stages}
        with self._engine.connect() as connection:
            for name in dict.fromkeys((PRODUCTION, environment)):
                pointers = _pointers(name, as_of).where(publications.c.stage.in_(stages))
                for stage, partition, published in published_of(connection, pointers):
                    found[stage][partition] = published
        return found

    def published_version(
        self, environment: str, stage: str, partition: str, as_of: datetime | None = None
    ) -> Version | None:
        """The version that readers of this environment see, or saw at `as_of`."""
        with self._engine.connect() as connection:
            for name in dict.fromkeys((environment, PRODUCTION)):
                pointers = _pointers(name, as_of).where(
                    publications.c.stage == stage, publications.c.partition == partition
                )
                found = versions_where(
                    connection, versions.c.id.in_(pointers.with_only_columns(publications.c.version_id))
                )
                if found:
                    return found[0]
        return None

    def files(self, version_ids: Collection[int]) -> dict[int, dict[str, tuple[StoredFile, ...]]]:
        """The files of versions, by version and part."""
        found: dict[int, dict[str, tuple[StoredFile, ...]]] = defaultdict(dict)
        with self._engine.connect() as connection:
            for some in in_batches(version_ids):
                query = sa.select(parts.c.version_id, parts.c.name, parts.c.files).where(parts.c.version_id.in_(some))
                for version_id, name, files in connection.execute(query):
                    found[version_id][name] = files_of(files)
        return found

    def publications_after(self, publication_id: int, environment: str) -> list[tuple[Publication, Version, Audit]]:
        """What was published in an environment after a publication, oldest first, with each version and its audit."""
        query = sa.select(publications).where(
            publications.c.id > publication_id, publications.c.environment == environment
        )
        with self._engine.connect() as connection:
            found = [publication_of(row) for row in connection.execute(query.order_by(publications.c.id))]
            wanted = {publication.version_id for publication in found}
            by_id = {
                version.id: (version, audit)
                for some in in_batches(wanted)
                for version, audit in with_last_audit(connection, versions_where(connection, versions.c.id.in_(some)))
            }
            return [(item, *by_id[item.version_id]) for item in found]

    def published_at(self, environment: str, version_ids: Collection[int]) -> dict[int, datetime]:
        """When each of these versions was last published in an environment; absent if it never was."""
        query = (
            sa.select(publications.c.version_id, sa.func.max(publications.c.published_at))
            .where(publications.c.environment == environment, publications.c.version_id.in_(version_ids))
            .group_by(publications.c.version_id)
        )
        with self._engine.connect() as connection:
            return {version_id: moment(at) for version_id, at in connection.execute(query)}


def _publish(connection: Connection, environment: str, version: Version, run: str | None) -> Publication | None:
    for name in dict.fromkeys((environment, PRODUCTION)):
        own = (publications.c.stage == version.stage) & (publications.c.partition == version.partition)
        current = connection.scalar(_pointers(name, None).where(own).with_only_columns(publications.c.version_id))
        if current == version.id:
            return None
        if current is not None:
            break
    row = {
        "environment": environment,
        "stage": version.stage,
        "partition": version.partition,
        "version_id": version.id,
        "run": run,
        "published_at": ticks(now()),
    }
    added = connection.execute(sa.insert(publications).returning(publications), row).one()
    return publication_of(added)


def _pointers(environment: str, as_of: datetime | None) -> Any:
    """The last publication of every stage and partition of one environment, as a query to narrow down."""
    latest = sa.select(sa.func.max(publications.c.id)).where(publications.c.environment == environment)
    if as_of is not None:
        latest = latest.where(publications.c.published_at <= ticks(as_of))
    latest = latest.group_by(publications.c.stage, publications.c.partition)
    return sa.select(publications).where(publications.c.id.in_(latest))
