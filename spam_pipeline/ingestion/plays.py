"""Deduplication of plays: of everything received for an event day, the earliest arrival of each event.

Delivery is at-least-once, so an event may come in several files, hours or days. Records are identified by their whole
`event_id`; a 64-bit hash only narrows the search. Validation happens before.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

import polars as pl
import polars_hash as plh

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.protocol import column_types, in_slices, key_ranges, rows_in, slices_of

_SLICE_ROWS: Final = 700_000
"""Plays that are sorted at a time, with all their columns, of which many are texts: a day of 20 million takes 1.7 GiB, with a million 2.0."""

_HASHES: Final = 4
"""Hashes are compared in slices of so many times the rows: they are a column of their own."""

_COLUMNS: Final = list(column_types(Plays))
_KEY: Final = ["event_id", "arrival_hour"]


def distinct_plays(received: pl.LazyFrame, slice_rows: int = _SLICE_ROWS) -> pl.LazyFrame:
    """Deduplicate `ReceivedPlays` to `Plays`: the earliest arrival hour of each event, ordered by time and id.

    Among copies with the same arrival hour the smallest in the order of the contract's columns is kept, nulls first, so that the
    result does not depend on the order of the input. `received` is read several times and has the same order each time, as files
    have. Memory holds `slice_rows` plays, the plays of a second if they are more, and eight bytes for each copy.
    """
    return in_slices(partial(_slices, received.select(_COLUMNS), slice_rows), column_types(Plays))


def _slices(received: pl.LazyFrame, slice_rows: int) -> Iterator[pl.DataFrame]:
    """Yield the distinct plays of one span of time after another."""
    numbered, rows = received.with_row_index("row"), rows_in(received)
    repeats = _repeats(numbered, rows, slice_rows)
    for in_span in _spans(received, slice_rows) if rows > slice_rows else [pl.lit(value=True)]:
        distinct = numbered.filter(in_span).join(repeats, on="row", how="anti").drop("row").collect(engine="streaming")
        yield distinct.sort("occurred_at", "event_id")  # in a third of the time that the streaming engine takes to sort


def _repeats(plays: pl.LazyFrame, rows: int, slice_rows: int) -> pl.LazyFrame:
    """Find the rows of all copies of an event but the first one."""
    # Only possible duplicates are sorted: 7.8 s and 2.1 GB over 10 million rows, where `unique` took 20 s and 11 GB at least.
    suspect = plh.col("event_id").nchash.xxh3_64()
    hashed = plays.select(suspect=suspect)
    again = pl.concat(
        _again(hashed.filter(hashes).collect(engine="streaming")["suspect"])
        for hashes in key_ranges(pl.col("suspect"), slices_of(rows, slice_rows * _HASHES))
    )
    repeated = pl.DataFrame([again.unique()])
    copies = 2 * again.len()  # or fewer: of three copies two come again
    return pl.concat(
        _later_copies(plays.with_columns(suspect=suspect), repeated.filter(hashes))
        for hashes in key_ranges(pl.col("suspect"), slices_of(copies, slice_rows))
    ).lazy()


def _again(hashes: pl.Series) -> pl.Series:
    """The hashes that come again, once for each time. Sorting takes half as long as counting groups."""
    ordered = hashes.sort()
    return ordered.filter(ordered == ordered.shift())


def _later_copies(plays: pl.LazyFrame, repeated: pl.DataFrame) -> pl.DataFrame:
    copies = plays.join(repeated.lazy(), on="suspect", how="semi")
    order = [*_KEY, *(name for name in _COLUMNS if name not in _KEY)]
    in_order = copies.sort(order, nulls_last=False)
    is_later = pl.col("event_id").eq_missing(pl.col("event_id").shift())
    return in_order.filter(is_later).select("row").collect(engine="streaming")


def _spans(plays: pl.LazyFrame, slice_rows: int) -> list[pl.Expr]:
    """Divide time into spans, in order, with about so many plays each, or of one second."""
    occurred_at = pl.col("occurred_at")
    counts = plays.group_by(second=occurred_at.dt.truncate("1s")).agg(
        plays=pl.len().cast(pl.Int64), first=occurred_at.min(), last=occurred_at.max()
    )
    number = (pl.col("plays").cum_sum() - 1) // slice_rows
    spans = counts.sort("second").group_by(number, maintain_order=True).agg(pl.col("first").min(), pl.col("last").max())
    bounds = spans.select("first", "last").collect(engine="streaming")
    return [occurred_at.is_between(first, last) for first, last in bounds.rows()]
