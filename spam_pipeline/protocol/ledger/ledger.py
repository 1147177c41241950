"""The ledger: the append-only record of observations, attempts, versions, audits and publications, and of what came from what.

Rows are only added, but for what pruning takes. The last one is current: the last observation of a path, the last audit of a version, the last
publication of (environment, stage, partition); so every past state can be read. Each method that records does so in one
transaction, and writers never overlap. `planning` decides what to compute.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spam_pipeline.protocol.fingerprint import Fingerprint
from spam_pipeline.protocol.foundation.errors import UnknownVersion
from spam_pipeline.protocol.ledger.adoption_log import AdoptionLog
from spam_pipeline.protocol.ledger.attempt_log import AttemptLog
from spam_pipeline.protocol.ledger.audits import add_audit, audits_after, last_audit, refusals_of, with_last_audit
from spam_pipeline.protocol.ledger.costs import Cost, recent_costs
from spam_pipeline.protocol.ledger.decisions import decisions_about, decisions_after, decisions_of
from spam_pipeline.protocol.ledger.delivery_log import DeliveryLog
from spam_pipeline.protocol.ledger.environments import drop, own, promote, summaries
from spam_pipeline.protocol.ledger.export_log import ExportLog
from spam_pipeline.protocol.ledger.fingerprints import add_fingerprint, fingerprints_of, numbers_of
from spam_pipeline.protocol.ledger.history import LENGTH
from spam_pipeline.protocol.ledger.landed_decisions import LandedDecisions
from spam_pipeline.protocol.ledger.layouts import open_database
from spam_pipeline.protocol.ledger.notice_log import NoticeLog
from spam_pipeline.protocol.ledger.observation_log import ObservationLog
from spam_pipeline.protocol.ledger.pointers import (
    Place,
    fall_back,
    made_of,
    moved,
    pointed_at,
    pointer,
    pointers,
    publish,
    published_of,
    versions_of,
)
from spam_pipeline.protocol.ledger.pruning_log import PruningLog
from spam_pipeline.protocol.ledger.prunings import PRUNED, pruned_after, pruned_at, revived
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import (
    DROPPED,
    NO_TRIGGER,
    PRODUCTION,
    Audit,
    Changes,
    Decision,
    EnvironmentSummary,
    Position,
    Publication,
    Refusal,
    StoredFile,
    Trigger,
    Verdict,
    Version,
    VersionSummary,
)
from spam_pipeline.protocol.ledger.rows import (
    files_of,
    in_batches,
    last_position,
    moment,
    publication_of,
)
from spam_pipeline.protocol.ledger.shared_values import values_of
from spam_pipeline.protocol.ledger.tables import layout, parts, publications, versions, writing
from spam_pipeline.protocol.ledger.unusable import place_of
from spam_pipeline.protocol.ledger.versions import (
    add_version,
    configurations_of,
    id_of,
    inputs_of,
    resting_on,
    version_of,
    versions_of_ids,
    versions_of_partition,
    with_columns_of,
)

_FILES_OF = sa.select(parts.c.version_id, parts.c.name, parts.c.files).where(
    parts.c.version_id.in_(sa.bindparam("ids", expanding=True))
)


class Ledger:
    """The ledger at a SQLAlchemy URL; SQLite and PostgreSQL behave the same.

    `identity` tells ledgers apart; `observations` and `attempts` record what comes before a version, `deliveries`, `notices`,
    `prunings`, `landed_decisions` and `exports` what comes after it, `adoptions` the versions that take the place of a computation.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)
        self.observations = ObservationLog(self._engine)
        self.attempts = AttemptLog(self._engine)
        self.deliveries = DeliveryLog(self._engine)
        self.notices = NoticeLog(self._engine)
        self.landed_decisions = LandedDecisions(self._engine)
        self.exports = ExportLog(self._engine)
        self.prunings = PruningLog(self._engine)
        self.adoptions = AdoptionLog(self._engine)
        with self._engine.connect() as connection:
            self.identity: str = connection.execute(sa.select(layout.c.identity)).scalar_one()

    def __str__(self) -> str:
        """The place as messages name it."""
        return place_of(self._engine.url)

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()

    def is_empty(self) -> bool:
        """Return True if nothing was ever recorded: nothing observed, nothing computed."""
        with self._engine.connect() as connection:
            return last_position(connection) == Position(*[0] * len(Position._fields))

    # Versions

    def record(
        self, version: Version, audit: Audit, environment: str, trigger: Trigger = NO_TRIGGER
    ) -> tuple[Version, Publication | None]:
        """Add a version with its fingerprint and its audit and, if it passed, publish it.

        A version of the same recipe that is there already takes this one's place; a pruned one comes back with it. Returns the version as
        it is recorded, and the publication, or None when the version was refused or is published already.
        """
        place = Place(environment, version.stage, version.partition)
        with writing(self._engine) as connection:
            known = id_of(connection, version.recipe)
            known = known and revived(connection, known, version)
            before = pointer(connection, place)
            version = with_columns_of(connection, version, before.version_id if before else None)
            version_id = known or add_version(connection, version)
            add_fingerprint(connection, version_id, audit.contract, version.fingerprint)
            add_audit(connection, version_id, audit)
            is_passed = audit.verdict is Verdict.PASSED
            publication = publish(connection, place, version_id, trigger) if is_passed else None
            recorded = versions_of_ids(connection, [version_id])[0] if known else replace(version, id=version_id)
            return recorded, publication

    def record_audit(  # noqa: PLR0913 - all of it belongs into one transaction
        self,
        version: Version,
        audit: Audit,
        environment: str,
        trigger: Trigger = NO_TRIGGER,
        fall_back_to: int | None = None,
        *,
        fingerprint: Fingerprint | None = None,
    ) -> Publication | None:
        """Add another audit of a version, with its fingerprint if that was measured again.

        If the version passed, it is published. Otherwise an environment that reads it falls back to the version with the id
        `fall_back_to`, or to none. What another environment reads is up to its own contract. Raises `Pruned`, and adds nothing.
        """
        place = Place(environment, version.stage, version.partition)
        with writing(self._engine) as connection:
            if fingerprint is not None:
                add_fingerprint(connection, version.id, audit.contract, fingerprint)
            add_audit(connection, version.id, audit)
            if audit.verdict is Verdict.PASSED:
                return publish(connection, place, version.id, trigger)
            fall_back(connection, place, version.id, fall_back_to, trigger)
            return None

    def publish(self, version: Version, environment: str, trigger: Trigger = NO_TRIGGER) -> Publication | None:
        """Point the environment at a version that passed its audit before; None when it points there already. Raises `Pruned`."""
        with writing(self._engine) as connection:
            return publish(connection, Place(environment, version.stage, version.partition), version.id, trigger)

    def retract(
        self, stage: str, partition: str, environment: str, trigger: Trigger = NO_TRIGGER
    ) -> Publication | None:
        """Point the environment at no version any more; None when it does not point at any."""
        with writing(self._engine) as connection:
            return publish(connection, Place(environment, stage, partition), None, trigger)

    def version(self, recipe: str, environment: str = PRODUCTION) -> tuple[Version, Audit] | None:
        """The version of a recipe with its last audit that counts in an environment."""
        with self._engine.connect() as connection:
            found = version_of(connection, recipe)
            return with_last_audit(connection, [found], {environment, PRODUCTION})[0] if found else None

    def audited(self, recipe: str, contract: str, environment: str = PRODUCTION) -> tuple[Version, Audit | None] | None:
        """The version of a recipe, as one contract measured it, with its last audit by that contract, None if there is none.

        A pruned version is none. Audits that took decisions for other environments into account don't count.
        """
        with self._engine.connect() as connection:
            found = version_of(connection, recipe, [contract])
            if found is None or pruned_at(connection, [found.id]):
                return None
            return found, last_audit(connection, found.id, contract, {environment, PRODUCTION})

    def published_before(self, environment: str, stage: str, partition: str) -> list[Version]:
        """The versions that readers of a partition saw since it was last retracted, the last one first; see `pointed_at`.

        Pruned ones are left out.
        """
        with self._engine.connect() as connection:
            ids = pointed_at(connection, Place(environment, stage, partition))
            gone = pruned_at(connection, ids)
            by_id = {version.id: version for version in versions_of_ids(connection, ids)}
            return [by_id[version_id] for version_id in ids if version_id not in gone]

    def made(self, recipes: Collection[str]) -> dict[str, VersionSummary]:
        """The versions of these recipes that were computed before and not pruned since, by recipe, without files."""
        with self._engine.connect() as connection:
            return {version.recipe: version for some in in_batches(recipes) for version in made_of(connection, some)}

    def versions(self, stage: str, partition: str, environment: str = PRODUCTION) -> list[tuple[Version, Audit]]:
        """Every version of a partition, oldest first, each with its last audit that counts in an environment."""
        with self._engine.connect() as connection:
            found = versions_of_partition(connection, stage, partition)
            return with_last_audit(connection, found, {environment, PRODUCTION})

    def provenance(self, version_ids: Collection[int]) -> dict[int, tuple[Mapping[str, str], list[InputRef]]]:
        """The inputs of versions, by id: the digest of each setting, and every part that was read."""
        found: dict[int, tuple[Mapping[str, str], list[InputRef]]] = {}
        with self._engine.connect() as connection:
            for some in in_batches(version_ids):
                read = inputs_of(connection, some)
                settings = configurations_of(connection, some)
                found |= {version_id: (by_name, read[version_id]) for version_id, by_name in settings.items()}
        return found

    def schema_versions(self, version_ids: Collection[int]) -> dict[int, int]:
        """The schema version that each of these versions was computed under, by id."""
        with self._engine.connect() as connection:
            return {
                version_id: schema_version
                for some in in_batches(version_ids)
                for version_id, schema_version in connection.execute(
                    sa.select(versions.c.id, versions.c.schema_version).where(versions.c.id.in_(some))
                )
            }

    def columns(self, version_ids: Collection[int]) -> dict[int, Mapping[str, str]]:
        """The columns that each of these versions was written with, by id."""
        with self._engine.connect() as connection:
            written: dict[int, bytes] = {
                version_id: columns
                for some in in_batches(version_ids)
                for version_id, columns in connection.execute(
                    sa.select(versions.c.id, versions.c.columns).where(versions.c.id.in_(some))
                )
            }
            shared = values_of(connection, set(written.values()))
        return {version_id: shared[columns] for version_id, columns in written.items()}

    def refusals(self, recipes: Collection[str], environment: str = PRODUCTION) -> dict[str, Refusal]:
        """The findings that versions are quarantined for in an environment, and since when, by recipe."""
        found: dict[str, Refusal] = {}
        with self._engine.connect() as connection:
            for some in in_batches(recipes):
                found |= refusals_of(connection, some, {environment, PRODUCTION})
        return found

    def recent_costs(self) -> dict[str, Cost]:
        """The average cost of the last versions of each stage that was ever computed."""
        with self._engine.connect() as connection:
            return recent_costs(connection)

    def recent_seconds(self, stage: str) -> float | None:
        """The average time, in seconds, that a version of the latest partitions of a stage took; None if it has none."""
        of_stage = sa.select(versions.c.seconds).where(versions.c.stage == stage)
        latest = of_stage.order_by(versions.c.partition.desc(), versions.c.id.desc()).limit(LENGTH).subquery()
        with self._engine.connect() as connection:
            seconds = connection.scalar(sa.select(sa.func.avg(latest.c.seconds)))
        return None if seconds is None else float(seconds)

    def find(self, recipe_prefix: str, environment: str = PRODUCTION) -> list[tuple[Version, Audit]]:
        """The versions whose recipe begins with 4 to 64 hex digits, at most ten, each with its last audit.

        Raises `UnknownVersion` for anything but hex digits.
        """
        if not re.fullmatch("[0-9a-f]{4,64}", recipe_prefix):
            raise UnknownVersion(f"expected the first 4 to 64 hex digits of a version's recipe, got {recipe_prefix!r}")
        query = sa.select(versions.c.id).where(versions.c.recipe.startswith(recipe_prefix)).order_by(versions.c.id)
        with self._engine.connect() as connection:
            found = connection.scalars(query.limit(_MOST_FOUND)).all()
            same = versions_of_ids(connection, found)
            return with_last_audit(connection, same, {environment, PRODUCTION})

    def fingerprints(self, version_ids: Collection[int], contracts: Collection[str] = ()) -> dict[int, Fingerprint]:
        """The fingerprint of each version: the one measured by one of `contracts`, otherwise the last one."""
        with self._engine.connect() as connection:
            return fingerprints_of(connection, version_ids, contracts)

    def numbers(self, version_ids: Collection[int], contracts: Collection[str] = ()) -> dict[int, Mapping[str, float]]:
        """The numbers of each version's fingerprint, chosen as in `fingerprints`."""
        with self._engine.connect() as connection:
            return numbers_of(connection, version_ids, contracts)

    # Decisions

    def decisions(self, environment: str, stage: str, partition: str) -> list[Decision]:
        """The decisions about a partition that an environment follows, its own and production's, oldest first."""
        with self._engine.connect() as connection:
            return decisions_about(connection, environment, stage, partition)

    def all_decisions(self, environment: str) -> list[Decision]:
        """All decisions that an environment follows, its own and production's, oldest first."""
        with self._engine.connect() as connection:
            return decisions_of(connection, environment)

    # Environments

    def environments(self) -> list[EnvironmentSummary]:
        """Every environment that something was ever published in, by name."""
        with self._engine.connect() as connection:
            return summaries(connection)

    def own(self, environment: str) -> dict[tuple[str, str], int | None]:
        """The versions that an environment has pointers of its own to, by stage and partition; None where it has retracted one."""
        with self._engine.connect() as connection:
            return own(connection, environment)

    def promote(
        self,
        environment: str,
        promoted: Mapping[tuple[str, str], int | None],
        trigger: Trigger = NO_TRIGGER,
        seen: Mapping[tuple[str, str], int | None] | None = None,
    ) -> list[Publication]:
        """Point production at versions of an environment, by stage and partition, in one transaction; None is a retraction.

        Where production points there already nothing is published. The environment gives up its own pointers to these. Raises
        `NotPromoted`, and publishes nothing, when production has moved since it was `seen` to point at these versions; so does `Pruned`.
        """
        _check_is_not_production(environment)
        with writing(self._engine) as connection:
            return promote(connection, environment, promoted, trigger, seen or {})

    def drop(self, environment: str, trigger: Trigger = NO_TRIGGER) -> int:
        """Let an environment read through to production everywhere; return how many pointers it gave up."""
        _check_is_not_production(environment)
        with writing(self._engine) as connection:
            return drop(connection, environment, own(connection, environment), trigger)

    # Publications

    def changes(self, environments: Collection[str], after: Position, contracts: Collection[str]) -> Changes:
        """The rows added after a position: the last one of every pointer, and the audits that `audits_after` selects.

        What was observed meanwhile is not among them, but can be asked for up to the new position.
        """
        with self._engine.connect() as connection:
            position = last_position(connection)  # first, so that rows added meanwhile come the next time
            nothing: Mapping[str, Any] = {name: {} for name in environments}
            if position == after:
                return Changes(nothing, [], [], [], {}, position)
            are_moved, are_decided = position.publication > after.publication, position.decision > after.decision
            are_pruned = position.pruning > after.pruning
            are_audited = position.audit > after.audit or not after.audit
            pointers_since, dropped = moved(connection, environments, after.publication) if are_moved else (nothing, [])
            return Changes(
                pointers=pointers_since,
                dropped=dropped,
                audits=audits_after(connection, after, contracts, environments) if are_audited else [],
                decisions=decisions_after(connection, environments, after.decision) if are_decided else [],
                pruned=pruned_after(connection, after.pruning) if after.version and are_pruned else {},
                position=position,
            )

    def published(
        self, environment: str, stages: Collection[str], as_of: datetime | None = None
    ) -> dict[str, dict[str, VersionSummary]]:
        """The published versions by stage and partition, without files; an environment reads through to production."""
        merged: dict[str, dict[str, VersionSummary | None]] = {stage: {} for stage in stages}
        with self._engine.connect() as connection:
            for name in dict.fromkeys((PRODUCTION, environment)):
                found = published_of(connection, pointers(name, as_of).where(publications.c.stage.in_(stages)))
                merged = {stage: known | found.get(stage, {}) for stage, known in merged.items()}
        return {
            stage: {partition: version for partition, version in by_partition.items() if version is not None}
            for stage, by_partition in merged.items()
        }

    def publications(self, environment: str, stages: Collection[str]) -> list[Publication]:
        """All publications of some stages in an environment and in production, oldest first, dropped pointers included."""
        query = sa.select(publications).where(
            publications.c.environment.in_({environment, PRODUCTION}), publications.c.stage.in_(stages)
        )
        with self._engine.connect() as connection:
            return [publication_of(row) for row in connection.execute(query.order_by(publications.c.id))]

    def made_by_id(self, version_ids: Collection[int]) -> dict[int, VersionSummary]:
        """The versions with these ids, without files."""
        with self._engine.connect() as connection:
            return {
                version_id: version
                for some in in_batches(version_ids)
                for version_id, version in versions_of(connection, some).items()
            }

    def published_version(
        self, environment: str, stage: str, partition: str, as_of: datetime | None = None
    ) -> Version | None:
        """The version that readers of this environment see, or saw at `as_of`."""
        with self._engine.connect() as connection:
            found = pointer(connection, Place(environment, stage, partition), as_of)
            if found is None or found.version_id is None:
                return None
            return versions_of_ids(connection, [found.version_id])[0]

    def version_of_id(self, version_id: int) -> Version:
        """The version of an id that the ledger gave out."""
        with self._engine.connect() as connection:
            return versions_of_ids(connection, [version_id])[0]

    def files(self, version_ids: Collection[int]) -> dict[int, dict[str, tuple[StoredFile, ...]]]:
        """The files of versions, by version and part."""
        found: dict[int, dict[str, tuple[StoredFile, ...]]] = defaultdict(dict)
        with self._engine.connect() as connection:
            for some in in_batches(version_ids):
                for version_id, name, files in connection.execute(_FILES_OF, {"ids": some}):
                    found[version_id][name] = files_of(files)
        return found

    def stored_files(self) -> set[str]:
        """The path of every file of the store that some version has which is not pruned."""
        query = sa.select(parts.c.files).where(parts.c.version_id.not_in(PRUNED))
        with self._engine.connect() as connection:
            return {file.path for listed in connection.scalars(query) for file in files_of(listed)}

    def resting_on(self, version_id: int) -> list[tuple[str, str]]:
        """Stage and partition of whatever was computed from a version, directly or through others, in order."""
        with self._engine.connect() as connection:
            return resting_on(connection, version_id)

    def publications_after(
        self, publication_id: int, environment: str, limit: int | None = None
    ) -> list[tuple[Publication, tuple[Version, Audit] | None]]:
        """The publications in an environment after a given one, oldest first, each with its version and last audit.

        A retraction has no version; a dropped pointer is no publication.
        """
        query = sa.select(publications).where(
            publications.c.id > publication_id,
            publications.c.environment == environment,
            publications.c.action != DROPPED,
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(publications.c.id).limit(limit))
            found = [publication_of(row) for row in rows]
            wanted = {item.version_id for item in found if item.version_id is not None}
            by_id = {
                version.id: (version, audit)
                for some in in_batches(wanted)
                for version, audit in with_last_audit(
                    connection, versions_of_ids(connection, some), {environment, PRODUCTION}
                )
            }
            return [(item, by_id.get(item.version_id or 0)) for item in found]

    def publication(
        self, environment: str, stage: str, partition: str
    ) -> tuple[Publication, tuple[Version, Audit] | None] | None:
        """The current publication for readers of an environment, with its version and last audit."""
        with self._engine.connect() as connection:
            found = pointer(connection, Place(environment, stage, partition))
            if found is None:
                return None
            version = [] if found.version_id is None else versions_of_ids(connection, [found.version_id])
            return found, with_last_audit(connection, version, {environment, PRODUCTION})[0] if version else None

    def published_at(self, environment: str, version_ids: Collection[int]) -> dict[int, datetime]:
        """The time at which each of these versions was last published in an environment or in production; absent if never."""
        query = (
            sa.select(publications.c.version_id, sa.func.max(publications.c.published_at))
            .where(
                publications.c.environment.in_({environment, PRODUCTION}), publications.c.version_id.in_(version_ids)
            )
            .group_by(publications.c.version_id)
        )
        with self._engine.connect() as connection:
            return {version_id: moment(at) for version_id, at in connection.execute(query)}


def _check_is_not_production(environment: str) -> None:
    if environment == PRODUCTION:
        raise ValueError(f"{PRODUCTION} reads through to nothing, so it can be neither promoted nor dropped")


_MOST_FOUND = 10
"""The most versions that are listed for a prefix of a recipe."""
