"""Whole versions, with their parts, inputs and fingerprints. The caller has begun the transaction."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.fingerprints import fingerprints_of
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Part, Version
from spam_pipeline.protocol.ledger.rows import files_of, listed, moment, ticks
from spam_pipeline.protocol.ledger.tables import inputs, observations, parts, versions


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
        "columns": dict(version.columns),
        "schema_version": version.schema_version,
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


def versions_where(connection: Connection, condition: Any, contracts: Collection[str] = ()) -> list[Version]:
    """The versions that meet a condition, oldest first, with the fingerprints that `fingerprints_of` chooses."""
    rows = connection.execute(sa.select(versions).where(condition).order_by(versions.c.id)).all()
    ids = [row.id for row in rows]
    own, side = _parts_of(connection, ids)
    read = inputs_of(connection, ids)
    measured = fingerprints_of(connection, ids, contracts)
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
            fingerprint=measured.get(row.id, {}),
            columns=row.columns,
            rows_read=row.rows_read,
            seconds=row.seconds,
            computed_at=moment(row.computed_at),
            configuration=row.configuration,
            inputs=tuple(read[row.id]),
            schema_version=row.schema_version,
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


def inputs_of(connection: Connection, ids: Collection[int]) -> dict[int, list[InputRef]]:
    """The inputs of versions, by version."""
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
    found: dict[int, list[InputRef]] = defaultdict(list)
    for version_id, parameter, part, name, partition, content, record, is_file in connection.execute(query):
        found[version_id].append(InputRef(parameter, name, partition, part, content, record, bool(is_file)))
    return found
