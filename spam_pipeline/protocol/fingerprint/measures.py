"""Measures: declarations of a contract about its data, in the terms of its domain.

A measure names the aggregations and small tables of a frame that it needs, and makes a measurement of their results;
running those of all measures at once is `measuring`. Measures that need no more than aggregations are here, those that group
the rows are in `grouped_measures`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.protocol.fingerprint.entropy import significant
from spam_pipeline.protocol.fingerprint.measured import (
    Averaged,
    Counted,
    Figured,
    Measured,
    Proportion,
    Recorded,
)

_WIDE_ZERO = pl.lit(0, dtype=pl.Int128)


@dataclass(frozen=True)
class Drift:
    """Evaluation against the stage's history: a move warns, and refuses when more than this share of rows (0..1) moved.

    `refuse_fall_above` refuses a number that fell by more than this share, however far others may rise: a crowd is a suspicion, which
    holds its own plays, but a day that is not there is a fault.
    """

    refuse_above: float | None = None
    refuse_fall_above: float | None = None


EVALUATED = Drift()
"""Findings on drift warn, however far it goes."""


class Found(NamedTuple):
    """The frame that is measured, and the results of a measure's own `scalars` and `tables`, in their order."""

    frame: pl.LazyFrame
    scalars: tuple[Any, ...]
    tables: tuple[pl.DataFrame, ...]


class Measure(ABC):
    """Something to measure of a frame; its drift is evaluated unless `drift` is None.

    `tolerated_loss` is the share (0..1) of each of its numbers that a version may lose against the one that readers have now, before
    it is refused; None for numbers that may fall for good reasons.
    """

    drift: Drift | None
    tolerated_loss: float | None = None

    def scalars(self) -> tuple[pl.Expr, ...]:
        """Aggregations of the frame to one value each."""
        return ()

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """Small tables about the frame."""
        del frame
        return ()

    @abstractmethod
    def measured(self, found: Found) -> Measured | None:
        """The measurement, or None where nothing is known. Raises `TypeError` where the data is of the wrong type."""


@dataclass(frozen=True, eq=False)
class Count(Measure):
    """The rows, or the rows for which a boolean expression holds."""

    rows: pl.Expr | None = None
    drift: Drift | None = None
    tolerated_loss: float | None = None

    def scalars(self) -> tuple[pl.Expr, ...]:
        """The number of rows."""
        return (summed(self.rows),)

    def measured(self, found: Found) -> Counted:
        """The number of rows."""
        return Counted(integer(found.scalars[0], self.rows))


@dataclass(frozen=True, eq=False)
class Total(Measure):
    """The exact sum of an expression of integers; nulls count nothing."""

    amount: pl.Expr
    drift: Drift | None = None
    tolerated_loss: float | None = None

    def scalars(self) -> tuple[pl.Expr, ...]:
        """The sum."""
        return (summed(self.amount),)

    def measured(self, found: Found) -> Counted:
        """The sum."""
        return Counted(integer(found.scalars[0], self.amount))


@dataclass(frozen=True, eq=False)
class Share(Measure):
    """The share of rows for which `part` holds, of those for which `whole` holds or of all.

    Integers in place of booleans weigh the rows.
    """

    part: pl.Expr
    whole: pl.Expr | None = None
    drift: Drift | None = EVALUATED

    def scalars(self) -> tuple[pl.Expr, ...]:
        """Part and whole."""
        return summed(self.part), summed(self.whole)

    def measured(self, found: Found) -> Proportion:
        """Part and whole."""
        part, whole = found.scalars
        return Proportion(integer(part, self.part), integer(whole, self.whole))


@dataclass(frozen=True, eq=False)
class Mean(Measure):
    """The mean of an expression of integers, leaving out nulls."""

    value: pl.Expr
    drift: Drift | None = EVALUATED

    def scalars(self) -> tuple[pl.Expr, ...]:
        """Sum and number of the values."""
        return summed(self.value), self.value.count()

    def measured(self, found: Found) -> Averaged:
        """Sum and number of the values."""
        total, count = found.scalars
        return Averaged(integer(total, self.value), count)


@dataclass(frozen=True, eq=False)
class Figure(Measure):
    """Any aggregation to one number, which then cannot be merged; absent when it is null or NaN.

    It is taken of the frame, or of what `table` makes of the frame: groups of rows take less memory than a window over each row.
    """

    value: pl.Expr
    drift: Drift | None = None
    table: Callable[[pl.LazyFrame], pl.LazyFrame] | None = None

    def scalars(self) -> tuple[pl.Expr, ...]:
        """The figure of the frame."""
        return () if self.table else (self._figure,)

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """The figure of the table."""
        return (self.table(frame).select(figure=self._figure),) if self.table else ()

    @property
    def _figure(self) -> pl.Expr:
        return self.value.cast(pl.Float64).fill_nan(None)

    def measured(self, found: Found) -> Figured | None:
        """The figure, to nine significant digits."""
        value = found.tables[0].item() if self.table else found.scalars[0]
        return None if value is None else Figured(significant(value))


@dataclass(frozen=True, eq=False)
class Records(Measure):
    """A small table (some 25 rows) that a function of the frame gives.

    Its rows are kept in its order, as values that JSON holds: floats to nine significant digits, dates and times as text.
    """

    rows: Callable[[pl.LazyFrame], pl.LazyFrame]
    drift: Drift | None = None

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """The table."""
        return (self.rows(frame),)

    def measured(self, found: Found) -> Recorded:
        """The rows of the table."""
        return Recorded(tuple(_kept(row) for row in found.tables[0].rows(named=True)))


def summed(expression: pl.Expr | None) -> pl.Expr:
    """The sum of booleans or integers, in 128 bits so that it never wraps around; the number of rows for None."""
    return pl.len() if expression is None else (_WIDE_ZERO + expression).sum()


def integer(value: Any, expression: pl.Expr | None) -> int:
    """A sum that `summed` gave for an expression. Raises `TypeError` when it is no integer: fractions add up inexactly."""
    if not isinstance(value, int):
        raise TypeError(f"{expression} adds up to {value!r}; expected booleans or integers, so that sums are exact")
    return value


def _kept(value: Any) -> Any:
    """A value as JSON holds it."""
    match value:
        case Mapping():
            return {name: _kept(item) for name, item in value.items()}
        case list():
            return [_kept(item) for item in value]
        case float():
            return significant(value) if value == value else None  # noqa: PLR0124 - JSON has no NaN
        case date() | datetime():
            return value.isoformat()
        case _:
            return value
