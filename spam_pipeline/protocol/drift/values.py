"""Values of distributions, put together until each is frequent enough to be compared: rare ones, or neighbours in magnitude."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spam_pipeline.protocol.drift.levels import Floats
from spam_pipeline.protocol.fingerprint import NULL, Distribution, Histogram

_LEAST_ROWS = 5
"""Rows that a value is expected to have in a partition for chi-square to hold (Cochran 1954)."""

_MOST_RANGES = 20
"""Ranges of magnitudes compared at most; more would not show a move of a few per cent better."""

OTHERS = "all others"
"""The name of the values that are too rare to be compared one by one."""


class Table(NamedTuple):
    """Counts of each value (columns) in each partition (rows)."""

    names: tuple[str, ...]
    counts: Floats


def table_of(distributions: Sequence[Distribution]) -> Table:
    """The counts of partitions side by side, the one under test last.

    Magnitudes come in ranges that hold about as many rows each, `null` by itself; of other values the rare ones come together.
    """
    shares = [distribution.shares() for distribution in distributions]
    values = list(dict.fromkeys(value for each in shares for value in each))
    if is_ordered := isinstance(distributions[0], Histogram):
        values.sort(key=lambda value: np.inf if value == NULL else float(value))
    rows = np.array([distribution.total for distribution in distributions], dtype=np.float64)
    counts = np.rint(np.array([[each.get(value, 0.0) for value in values] for each in shares]) * rows[:, None])
    least = _LEAST_ROWS / min(float(np.median(rows)), float(rows[-1]))
    return _in_ranges(values, counts, least) if is_ordered else _without_rare(values, counts, least)


def _without_rare(values: Sequence[str], counts: Floats, least: float) -> Table:
    """Values that have less than the `least` share of all rows become one."""
    is_rare = counts.sum(axis=0) / counts.sum() < least
    names = [value for value, rare in zip(values, is_rare, strict=True) if not rare]
    rest = counts[:, is_rare].sum(axis=1)
    if not rest.any():
        return Table(tuple(names), counts[:, ~is_rare])
    return Table((*names, OTHERS), np.column_stack([counts[:, ~is_rare], rest]))


def _in_ranges(values: Sequence[str], counts: Floats, least: float) -> Table:
    """Ascending values become ranges with about the same share of all rows."""
    shares = counts.sum(axis=0) / counts.sum()
    ranges = np.floor((np.cumsum(shares) - shares / 2) / max(1 / _MOST_RANGES, least))
    ranges[[value == NULL for value in values]] = np.inf
    starts = np.flatnonzero(np.diff(ranges, prepend=-1.0)).tolist()
    ends = [*starts[1:], len(values)]
    names = [_range(values[start], values[end - 1]) for start, end in zip(starts, ends, strict=True)]
    return Table(tuple(names), np.add.reduceat(counts, starts, axis=1))


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
