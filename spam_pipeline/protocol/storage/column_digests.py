"""Digests of single columns of stored files, so that a consumer of some columns can tell whether any of those has changed.

They are made of the bytes of a column as they lie in the file, its type, and the rows of each row group: as the writer gives the same frame
the same bytes, it gives an equal column equal bytes, whatever the other columns are. The order of rows counts.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from glob import escape
from pathlib import Path

import duckdb
import polars as pl
from polars.datatypes import DataTypeClass

from spam_pipeline.protocol.ledger.column_contents import DIGEST_BYTES, ColumnContents

_CHUNKS = """
    SELECT column_id, row_group_num_rows, coalesce(nullif(dictionary_page_offset, 0), data_page_offset), total_compressed_size
    FROM parquet_metadata(?) ORDER BY row_group_id, column_id
"""
"""Where the values of each leaf of a column lie in a file: DuckDB shows that of a footer, Polars does not."""


def column_contents(files: Sequence[Path]) -> ColumnContents | None:
    """The contents of each column over the files of a part, one after the other; None where they do not have the same columns."""
    schemas = [pl.scan_parquet(file, glob=False).collect_schema() for file in files]
    schema = schemas[0]
    if any(list(other.items()) != list(schema.items()) for other in schemas):
        return None
    digests = [hashlib.sha256(str(dtype).encode()) for dtype in schema.values()]
    column_of_leaf = [column for column, dtype in enumerate(schema.values()) for _ in range(_leaves(dtype))]
    for file in files:
        for leaf, rows, values in _chunks(file):
            digest = digests[column_of_leaf[leaf]]
            digest.update(f"{rows} {len(values)}:".encode())
            digest.update(values)
    return ColumnContents(tuple(schema), b"".join(digest.digest()[:DIGEST_BYTES] for digest in digests))


def _chunks(file: Path) -> Iterator[tuple[int, int, bytes]]:
    """Leaf, rows and bytes of each chunk of a file, one in memory at a time."""
    chunks = _database().cursor().execute(_CHUNKS, [escape(str(file))]).fetchall()
    with file.open("rb") as opened:
        for leaf, rows, start, size in chunks:
            opened.seek(start)
            yield leaf, rows, opened.read(size)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One database for all files: making one takes 30 ms, asking for a footer 1.5."""
    return duckdb.connect(config={"threads": 1})


def _leaves(dtype: pl.DataType | DataTypeClass) -> int:
    """The number of flat columns that a column is stored as.

    >>> _leaves(pl.List(pl.Struct({"name": pl.String, "at": pl.Array(pl.Int64, 2)})))
    2
    """
    if isinstance(dtype, pl.Struct):
        return sum(_leaves(inner) for inner in dtype.to_schema().values())
    if isinstance(dtype, pl.List | pl.Array):
        return _leaves(dtype.inner)
    return 1
