"""The ledger: what was observed, tried, computed, audited and published, and which data came from which.

Rows are only added. What is current is the last one: the last observation of a path, the last audit of a version, the last
publication of (environment, stage, partition); so every past state can be read. Whatever is recorded together is recorded
in one transaction, and writers never overlap. Decisions about what to compute are in `staleness`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from spam_pipeline.protocol.code_version import CodeVersion
from spam_pipeline.protocol.ledger.pointers import (
    Place,
    give_way,
    made_of,
    pointed_at,
    pointer,
    pointers,
    publish,
    published_of,
)
from spam_pipeline.protocol.ledger.rows import (
    add_audit,
    add_version,
    attempts_of,
    audits_after,
    files_of,
    id_of,
    in_batches,
    inputs_of,
    last_audits,
    last_observations,
    last_position,
    listed,
    moment,
    now,
    observation_of,
    publication_of,
    row_of_observation,
    ticks,
    versions_where,
    with_last_audit,
)
from spam_pipeline.protocol.ledger.tables import (
    attempts,
    code_versions,
    completions,
    connect,
    failures,
    layout,
    observations,
    parts,
    publications,
    shards,
    versions,
    writing,
)
from spam_pipeline.protocol.recipe import InputRead
from spam_pipeline.protocol.records import (
    NO_OCCASION,
    PRODUCTION,
    Attempts,
    Audit,
    Changes,
    Observation,
    Occasion,
    Position,
    Publication,
    Published,
    StoredFile,
    Verdict,
    Version,
)


class Ledger:
    """The ledger at a SQLAlchemy URL; SQLite and PostgreSQL behave the same."""

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

    # Versions

    def record(
        self, version: Version, audit: Audit, environment: str, occasion: Occasion = NO_OCCASION
    ) -> Publication | None:
        """Add a version with its audit and, if it passed, publish it: all of it in one transaction.

        A version of the same recipe that is there already is kept and takes this one's place. Returns the publication, or
        None when the version was refused or is what is published already.
        """
        with writing(self._engine) as connection:
            version_id = id_of(connection, version.recipe) or add_version(connection, version)
            add_audit(connection, version_id, audit)
            if audit.verdict is not Verdict.PASSED:
                return None
            return publish(connection, Place(environment, version.stage, version.partition), version_id, occasion)

    def record_audit(
        self,
        version: Version,
        audit: Audit,
        environment: str,
        occasion: Occasion = NO_OCCASION,
        instead: int | None = None,
    ) -> Publication | None:
        """Add another audit of a version. If it passed, it is published; otherwise the environment no longer reads it.

        Where it was read, the version with the id `instead` is read from then on, or none. What another environment reads is
        up to its own contract.
        """
        place = Place(environment, version.stage, version.partition)
        with writing(self._engine) as connection:
            add_audit(connection, version.id, audit)
            if audit.verdict is Verdict.PASSED:
                return publish(connection, place, version.id, occasion)
            give_way(connection, place, version.id, instead, occasion)
            return None

    def publish(self, version: Version, environment: str, occasion: Occasion = NO_OCCASION) -> Publication | None:
        """Point the environment at a version that passed its audit before; None when it points there already."""
        with writing(self._engine) as connection:
            return publish(connection, Place(environment, version.stage, version.partition), version.id, occasion)

    def retract(
        self, stage: str, partition: str, environment: str, occasion: Occasion = NO_OCCASION
    ) -> Publication | None:
        """Point the environment at no version any more; None when it does not point at any."""
        with writing(self._engine) as connection:
            return publish(connection, Place(environment, stage, partition), None, occasion)

    def version(self, recipe: str) -> tuple[Version, Audit] | None:
        """The version of a recipe with its last audit."""
        with self._engine.connect() as connection:
            found = versions_where(connection, versions.c.recipe == recipe)
            return with_last_audit(connection, found)[0] if found else None

    def judged(self, recipe: str, contract: str) -> tuple[Version, Audit | None] | None:
        """The version of a recipe with its last audit by one contract, which may be none."""
        with self._engine.connect() as connection:
            found = versions_where(connection, versions.c.recipe == recipe)
            if not found:
                return None
            return found[0], last_audits(connection, [found[0].id], contract).get(found[0].id)

    def published_before(self, environment: str, stage: str, partition: str) -> list[Version]:
        """The versions that a partition's readers were pointed at since it was last retracted; see `pointed_at`."""
        with self._engine.connect() as connection:
            ids = pointed_at(connection, Place(environment, stage, partition))
            by_id = {version.id: version for version in versions_where(connection, versions.c.id.in_(ids))}
            return [by_id[version_id] for version_id in ids]

    def made(self, recipes: Collection[str]) -> dict[str, Published]:
        """The versions of these recipes that were computed before, by recipe, without files."""
        with self._engine.connect() as connection:
            return {version.recipe: version for some in in_batches(recipes) for version in made_of(connection, some)}

    def versions(self, stage: str, partition: str) -> list[tuple[Version, Audit]]:
        """Every version of a partition ever computed, oldest first, each with its last audit."""
        with self._engine.connect() as connection:
            return with_last_audit(
                connection,
                versions_where(connection, (versions.c.stage == stage) & (versions.c.partition == partition)),
            )

    def made_from(self, version_ids: Collection[int]) -> dict[int, tuple[Mapping[str, str], list[InputRead]]]:
        """What versions were computed from, by id: the digest of each setting, and every input part read."""
        found: dict[int, tuple[Mapping[str, str], list[InputRead]]] = {}
        with self._engine.connect() as connection:
            for some in in_batches(version_ids):
                read = inputs_of(connection, some)
                settings = sa.select(versions.c.id, versions.c.configuration).where(versions.c.id.in_(some))
                found |= {
                    version_id: (by_name, read[version_id]) for version_id, by_name in connection.execute(settings)
                }
        return found

    def seconds_by_stage(self) -> dict[str, float]:
        """How long computing one version of each stage took on average."""
        query = sa.select(versions.c.stage, sa.func.avg(versions.c.seconds)).group_by(versions.c.stage)
        with self._engine.connect() as connection:
            return {stage: float(seconds) for stage, seconds in connection.execute(query)}

    # Publications

    def changes(self, environments: Collection[str], after: Position, contracts: Collection[str]) -> Changes:
        """What was added after a position: of every path and pointer the last row, and the audits as `audits_after` says."""
        with self._engine.connect() as connection:
            position = last_position(connection)  # first, so that what is added meanwhile is told the next time
            if position == after:
                return Changes([], {name: {} for name in environments}, [], position)
            return Changes(
                observations=last_observations(connection, after=after.observation),
                pointers={
                    name: published_of(connection, pointers(name, after=after.publication)) for name in environments
                },
                audits=audits_after(connection, after, contracts),
                position=position,
            )

    def published(
        self, environment: str, stages: Collection[str], as_of: datetime | None = None
    ) -> dict[str, dict[str, Published]]:
        """What is published, by stage and partition, without files; an environment reads through to production."""
        merged: dict[str, dict[str, Published | None]] = {stage: {} for stage in stages}
        with self._engine.connect() as connection:
            for name in dict.fromkeys((PRODUCTION, environment)):
                found = published_of(connection, pointers(name, as_of).where(publications.c.stage.in_(stages)))
                merged = {stage: known | found.get(stage, {}) for stage, known in merged.items()}
        return {
            stage: {partition: version for partition, version in by_partition.items() if version is not None}
            for stage, by_partition in merged.items()
        }

    def published_version(
        self, environment: str, stage: str, partition: str, as_of: datetime | None = None
    ) -> Version | None:
        """The version that readers of this environment see, or saw at `as_of`."""
        with self._engine.connect() as connection:
            found = pointer(connection, Place(environment, stage, partition), as_of)
            if found is None or found.version_id is None:
                return None
            return versions_where(connection, versions.c.id == found.version_id)[0]

    def files(self, version_ids: Collection[int]) -> dict[int, dict[str, tuple[StoredFile, ...]]]:
        """The files of versions, by version and part."""
        found: dict[int, dict[str, tuple[StoredFile, ...]]] = defaultdict(dict)
        with self._engine.connect() as connection:
            for some in in_batches(version_ids):
                query = sa.select(parts.c.version_id, parts.c.name, parts.c.files).where(parts.c.version_id.in_(some))
                for version_id, name, files in connection.execute(query):
                    found[version_id][name] = files_of(files)
        return found

    def publications_after(
        self, publication_id: int, environment: str, limit: int | None = None
    ) -> list[tuple[Publication, tuple[Version, Audit] | None]]:
        """What was published in an environment after a publication, oldest first, each with its version and last audit.

        A retraction has none.
        """
        query = sa.select(publications).where(
            publications.c.id > publication_id, publications.c.environment == environment
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(publications.c.id).limit(limit))
            found = [publication_of(row) for row in rows]
            wanted = {item.version_id for item in found if item.version_id is not None}
            by_id = {
                version.id: (version, audit)
                for some in in_batches(wanted)
                for version, audit in with_last_audit(connection, versions_where(connection, versions.c.id.in_(some)))
            }
            return [(item, by_id.get(item.version_id or 0)) for item in found]

    def publication(
        self, environment: str, stage: str, partition: str
    ) -> tuple[Publication, tuple[Version, Audit] | None] | None:
        """The publication that readers of an environment go by, with its version and last audit."""
        with self._engine.connect() as connection:
            found = pointer(connection, Place(environment, stage, partition))
            if found is None:
                return None
            version = versions_where(connection, versions.c.id == found.version_id)
            return found, with_last_audit(connection, version)[0] if version else None

    def published_at(self, environment: str, version_ids: Collection[int]) -> dict[int, datetime]:
        """When each of these versions was last published where an environment's readers look; absent if it never was."""
        query = (
            sa.select(publications.c.version_id, sa.func.max(publications.c.published_at))
            .where(
                publications.c.environment.in_({environment, PRODUCTION}), publications.c.version_id.in_(version_ids)
            )
            .group_by(publications.c.version_id)
        )
        with self._engine.connect() as connection:
            return {version_id: moment(at) for version_id, at in connection.execute(query)}
