"""Comparison of rows: those of two versions that were added, removed or changed, by the key of their contract.

Nothing is shown of a row but its key and what changed of it. Large versions are read in slices by a hash of the key, so that
they need not fit into memory.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import polars as pl

EXAMPLES = 5
"""Rows of each kind that are shown."""

ROWS_AT_ONCE = 2_000_000
"""Rows of each version that are in memory at a time; with twenty columns they take some two gigabytes."""

Values = Mapping[str, Any]
"""Values of a row by column, such that JSON holds them."""


@dataclass(frozen=True)
class Example:
    """A row by its key, with the values that differ; empty on both sides where the row was added or removed as a whole."""

    key: Values
    old: Values = field(default_factory=dict)
    new: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """Counts of rows that were added, removed, changed and left as they are, and of rows in which each column changed.

    Without a key, or if the key is not one of both versions, whole rows are compared, and none counts as changed.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    by_column: Mapping[str, int] = field(default_factory=dict)
    added_examples: tuple[Example, ...] = ()
    removed_examples: tuple[Example, ...] = ()
    changed_examples: tuple[Example, ...] = ()


def rows_between(old: pl.LazyFrame, new: pl.LazyFrame, key: Sequence[str], rows_at_once: int = ROWS_AT_ONCE) -> Rows:
    """Compare two frames by the columns that name a row in each of them, or by whole rows if there are none such.

    A column that only one frame has, or that has another type there, is left out; whole rows without it are others.
    """
    types, types_now = old.collect_schema(), new.collect_schema()
    same = [name for name, dtype in types.items() if types_now.get(name) == dtype]
    if not key or not set(key) <= set(same):
        return _by_whole_rows(old, new)
    rows = max(size.item() for size in pl.collect_all([old.select(pl.len()), new.select(pl.len())]))
    slices = 1 + rows // rows_at_once
    found = []
    for number in range(slices):  # Polars' hash differs between its releases, which is no matter within one comparison
        is_in_slice = pl.struct(key).hash() % slices == number if slices > 1 else pl.lit(value=True)
        one = _by_key(old.select(same).filter(is_in_slice), new.select(same).filter(is_in_slice), key)
        if one is None:
            return _by_whole_rows(old, new)
        found.append(one)
    return summed(found)


def summed(found: Iterable[Rows]) -> Rows:
    """All rows together, with the first examples."""
    return reduce(_both, found, Rows())


def _both(left: Rows, right: Rows) -> Rows:
    return Rows(
        left.added + right.added,
        left.removed + right.removed,
        left.changed + right.changed,
        left.unchanged + right.unchanged,
        dict(Counter(left.by_column) + Counter(right.by_column)),
        (*left.added_examples, *right.added_examples)[:EXAMPLES],
        (*left.removed_examples, *right.removed_examples)[:EXAMPLES],
        (*left.changed_examples, *right.changed_examples)[:EXAMPLES],
    )


def _by_key(old: pl.LazyFrame, new: pl.LazyFrame, key: Sequence[str]) -> Rows | None:
    """Compare rows by key; None when the key names several rows."""
    columns = [name for name in old.collect_schema().names() if name not in set(key)]
    joined = _joined(old, new, key, columns)
    counts, sizes, by_column, added, removed, changed = pl.collect_all(
        [
            joined.select(
                pl.col(_ADDED, _REMOVED, _CHANGED).sum(), matched=(~pl.col(_ADDED) & ~pl.col(_REMOVED)).sum()
            ),
            pl.concat([old.select(old=pl.len()), new.select(new=pl.len())], how="horizontal"),
            joined.select(_differs(name).sum() for name in columns),
            *(joined.filter(kind).sort(key).head(EXAMPLES) for kind in (_ADDED, _REMOVED, _CHANGED)),
        ],
        engine="streaming",
    )
    found, size = counts.row(0, named=True), sizes.row(0, named=True)
    if found["matched"] + found[_REMOVED] != size["old"] or found["matched"] + found[_ADDED] != size["new"]:
        return None
    return Rows(
        found[_ADDED],
        found[_REMOVED],
        found[_CHANGED],
        found["matched"] - found[_CHANGED],
        {name: rows for name, rows in by_column.row(0, named=True).items() if rows} if columns else {},
        tuple(_example(row, key, ()) for row in added.rows(named=True)),
        tuple(_example(row, key, ()) for row in removed.rows(named=True)),
        tuple(_example(row, key, columns) for row in changed.rows(named=True)),
    )


_ADDED, _REMOVED, _CHANGED, _NEW = "\0added", "\0removed", "\0changed", "\0new"
"""Columns of the joined frames, under names that no contract can give to its own; the last is the suffix of new values."""


def _joined(old: pl.LazyFrame, new: pl.LazyFrame, key: Sequence[str], columns: Sequence[str]) -> pl.LazyFrame:
    """Old and new rows side by side by key, with what became of each."""
    joined = old.with_columns(pl.lit(value=True).alias(_REMOVED)).join(
        new.with_columns(pl.lit(value=True).alias(_ADDED)), on=key, how="full", suffix=_NEW, coalesce=True
    )
    is_matched = pl.col(_ADDED).is_not_null() & pl.col(_REMOVED).is_not_null()
    return joined.with_columns(
        pl.col(_REMOVED).is_null().alias(_ADDED),
        pl.col(_ADDED).is_null().alias(_REMOVED),
        (is_matched & pl.any_horizontal([pl.lit(value=False), *(_is_other(name) for name in columns)])).alias(_CHANGED),
    )


def _is_other(name: str) -> pl.Expr:
    return pl.col(name).ne_missing(pl.col(name + _NEW))


def _differs(name: str) -> pl.Expr:
    return (pl.col(_CHANGED) & _is_other(name)).alias(name)


def _example(row: Mapping[str, Any], key: Sequence[str], columns: Sequence[str]) -> Example:
    old = {name: _plain(row[name]) for name in columns}
    new = {name: _plain(row[name + _NEW]) for name in columns}
    differing = [name for name in columns if old[name] != new[name]]
    return Example(
        {name: _plain(row[name]) for name in key},
        {name: old[name] for name in differing},
        {name: new[name] for name in differing},
    )


def _plain(value: Any) -> Any:
    """A value as JSON holds it; other types as text."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _by_whole_rows(old: pl.LazyFrame, new: pl.LazyFrame) -> Rows:
    """Compare whole rows; one that is there several times counts several times."""
    if old.collect_schema() != new.collect_schema():
        sizes = pl.collect_all([old.select(pl.len()), new.select(pl.len())])
        return Rows(added=sizes[1].item(), removed=sizes[0].item())
    sides = pl.concat([old.with_columns(pl.lit(0).alias(_NEW)), new.with_columns(pl.lit(1).alias(_NEW))])
    is_new = pl.col(_NEW).sum()
    counts = sides.group_by(old.collect_schema().names()).agg(new=is_new, old=pl.len() - is_new)
    more = pl.col("new").cast(pl.Int64) - pl.col("old").cast(pl.Int64)
    found = counts.select(
        added=more.clip(lower_bound=0).sum(),
        removed=(-more).clip(lower_bound=0).sum(),
        unchanged=pl.min_horizontal("new", "old").sum(),
    )
    return Rows(**found.collect(engine="streaming").row(0, named=True))
