"""Slices: work through a frame that is too large for memory a part at a time, with the same result.

Slices are no layout: what is written does not show how many there were. Their number follows from the rows, so that nobody has to
choose it. What a slice is computed to belongs to whoever computes it.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

SLICE_ROWS: Final = 2_000_000
"""Rows of one slice: with ten numbers each, and as much again while they are grouped, some 500 MB."""

_KEYS: Final = 2**64


def in_slices(slices: Callable[[], Iterator[pl.DataFrame]], columns: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Join frames with these `columns`, one after the other, into one lazy frame; each is computed when the one before was read.

    Whoever writes the result to a file holds one slice and a few row groups. `slices` is called each time that it is read.

    >>> numbers = in_slices(lambda: (pl.DataFrame({"n": [number]}) for number in range(3)), {"n": pl.Int64()})
    >>> numbers.filter(pl.col("n") > 0).collect()["n"].to_list()
    [1, 2]
    """

    def read(
        names: list[str] | None, predicate: pl.Expr | None, rows: int | None, _batch_rows: int | None
    ) -> Iterator[pl.DataFrame]:
        for piece in slices():
            wanted = piece.head(rows) if rows is not None else piece
            rows = rows - wanted.height if rows is not None else None
            kept = wanted if predicate is None else wanted.filter(predicate)
            yield kept if names is None else kept.select(names)
            if rows == 0:
                return

    return register_io_source(read, schema=dict(columns))


def rows_in(frame: pl.LazyFrame) -> int:
    """Count the rows of a frame; of stored files only their ends are read."""
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def slices_of(rows: int, slice_rows: int) -> int:
    """Return the number of slices with at most so many rows each, at least one."""
    return max(1, -(-rows // slice_rows))


def key_ranges(key: pl.Expr, slices: int) -> list[pl.Expr]:
    """Divide all 64-bit keys into so many ranges, in order; keys that are hashes fall into each alike.

    Rows with the same key are in one range, so a range with a frequent key has more rows; rows without a key are in none.

    >>> [bounds] = key_ranges(pl.col("key"), 1)
    >>> pl.DataFrame({"key": [0, 2**64 - 1, None]}, schema={"key": pl.UInt64}).filter(bounds).height
    2
    """
    starts = [_KEYS * at // slices for at in range(slices + 1)]
    return [key.is_between(pl.lit(first, pl.UInt64), pl.lit(after - 1, pl.UInt64)) for first, after in pairwise(starts)]
