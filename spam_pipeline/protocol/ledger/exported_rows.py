"""Rows of the ledger as lines of JSON and back: what an export has, and which of its rows a ledger takes in. The caller has begun the transaction.

Rows keep their ids, because an export is only ever taken in by a ledger that has no others. Rows that refer to what is not there (a stored file, a row
of another export) are left out, so that what they are about is computed again; anything that no ledger writes makes an export useless as a whole.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.fingerprint import fingerprint_from_json
from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.foundation.finding import finding_from_json
from spam_pipeline.protocol.ledger.column_contents import DIGEST_BYTES
from spam_pipeline.protocol.ledger.column_types import PackedJson
from spam_pipeline.protocol.ledger.input_lists import chunks_below, held, own_entries
from spam_pipeline.protocol.ledger.records import DecisionKind, StoredFile, Verdict
from spam_pipeline.protocol.ledger.rows import files_of, in_batches
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values, values_of
from spam_pipeline.protocol.ledger.tables import (
    adoptions,
    audits,
    code_versions,
    decisions,
    deliveries,
    fingerprints,
    landed_decisions,
    observations,
    part_columns,
    parts,
    publications,
    shards,
    shared_values,
    versions,
)

ORDERED_BY: Mapping[sa.Table, sa.Column[int]] = {
    code_versions: code_versions.c.recorded_at,
    observations: observations.c.id,
    shards: shards.c.decoded_at,
    versions: versions.c.id,
    parts: parts.c.version_id,
    part_columns: part_columns.c.version_id,
    adoptions: adoptions.c.version_id,
    fingerprints: fingerprints.c.id,
    decisions: decisions.c.id,
    landed_decisions: landed_decisions.c.decision_id,
    audits: audits.c.id,
    publications: publications.c.id,
    deliveries: deliveries.c.id,
}
"""The tables of an export, each after those that it refers to, with the column in whose order rows are added. Attempts and notices are not among them."""

Row = dict[str, Any]
IsThere = Callable[[StoredFile], bool]


class WrongExport(PipelineError):
    """An export that no ledger wrote like this."""


def positions(connection: Connection) -> dict[str, int]:
    """The last position in each table of an export."""
    query = sa.select(*(sa.select(sa.func.max(order)).scalar_subquery() for order in ORDERED_BY.values()))
    found = connection.execute(query).one()
    return {table.name: last or 0 for table, last in zip(ORDERED_BY, found, strict=True)}


def lines_between(
    connection: Connection, after: Mapping[str, int], until: Mapping[str, int]
) -> Iterator[tuple[str, Row]]:
    """The rows from one position up to another, by table; before the versions, the values that they share with others."""
    for table, order in ORDERED_BY.items():
        first, last = after.get(table.name, 0), until[table.name]
        if table is versions:
            for digest, value in _values(connection, first, last).items():
                yield shared_values.name, {"digest": digest.hex(), "value": value}
        rows = sa.select(table).where(order > first, order <= last).order_by(order)
        for row in connection.execute(rows, execution_options={"yield_per": _ROWS}):
            yield table.name, {name: _to_json(value) for name, value in row._asdict().items()}


_ROWS = 1000
"""Rows that are read at a time."""


def _to_json(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _values(connection: Connection, after: int, until: int) -> dict[bytes, Any]:
    """The shared values of versions, without those that the last version of a stage before them has: that was exported."""
    new = sa.select(versions.c.id).where(versions.c.id > after, versions.c.id <= until)
    last = sa.select(sa.func.max(versions.c.id)).where(versions.c.id <= after).group_by(versions.c.stage)
    lists_before, whole_before = _lists(connection, last), _whole_values(connection, last)
    known = {*chunks_below(connection, lists_before), *whole_before}
    found = values_of(connection, _whole_values(connection, new) - known)
    return found | chunks_below(connection, _lists(connection, new), known)


def _lists(connection: Connection, version_ids: sa.Select[tuple[int]]) -> set[bytes]:
    return set(connection.scalars(sa.select(versions.c.inputs).where(versions.c.id.in_(version_ids))))


def _whole_values(connection: Connection, version_ids: sa.Select[tuple[int]]) -> set[bytes]:
    """The digests of the shared values of versions that are no lists of inputs."""
    return {
        digest
        for column, of in (
            (versions.c.configuration, versions.c.id),
            (versions.c.columns, versions.c.id),
            (part_columns.c.names, part_columns.c.version_id),
            (adoptions.c.evidence, adoptions.c.version_id),
        )
        for digest in connection.scalars(sa.select(column).where(of.in_(version_ids)).distinct())
    }


# Taking in


def take_in(connection: Connection, lines: Iterable[tuple[str, Row]], is_there: IsThere) -> None:
    """Add the rows of an export to a ledger that has none of its own, or those of exports before it.

    Raises `WrongExport`; the caller gives the transaction up then.
    """
    found: dict[str, list[Row]] = {table.name: [] for table in (shared_values, *ORDERED_BY)}
    try:
        for name, row in lines:
            found[name].append(_from_json(_TABLES[name], row))
        _Intake(connection, found, is_there).add()
    except (ValueError, TypeError, LookupError, AttributeError, sa.exc.IntegrityError, sa.exc.StatementError) as wrong:
        raise WrongExport(f"rows that no ledger writes ({type(wrong).__name__})") from wrong
    if connection.dialect.name == "postgresql":
        for table in (table for table in ORDERED_BY if "id" in table.c):
            last = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"  # noqa: S608 - our own tables
            connection.exec_driver_sql(last)


_TABLES = {table.name: table for table in (shared_values, *ORDERED_BY)}
_KEYS = ("context", "environment", "stage", "partition")


def _from_json(table: sa.Table, row: Mapping[str, Any]) -> Row:
    """A row as the table takes it; an earlier layout may lack columns that are nullable. Raises `ValueError` for any other row."""
    if row.keys() - table.c.keys() or any(not column.nullable for column in table.c if column.name not in row):
        raise ValueError("other columns")
    return {name: _value(table.c[name], value) for name, value in row.items()}


def _value(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(column.type, PackedJson | sa.JSON):
        return value
    if value is None:
        if not column.nullable:
            raise ValueError("nothing where there is always something")
        return None
    if isinstance(column.type, sa.LargeBinary):
        return bytes.fromhex(value)
    is_number = isinstance(column.type, sa.Float) and type(value) in {int, float}
    if not is_number and type(value) is not column.type.python_type:
        raise ValueError("a value of another type")
    if column.name in _KEYS and column.table is not observations and not value.isprintable():
        raise ValueError("a key that cannot be printed")
    if column is versions.c.recipe and not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("no recipe")
    return value


class _Intake:
    """One export on its way into a ledger: what is there by then decides which rows follow."""

    def __init__(self, connection: Connection, rows: Mapping[str, list[Row]], is_there: IsThere) -> None:
        self._connection = connection
        self._rows = rows
        self._is_there = is_there
        self._whole: dict[bytes, bool] = {}

    def add(self) -> None:
        """Add what can be added, table by table."""
        keep_values(self._connection, {row["digest"]: row["value"] for row in self._checked_values()})
        self._insert(code_versions, self._rows["code_versions"])
        self._insert(observations, self._rows["observations"])
        self._insert(shards, [row for row in self._rows["shards"] if self._has_files(_files_of_shard(row))])
        known = self._add_versions()
        self._insert(part_columns, self._part_columns(known))
        self._insert(adoptions, self._adoptions(known))
        for table in (fingerprints, decisions):
            self._insert(
                table,
                [row for row in self._rows[table.name] if _is_well_formed(table, row) and row["version_id"] in known],
            )
        decided = self._ids(decisions.c.id)
        self._insert(landed_decisions, [row for row in self._rows["landed_decisions"] if row["decision_id"] in decided])
        self._insert(audits, [row for row in self._audits(known) if row["decision"] in {0, *decided}])
        # Without its version a publication still says that readers had another one than before.
        self._insert(publications, [row | _known_version(row, known) for row in self._rows["publications"]])
        self._insert(deliveries, [row for row in self._rows["deliveries"] if row["version_id"] in known])

    def _checked_values(self) -> Iterator[Row]:
        for row in self._rows["shared_values"]:
            if digest_of_value(row["value"]) != row["digest"]:
                raise ValueError("a value under another digest")
            yield row

    def _add_versions(self) -> set[int]:
        """Add the versions that are whole: files, inputs and an audit; return the ids of all that the ledger has then."""
        known, seen = self._ids(versions.c.id), self._ids(observations.c.id)
        by_version: dict[int, list[Row]] = {}
        for row in self._rows["parts"]:
            by_version.setdefault(row["version_id"], []).append(row)
        rows, audited = self._rows["versions"], {row["version_id"] for row in self._audits(None)}
        chunks = chunks_below(self._connection, {row["inputs"] for row in rows})
        values = values_of(self._connection, {row[name] for row in rows for name in ("columns", "configuration")})
        added = []
        for row in sorted(rows, key=lambda item: item["id"]):
            files = [file for part in by_version.get(row["id"], ()) for file in files_of(part["files"])]
            has_values = row["columns"] in values and row["configuration"] in values
            if (
                row["id"] in audited
                and has_values
                and self._is_whole(row["inputs"], chunks, known, seen)
                and self._has_files(files)
            ):
                known.add(row["id"])
                added.append(row)
        self._insert(versions, added)
        self._insert(parts, [part for row in added for part in by_version.get(row["id"], ())])
        return known

    def _is_whole(
        self, name: bytes, chunks: Mapping[bytes, Any], known: Collection[int], seen: Collection[int]
    ) -> bool:
        """Return True if everything in a list of inputs is there. What a chunk has is older than the version that is first met with it."""
        if name not in self._whole:
            self._whole[name] = name in chunks and (
                all(item.record in (seen if item.part is None else known) for item in own_entries(chunks[name]))
                and all(self._is_whole(key, chunks, known, seen) for key in held(chunks[name]))
            )
        return self._whole[name]

    def _part_columns(self, known: Collection[int]) -> list[Row]:
        """The contents by column of versions that are there: without them a version counts by its content, as one of an earlier release."""
        rows = [row for row in self._rows["part_columns"] if row["version_id"] in known]
        names = values_of(self._connection, {row["names"] for row in rows})
        return [row for row in rows if len(row["digests"]) == DIGEST_BYTES * len(names.get(row["names"], ()))]

    def _adoptions(self, known: Collection[int]) -> list[Row]:
        rows = [row for row in self._rows["adoptions"] if row["version_id"] in known]
        evidence = values_of(self._connection, {row["evidence"] for row in rows})
        return [row for row in rows if row["evidence"] in evidence]

    def _audits(self, known: Collection[int] | None) -> list[Row]:
        rows = [row for row in self._rows["audits"] if _is_well_formed(audits, row)]
        return rows if known is None else [row for row in rows if row["version_id"] in known]

    def _has_files(self, files: Iterable[StoredFile]) -> bool:
        return all(self._is_there(file) for file in files)

    def _ids(self, column: sa.Column[int]) -> set[int]:
        return set(self._connection.scalars(sa.select(column)))

    def _insert(self, table: sa.Table, rows: list[Row]) -> None:
        for some in in_batches(rows):
            self._connection.execute(sa.insert(table), some)


def _is_well_formed(table: sa.Table, row: Row) -> bool:
    """Return True for a row that reads as its record. Raises what reading it raises."""
    if table is fingerprints:
        fingerprint_from_json(row["measures"])
        return all(type(number) in {int, float} for number in row["numbers"].values())
    (DecisionKind if table is decisions else Verdict)(row["kind" if table is decisions else "verdict"])
    return all(finding_from_json(finding).rule for finding in row["findings"])


def _files_of_shard(row: Row) -> list[StoredFile]:
    return [file for files in row["files"].values() for file in files_of(files)]


def _known_version(row: Row, known: Collection[int]) -> Row:
    return {"version_id": row["version_id"] if row["version_id"] in known else None}
