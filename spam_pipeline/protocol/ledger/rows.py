"""The ledger's rows as records, and records as rows. Which transaction they belong to is said in `ledger`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.tables import (
    attempts,
    audits,
    completions,
    failures,
    inputs,
    observations,
    parts,
    publications,
    versions,
)
from spam_pipeline.protocol.recipe import InputRead
from spam_pipeline.protocol.records import (
    Attempts,
    Audit,
    AuditOf,
    Observation,
    Occasion,
    Part,
    Position,
    Publication,
    StoredFile,
    Verdict,
    Version,
)

T = TypeVar("T", int, str)


def id_of(connection: Connection, recipe: str) -> int | None:
    """The id of a recipe's version."""
    return connection.scalar(sa.select(versions.c.id).where(versions.c.recipe == recipe))


def add_version(connection: Connection, version: Version) -> int:
    """Add a version with its parts and inputs; return its id."""
    row = {
        "recipe": version.recipe,
        "context": version.context,
        "stage": version.stage,
        "partition": version.partition,
        "code_version": version.code_version,
        "configuration": dict(version.configuration),
        "content": version.content,
        "fingerprint": dict(version.fingerprint),
        "columns": dict(version.columns),
        "rows_read": version.rows_read,
        "seconds": version.seconds,
        "computed_at": ticks(version.computed_at),
    }
    version_id: int = connection.execute(sa.insert(versions).returning(versions.c.id), row).scalar_one()
    all_parts = [(part, False) for part in version.parts] + [(part, True) for part in version.side_parts]
    part_rows = [
        {
            "version_id": version_id,
            "name": part.name,
            "is_side_part": is_side_part,
            "content": part.content,
            "rows": part.rows,
            "files": listed(part.files),
        }
        for part, is_side_part in all_parts
    ]
    input_rows = [
        {
            "version_id": version_id,
            "position": position,
            "parameter": item.parameter,
            "part": item.part,
            "upstream_version_id": None if item.is_file else item.record,
            "observation_id": item.record if item.is_file else None,
        }
        for position, item in enumerate(version.inputs)
    ]
    for table, rows in ((parts, part_rows), (inputs, input_rows)):
        if rows:
            connection.execute(sa.insert(table), rows)
    return version_id


def add_audit(connection: Connection, version_id: int, audit: Audit) -> None:
    """Add an audit of a version."""
    row = {
        "version_id": version_id,
        "contract": audit.contract,
        "verdict": audit.verdict.value,
        "findings": list(audit.findings),
        "audited_at": ticks(now()),
    }
    connection.execute(sa.insert(audits), row)


def audits_after(connection: Connection, after: Position, contracts: Collection[str]) -> list[AuditOf]:
    """The audits after a position, in their order.

    From the start it is only what speaks against a version in the eyes of somebody who judges by `contracts`: that one of
    them refused it last, or, without a contract, that none of them has judged it.
    """
    columns = (audits.c.version_id, versions.c.recipe, versions.c.stage, audits.c.verdict, audits.c.contract)
    query = sa.select(*columns).join(versions, versions.c.id == audits.c.version_id).order_by(audits.c.id)
    if after.audit:
        return _audits_of(connection.execute(query.where(audits.c.id > after.audit)))
    own = audits.c.contract.in_(contracts)
    last = sa.select(sa.func.max(audits.c.id)).where(own).group_by(audits.c.version_id)
    refused = query.where(audits.c.id.in_(last), audits.c.verdict == Verdict.REFUSED.value)
    passed, none = sa.literal(Verdict.PASSED.value), sa.literal("")
    judged = sa.select(audits.c.version_id).where(own)
    unjudged = sa.select(versions.c.id, versions.c.recipe, versions.c.stage, passed, none).where(
        versions.c.id.not_in(judged)
    )
    return _audits_of(connection.execute(refused)) + _audits_of(connection.execute(unjudged))


def _audits_of(rows: Iterable[Any]) -> list[AuditOf]:
    return [
        AuditOf(version_id, recipe, stage, Verdict(verdict), contract)
        for version_id, recipe, stage, verdict, contract in rows
    ]


def attempts_of(connection: Connection, recipes: Collection[str]) -> Iterable[tuple[str, Attempts]]:
    """How often recipes were tried without success, or were since they had it, and what the last such try ended with."""
    failed = failures.c.failed_at > sa.func.coalesce(versions.c.computed_at, 0)
    died = failures.c.attempt_id.is_(None) & versions.c.id.is_(None) & completions.c.attempt_id.is_(None)
    counted = (
        sa.select(sa.func.count().label("tries"), sa.func.max(attempts.c.id).label("last_id"))
        .join(failures, failures.c.attempt_id == attempts.c.id, isouter=True)
        .join(completions, completions.c.attempt_id == attempts.c.id, isouter=True)
        .join(versions, versions.c.recipe == attempts.c.recipe, isouter=True)
        .where(attempts.c.recipe.in_(recipes), failed | died)
        .group_by(attempts.c.recipe)
        .subquery()
    )
    query = (
        sa.select(
            attempts.c.recipe,
            counted.c.tries,
            sa.func.coalesce(failures.c.failed_at, attempts.c.began_at),
            failures.c.error,
        )
        .join(counted, counted.c.last_id == attempts.c.id)
        .join(failures, failures.c.attempt_id == attempts.c.id, isouter=True)
    )
    for recipe, tries, last_at, error in connection.execute(query):
        yield recipe, Attempts(tries, moment(last_at), error)


def last_position(connection: Connection) -> Position:
    """How far the ledger goes at this moment."""
    last = (
        sa.select(sa.func.max(table.c.id)).scalar_subquery() for table in (observations, versions, audits, publications)
    )
    return Position(*(number or 0 for number in connection.execute(sa.select(*last)).one()))


def with_last_audit(connection: Connection, found: Sequence[Version]) -> list[tuple[Version, Audit]]:
    """Each version with its last audit."""
    last = last_audits(connection, [version.id for version in found])
    return [(version, last[version.id]) for version in found]


def last_audits(connection: Connection, version_ids: Collection[int], contract: str | None = None) -> dict[int, Audit]:
    """The last audit of each version, by any contract or by one."""
    query = sa.select(audits).where(audits.c.version_id.in_(version_ids)).order_by(audits.c.id)
    if contract is not None:
        query = query.where(audits.c.contract == contract)
    return {
        row.version_id: Audit(Verdict(row.verdict), tuple(row.findings), row.contract)
        for row in connection.execute(query)
    }


def versions_where(connection: Connection, condition: Any) -> list[Version]:
    """The versions that meet a condition, oldest first, whole."""
    rows = connection.execute(sa.select(versions).where(condition).order_by(versions.c.id)).all()
    ids = [row.id for row in rows]
    own, side = _parts_of(connection, ids)
    read = inputs_of(connection, ids)
    return [
        Version(
            recipe=row.recipe,
            context=row.context,
            stage=row.stage,
            partition=row.partition,
            code_version=row.code_version,
            content=row.content,
            parts=tuple(own[row.id]),
            side_parts=tuple(side[row.id]),
            fingerprint=row.fingerprint,
            columns=row.columns,
            rows_read=row.rows_read,
            seconds=row.seconds,
            computed_at=moment(row.computed_at),
            configuration=row.configuration,
            inputs=tuple(read[row.id]),
            id=row.id,
        )
        for row in rows
    ]


def _parts_of(connection: Connection, ids: Collection[int]) -> tuple[dict[int, list[Part]], dict[int, list[Part]]]:
    own: dict[int, list[Part]] = defaultdict(list)
    side: dict[int, list[Part]] = defaultdict(list)
    query = sa.select(parts).where(parts.c.version_id.in_(ids)).order_by(parts.c.version_id, parts.c.name)
    for row in connection.execute(query):
        group = side if row.is_side_part else own
        group[row.version_id].append(Part(row.name, row.content, files_of(row.files)))
    return own, side


def inputs_of(connection: Connection, ids: Collection[int]) -> dict[int, list[InputRead]]:
    """What versions were computed from, by version."""
    upstream, upstream_part = versions.alias(), parts.alias()
    query = (
        sa.select(
            inputs.c.version_id,
            inputs.c.parameter,
            inputs.c.part,
            sa.func.coalesce(upstream.c.stage, observations.c.source),
            sa.func.coalesce(upstream.c.partition, observations.c.partition),
            sa.func.coalesce(upstream_part.c.content, observations.c.digest),
            sa.func.coalesce(inputs.c.upstream_version_id, inputs.c.observation_id),
            inputs.c.observation_id.is_not(None),
        )
        .join(upstream, upstream.c.id == inputs.c.upstream_version_id, isouter=True)
        .join(
            upstream_part,
            (upstream_part.c.version_id == inputs.c.upstream_version_id) & (upstream_part.c.name == inputs.c.part),
            isouter=True,
        )
        .join(observations, observations.c.id == inputs.c.observation_id, isouter=True)
        .where(inputs.c.version_id.in_(ids))
        .order_by(inputs.c.version_id, inputs.c.position)
    )
    found: dict[int, list[InputRead]] = defaultdict(list)
    for version_id, parameter, part, name, partition, content, record, is_file in connection.execute(query):
        found[version_id].append(InputRead(parameter, name, partition, part, content, record, bool(is_file)))
    return found


def last_observations(
    connection: Connection, paths: Collection[str] | None = None, after: int = 0
) -> list[Observation]:
    """The last observation of every path, or of some (as many as one query takes), or made later; ordered by path."""
    last = sa.select(sa.func.max(observations.c.id)).where(observations.c.id > after).group_by(observations.c.path)
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
    occasion = Occasion(row.run, row.action, row.cause)
    return Publication(
        row.id, row.environment, row.stage, row.partition, row.version_id, occasion, moment(row.published_at)
    )


def files_of(items: Iterable[tuple[str, int, int]]) -> tuple[StoredFile, ...]:
    """Stored files from their listing."""
    return tuple(StoredFile(*item) for item in items)


def listed(files: Iterable[StoredFile]) -> list[tuple[str, int, int]]:
    """Stored files as a row keeps them."""
    return [(file.path, file.rows, file.bytes) for file in files]


def in_batches(ids: Collection[T]) -> Iterable[list[T]]:
    """Ids or digests in lists that a database takes in one query."""
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
