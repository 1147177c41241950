"""The rows of contents by column, see `column_contents`. The caller has begun the transaction."""

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.column_contents import ColumnContents
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values, values_of
from spam_pipeline.protocol.ledger.tables import part_columns

_ADD = sa.insert(part_columns)
_OF_VERSIONS = sa.select(part_columns).where(part_columns.c.version_id.in_(sa.bindparam("ids", expanding=True)))


def add_part_columns(connection: Connection, version_id: int, contents: Mapping[str, ColumnContents]) -> None:
    """Keep the contents by column of a version's parts, by part."""
    names = {digest_of_value(item.names): item.names for item in contents.values()}
    keep_values(connection, names)
    rows = [
        {"version_id": version_id, "part": part, "names": digest_of_value(item.names), "digests": item.digests}
        for part, item in contents.items()
    ]
    if rows:
        connection.execute(_ADD, rows)


def names_of(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, tuple[str, ...]]:
    """The names of columns, by the digests that they are kept under."""
    return {digest: tuple(names) for digest, names in values_of(connection, digests).items()}


def part_columns_of(connection: Connection, ids: Collection[int]) -> dict[tuple[int, str], ColumnContents]:
    """The contents by column of versions, as many as one query takes, by version and part."""
    rows = connection.execute(_OF_VERSIONS, {"ids": list(ids)}).all()
    names = names_of(connection, {row.names for row in rows})
    return {(row.version_id, row.part): ColumnContents(names[row.names], row.digests) for row in rows}
