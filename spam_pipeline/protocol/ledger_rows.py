"""The ledger's rows as records, and records as rows. Which transaction they belong to is said in `ledger`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger_tables import audits, inputs, observations, parts, versions
from spam_pipeline.protocol.records import (
    Audit,
    InputRead,
    Observation,
    Part,
    Publication,
    Published,
    PublishedPart,
    StoredFile,
    Verdict,
    Version,
)


def published_of(connection: Connection, pointers: Any) -> Iterable[tuple[str, str, Published]]:
    """The versions behind some publications, by stage and partition, without files."""
    current = pointers.subquery()
    query = (
        sa.select(
            current.c.stage,
            current.c.partition,
            versions.c.id,
            versions.c.recipe,
            versions.c.code_version,
            versions.c.content,
            parts.c.name,
            parts.c.content,
            parts.c.rows,
            parts.c.is_side_part,
        )
        .join(versions, versions.c.id == current.c.version_id)
        .join(parts, parts.c.version_id == versions.c.id, isouter=True)
        .order_by(current.c.stage, current.c.partition, parts.c.name)
    )
    grouped: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        grouped[row[0], row[1]].append(row)
    for (stage, partition), rows in grouped.items():
        found = [(PublishedPart(*row[6:9]), row[9]) for row in rows if row[6] is not None]
        own = tuple(part for part, is_side_part in found if not is_side_part)
        side = tuple(part for part, is_side_part in found if is_side_part)
        version_id, recipe, code_version, content = rows[0][2:6]
        yield stage, partition, Published(version_id, recipe, code_version, content, own, side)


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
        "verdict": audit.verdict.value,
        "findings": list(audit.findings),
        "audited_at": ticks(now()),
    }
    connection.execute(sa.insert(audits), row)


def with_last_audit(connection: Connection, found: Sequence[Version]) -> list[tuple[Version, Audit]]:
    """Each version with its last audit."""
    query = sa.select(audits).where(audits.c.version_id.in_([version.id for version in found])).order_by(audits.c.id)
    last = {row.version_id: Audit(Verdict(row.verdict), tuple(row.findings)) for row in connection.execute(query)}
    return [(version, last[version.id]) for version in found]


def versions_where(connection: Connection, condition: Any) -> list[Version]:
    """The versions that meet a condition, oldest first, whole."""
    rows = connection.execute(sa.select(versions).where(condition).order_by(versions.c.id)).all()
    ids = [row.id for row in rows]
    own, side = _parts_of(connection, ids)
    read = _inputs_of(connection, ids)
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


def _inputs_of(connection: Connection, ids: Collection[int]) -> dict[int, list[InputRead]]:
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


def last_observations(connection: Connection) -> list[Observation]:
    """The last observation of every path, ordered by path."""
    last = sa.select(sa.func.max(observations.c.id)).group_by(observations.c.path)
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
        "modified": item.modified,
        "observed_at": ticks(item.observed_at),
    }


def observation_of(row: Any) -> Observation:
    """A row as a record."""
    return Observation(
        row.source, row.partition, row.path, row.digest, row.size, row.modified, moment(row.observed_at), row.id
    )


def publication_of(row: Any) -> Publication:
    """A row as a record."""
    return Publication(
        row.id, row.environment, row.stage, row.partition, row.version_id, row.run, moment(row.published_at)
    )


def files_of(items: Iterable[tuple[str, int, int]]) -> tuple[StoredFile, ...]:
    """Stored files from their listing."""
    return tuple(StoredFile(*item) for item in items)


def listed(files: Iterable[StoredFile]) -> list[tuple[str, int, int]]:
    """Stored files as a row keeps them."""
    return [(file.path, file.rows, file.bytes) for file in files]


def in_batches(ids: Collection[int]) -> Iterable[list[int]]:
    """Ids in lists that a database takes in one query."""
    ordered = sorted(ids)
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
