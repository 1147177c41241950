"""Bringing the ledger of an earlier release to the present layout: what changed between the two, and moving every row over.

Whether a ledger is one of an earlier release, and the transaction, are up to `layouts`. Record 21 in `docs/decisions` says why this is not Alembic.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.input_lists import Entry, chunks_of
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values
from spam_pipeline.protocol.ledger.tables import LAYOUT, layout, metadata, shared_values

UPGRADED = (3, 4, 5)
"""The layouts that are brought to the present one: those of releases 0.3 to 0.8, of 0.9 and 0.10, and of 0.11."""

REBUILT = 3
"""The one whose tables are rebuilt for that, which leaves room in the file."""

_ROWS = 1000
"""Rows that are moved at a time."""


def upgrade(connection: Connection, found: int) -> None:
    """Bring a ledger from the layout that was found to the present one. The caller has begun the transaction, which no other writer overlaps.

    Later layouts than the one that is rebuilt have only gained tables.
    """
    if found == REBUILT:
        _rebuild(connection)
    else:
        metadata.create_all(connection)
    connection.execute(sa.update(layout).values(number=LAYOUT))


def _rebuild(connection: Connection) -> None:
    """Bring over every row of layout 3, with its id.

    It had a row for each input of each version, columns and settings in each version, and JSON as text.
    """
    old = sa.MetaData()
    known = metadata.tables.keys() - {layout.name} | {"inputs"}
    old.reflect(connection, only=lambda name, _: name in known)
    rebuilt = old.tables.keys() - {"inputs"}
    shared_values.create(connection)
    lists = dict(_input_lists(connection, old.tables["inputs"]))
    old.tables["inputs"].drop(connection)
    aside = {name: _moved_aside(connection, old.tables[name]) for name in rebuilt}
    # Rebuilt as a whole, because SQLite neither changes a column's type nor drops a table that others refer to.
    for table in reversed(old.sorted_tables):
        if table.name in rebuilt:
            table.drop(connection)
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        if table.name in rebuilt:
            _move_back(connection, aside[table.name], table, lists)


def _input_lists(connection: Connection, inputs: sa.Table) -> Iterator[tuple[int, bytes]]:
    """Keep the inputs of each version as a list; yield the version and the digest of its list."""
    rows = _streamed(connection, sa.select(inputs).order_by(inputs.c.version_id, inputs.c.position))
    for version_id, items in groupby(rows, key=lambda row: row.version_id):
        name, chunks = chunks_of([_entry(row) for row in items])
        keep_values(connection, chunks)
        yield version_id, name


def _entry(row: Any) -> Entry:
    if row.observation_id is None:
        return Entry(row.parameter, row.part, row.upstream_version_id)
    return Entry(row.parameter, None, row.observation_id)


def _moved_aside(connection: Connection, table: sa.Table) -> sa.TableClause:
    """Copy a table, without keys and indexes, whose names the new one needs."""
    aside = sa.table(f"layout_3_{table.name}", *[sa.column(column.name, column.type) for column in table.columns])
    connection.exec_driver_sql(f"CREATE TABLE {aside.name} AS SELECT * FROM {table.name}")  # noqa: S608 - names of our own tables
    return aside


def _move_back(connection: Connection, aside: sa.TableClause, table: sa.Table, lists: Mapping[int, bytes]) -> None:
    rows = _streamed(connection, sa.select(aside))
    for some in rows.partitions():
        found = [row._asdict() for row in some]
        connection.execute(sa.insert(table), _versions(connection, found, lists) if "inputs" in table.c else found)
    connection.exec_driver_sql(f"DROP TABLE {aside.name}")
    if connection.dialect.name == "postgresql" and "id" in table.c:
        last = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"  # noqa: S608 - as above
        connection.exec_driver_sql(last)


def _versions(
    connection: Connection, rows: Sequence[dict[str, Any]], lists: Mapping[int, bytes]
) -> list[dict[str, Any]]:
    """Rows of versions with the digests of what they share with others."""
    nothing, chunks = chunks_of([])
    shared = chunks | {digest_of_value(row[name]): row[name] for row in rows for name in _SHARED}
    keep_values(connection, shared)
    return [
        row | {name: digest_of_value(row[name]) for name in _SHARED} | {"inputs": lists.get(row["id"], nothing)}
        for row in rows
    ]


_SHARED = ("columns", "configuration")


def _streamed(connection: Connection, query: Any) -> Any:
    return connection.execute(query, execution_options={"yield_per": _ROWS})
