"""Whole versions, with their parts, inputs and fingerprints. The caller has begun the transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.fingerprints import fingerprints_of
from spam_pipeline.protocol.ledger.input_lists import Entry, chunks_below, chunks_of, held, lists_of, own_entries
from spam_pipeline.protocol.ledger.part_columns import add_part_columns, part_columns_of
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Part, Version
from spam_pipeline.protocol.ledger.rows import files_of, in_batches, listed, moment, ticks
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values, values_of
from spam_pipeline.protocol.ledger.tables import observations, parts, versions

_IDS: sa.BindParameter[int] = sa.bindparam("ids", expanding=True)

# Putting these statements together anew for each version took a fifth of the CPU time of a small convergence.
_ID_OF = sa.select(versions.c.id).where(versions.c.recipe == sa.bindparam("recipe"))
_WHOLE = sa.select(versions).order_by(versions.c.id)
_OF_RECIPE = _WHOLE.where(versions.c.recipe == sa.bindparam("recipe"))
_OF_IDS = _WHOLE.where(versions.c.id.in_(_IDS))
_OF_PARTITION = _WHOLE.where(
    versions.c.stage == sa.bindparam("stage"), versions.c.partition == sa.bindparam("partition")
)
_ADD_VERSION = sa.insert(versions).returning(versions.c.id)
_ADD_PARTS = sa.insert(parts)
_PARTS_OF = sa.select(parts).where(parts.c.version_id.in_(_IDS)).order_by(parts.c.version_id, parts.c.name)
_INPUTS_OF = sa.select(versions.c.id, versions.c.inputs).where(versions.c.id.in_(_IDS))
_UPSTREAM = (
    sa.select(versions.c.id, parts.c.name, versions.c.stage, versions.c.partition, parts.c.content)
    .join(parts, parts.c.version_id == versions.c.id)
    .where(versions.c.id.in_(_IDS))
)
_SEEN = sa.select(
    observations.c.id, observations.c.path, observations.c.source, observations.c.partition, observations.c.digest
).where(observations.c.id.in_(_IDS))


def add_version(connection: Connection, version: Version) -> int:
    """Add a version with its parts and inputs; return its id."""
    inputs, shared = chunks_of([_entry_of(item) for item in version.inputs])
    configuration, columns = dict(version.configuration), dict(version.columns)
    shared |= {digest_of_value(value): value for value in (configuration, columns)}
    keep_values(connection, shared)
    row = {
        "recipe": version.recipe,
        "context": version.context,
        "stage": version.stage,
        "partition": version.partition,
        "code_version": version.code_version,
        "configuration": digest_of_value(configuration),
        "content": version.content,
        "columns": digest_of_value(columns),
        "inputs": inputs,
        "schema_version": version.schema_version,
        "rows_read": version.rows_read,
        "seconds": version.seconds,
        "computed_at": ticks(version.computed_at),
    }
    version_id: int = connection.execute(_ADD_VERSION, row).scalar_one()
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
    if part_rows:
        connection.execute(_ADD_PARTS, part_rows)
    add_part_columns(connection, version_id, {part.name: part.columns for part, _ in all_parts if part.columns})
    return version_id


def with_columns_of(connection: Connection, version: Version, read: int | None) -> Version:
    """The version with the contents by column that a version which is read has, in parts of equal content: its consumers then see no difference.

    That one may have none, being of an earlier release, or those of bytes that Polars wrote in another way.
    """
    if read is None:
        return version
    own, _ = _parts_of(connection, [read])
    known = {(part.name, part.content): part.columns for part in own[read]}
    parts_with = (replace(part, columns=known.get((part.name, part.content), part.columns)) for part in version.parts)
    return replace(version, parts=tuple(parts_with))


def id_of(connection: Connection, recipe: str) -> int | None:
    """The id of a recipe's version."""
    return connection.scalar(_ID_OF, {"recipe": recipe})


def version_of(connection: Connection, recipe: str, contracts: Collection[str] = ()) -> Version | None:
    """The version of a recipe, with the fingerprint that `fingerprints_of` chooses."""
    return next(iter(_whole(connection, connection.execute(_OF_RECIPE, {"recipe": recipe}).all(), contracts)), None)


def versions_of_ids(connection: Connection, ids: Collection[int]) -> list[Version]:
    """The versions with these ids, as many as one query takes, oldest first, with the fingerprints measured last."""
    return _whole(connection, connection.execute(_OF_IDS, {"ids": list(ids)}).all())


def versions_of_partition(connection: Connection, stage: str, partition: str) -> list[Version]:
    """Every version of a partition, oldest first, with the fingerprints measured last."""
    return _whole(connection, connection.execute(_OF_PARTITION, {"stage": stage, "partition": partition}).all())


def _whole(connection: Connection, rows: Sequence[Any], contracts: Collection[str] = ()) -> list[Version]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    own, side = _parts_of(connection, ids)
    read = _read_in(connection, {row.id: row.inputs for row in rows})
    shared = values_of(connection, {digest for row in rows for digest in (row.columns, row.configuration)})
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
            columns=shared[row.columns],
            rows_read=row.rows_read,
            seconds=row.seconds,
            computed_at=moment(row.computed_at),
            configuration=shared[row.configuration],
            inputs=tuple(read[row.id]),
            schema_version=row.schema_version,
            id=row.id,
        )
        for row in rows
    ]


def _parts_of(connection: Connection, ids: Collection[int]) -> tuple[dict[int, list[Part]], dict[int, list[Part]]]:
    own: dict[int, list[Part]] = defaultdict(list)
    side: dict[int, list[Part]] = defaultdict(list)
    columns = part_columns_of(connection, ids)
    for row in connection.execute(_PARTS_OF, {"ids": list(ids)}):
        group = side if row.is_side_part else own
        known = columns.get((row.version_id, row.name))
        group[row.version_id].append(Part(row.name, row.content, files_of(row.files), known))
    return own, side


def inputs_of(connection: Connection, ids: Collection[int]) -> dict[int, list[InputRef]]:
    """What versions were computed from, by version."""
    names = connection.execute(_INPUTS_OF, {"ids": list(ids)})
    return _read_in(connection, {row.id: row.inputs for row in names})


def configurations_of(connection: Connection, ids: Collection[int]) -> dict[int, dict[str, str]]:
    """The digest of each setting that versions were computed with, by version."""
    rows = connection.execute(sa.select(versions.c.id, versions.c.configuration).where(versions.c.id.in_(ids))).all()
    shared = values_of(connection, {digest for _, digest in rows})
    return {version_id: shared[digest] for version_id, digest in rows}


def _read_in(connection: Connection, names: Mapping[int, bytes]) -> dict[int, list[InputRef]]:
    """The inputs in some lists, by version."""
    lists = lists_of(connection, set(names.values()))
    entries = {entry for items in lists.values() for entry in items}
    upstream = {
        (version_id, part): found
        for some in in_batches({item.record for item in entries if item.part is not None})
        for version_id, part, *found in connection.execute(_UPSTREAM, {"ids": some})
    }
    seen = {
        observation_id: (path, found)
        for some in in_batches({item.record for item in entries if item.part is None})
        for observation_id, path, *found in connection.execute(_SEEN, {"ids": some})
    }
    refs = {item: _ref_of(item, upstream, seen) for item in entries}
    return {version_id: [refs[item] for item in lists[name]] for version_id, name in names.items()}


def _entry_of(item: InputRef) -> Entry:
    return Entry(item.parameter, None if item.is_file else item.part, item.record)


def _ref_of(
    entry: Entry, upstream: Mapping[tuple[int, str], Sequence[str]], seen: Mapping[int, tuple[str, Sequence[str]]]
) -> InputRef:
    if entry.part is None:
        path, (source, partition, content) = seen[entry.record]
        return InputRef(entry.parameter, source, partition, path, content, entry.record, is_file=True)
    stage, partition, content = upstream[entry.record, entry.part]
    return InputRef(entry.parameter, stage, partition, entry.part, content, entry.record)


def resting_on(connection: Connection, version_id: int) -> list[tuple[str, str]]:
    """Stage and partition of whatever was computed from a version, directly or through others, in order.

    A version's inputs have lower ids, so in the order of ids whatever a chunk holds has been decided when it is first met.
    """
    resting, decided = {version_id}, dict[bytes, bool]()
    found: set[tuple[str, str]] = set()
    later = sa.select(versions.c.id, versions.c.stage, versions.c.partition, versions.c.inputs)
    rows = connection.execute(later.where(versions.c.id > version_id).order_by(versions.c.id)).all()
    for some in in_batches(rows):
        chunks = chunks_below(connection, {row.inputs for row in some}, decided)
        for row in some:
            if _rests(row.inputs, chunks, resting, decided):
                resting.add(row.id)
                found.add((row.stage, row.partition))
    return sorted(found)


def _rests(name: bytes, chunks: Mapping[bytes, Any], resting: Collection[int], decided: dict[bytes, bool]) -> bool:
    """Return True if a chunk holds one of the `resting` versions, and note it in `decided`."""
    if name not in decided:
        own = any(entry.part is not None and entry.record in resting for entry in own_entries(chunks[name]))
        decided[name] = own or any(_rests(key, chunks, resting, decided) for key in held(chunks[name]))
    return decided[name]
