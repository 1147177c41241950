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

_IDS: sa.BindParameter[int] = sa.bindparam("ids", expanding=True)
_UPSTREAM, _UPSTREAM_PART = versions.alias(), parts.alias()

# Putting these statements together anew for each version took a fifth of the CPU time of a small convergence.
_PARTS_OF = sa.select(parts).where(parts.c.version_id.in_(_IDS)).order_by(parts.c.version_id, parts.c.name)
_INPUTS_OF = (
    sa.select(
        inputs.c.version_id,
        inputs.c.parameter,
        inputs.c.part,
        sa.func.coalesce(_UPSTREAM.c.stage, observations.c.source),
        sa.func.coalesce(_UPSTREAM.c.partition, observations.c.partition),
        sa.func.coalesce(_UPSTREAM_PART.c.content, observations.c.digest),
        sa.func.coalesce(inputs.c.upstream_version_id, inputs.c.observation_id),
        inputs.c.observation_id.is_not(None),
    )
    .join(_UPSTREAM, _UPSTREAM.c.id == inputs.c.upstream_version_id, isouter=True)
    .join(
        _UPSTREAM_PART,
        (_UPSTREAM_PART.c.version_id == inputs.c.upstream_version_id) & (_UPSTREAM_PART.c.name == inputs.c.part),
        isouter=True,
    )
    .join(observations, observations.c.id == inputs.c.observation_id, isouter=True)
    .where(inputs.c.version_id.in_(_IDS))
    .order_by(inputs.c.version_id, inputs.c.position)
)


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
    if not rows:
        return []
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
    for row in connection.execute(_PARTS_OF, {"ids": list(ids)}):
        group = side if row.is_side_part else own
        group[row.version_id].append(Part(row.name, row.content, files_of(row.files)))
    return own, side


def inputs_of(connection: Connection, ids: Collection[int]) -> dict[int, list[InputRef]]:
    """What versions were computed from, by version."""
    found: dict[int, list[InputRef]] = defaultdict(list)
    for version_id, parameter, part, name, partition, content, record, is_file in connection.execute(
        _INPUTS_OF, {"ids": list(ids)}
    ):
        found[version_id].append(InputRef(parameter, name, partition, part, content, record, bool(is_file)))
    return found


def resting_on(connection: Connection, version_id: int) -> list[tuple[str, str]]:
    """Stage and partition of whatever was computed from a version, directly or through others, in order."""
    reached = sa.select(inputs.c.version_id).where(inputs.c.upstream_version_id == version_id).cte(recursive=True)
    further = sa.select(inputs.c.version_id).join(reached, inputs.c.upstream_version_id == reached.c.version_id)
    reached = reached.union(further)
    query = sa.select(versions.c.stage, versions.c.partition).distinct().where(versions.c.id.in_(sa.select(reached)))
    rows = connection.execute(query.order_by(versions.c.stage, versions.c.partition))
    return [(stage, partition) for stage, partition in rows]
