"""Measures that group the rows by a value: sums by value, spreads, keys and magnitudes."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from spam_pipeline.protocol.fingerprint.distributions import LN_GROWTH, NULL, REST, Histogram, Spreading
from spam_pipeline.protocol.fingerprint.entropy import entropy_of
from spam_pipeline.protocol.fingerprint.key_sample import LISTED, SAMPLED, KeySample, Top, most_frequent
from spam_pipeline.protocol.fingerprint.measured import Summed
from spam_pipeline.protocol.fingerprint.measures import EVALUATED, Drift, Found, Measure, integer, summed

SPREAD_VALUES = 256
"""Values that a spread tells apart; where there are more, the last of these stands for the rest."""


@dataclass(frozen=True, eq=False)
class Totals(Measure):
    """Exact sums of integers, or numbers of rows without an `amount`, by few values, such as money by currency."""

    amount: pl.Expr | None
    by: pl.Expr
    drift: Drift | None = None
    tolerated_loss: float | None = None

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """The sum of each value."""
        return (_labelled(frame, self.by, self.amount),)

    def measured(self, found: Found) -> Summed:
        """The sum of each value."""
        return Summed(_by_label(found.tables[0].sort("value"), self.amount))


@dataclass(frozen=True, eq=False)
class Spread(Measure):
    """Rows, or integer weights from zero on, by few values, such as countries; null is a value of its own."""

    value: pl.Expr
    weight: pl.Expr | None = None
    drift: Drift | None = EVALUATED

    def scalars(self) -> tuple[pl.Expr, ...]:
        """The total."""
        return (summed(self.weight),)

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """The most frequent values, one more than are told apart, so that it shows whether these are all."""
        labelled = _labelled(frame, self.value, self.weight)
        return (labelled.top_k(SPREAD_VALUES + 1, by=["count", "value"], reverse=[False, True]),)

    def measured(self, found: Found) -> Spreading:
        """The count of each value, most frequent first, and of the rest."""
        table = found.tables[0].sort(["count", "value"], descending=[True, False])
        named = _by_label(table if table.height <= SPREAD_VALUES else table.head(SPREAD_VALUES - 1), self.weight)
        rest = integer(found.scalars[0], self.weight) - sum(named.values())
        return Spreading(_present({**named, REST: named.get(REST, 0) + rest}))


@dataclass(frozen=True, eq=False)
class Keys(Measure):
    """Rows, or integer weights from zero on, by UInt64 keyed hashes; rows without a key are left out.

    `name` is what people call a key; where rows of a key disagree, the smallest name counts.
    """

    key: pl.Expr
    name: pl.Expr | None = None
    weight: pl.Expr | None = None
    drift: Drift | None = EVALUATED

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """The most frequent keys, the smallest ones, and how many keys have each count."""
        counted = _grouped(frame, self.key, self.weight).filter(pl.col("value").is_not_null(), pl.col("count") != 0)
        return (
            counted.top_k(LISTED, by=["count", "value"], reverse=[False, True]),
            counted.bottom_k(SAMPLED, by="value"),
            counted.group_by("count").agg(pl.len().alias("keys")),
        )

    def measured(self, found: Found) -> KeySample:
        """All about the keys. Raises `TypeError` for keys that are no UInt64."""
        frequent, smallest, frequencies = found.tables
        if smallest.schema["value"] != pl.UInt64:
            raise TypeError(f"{self.key} gives {smallest.schema['value']}; expected keyed hashes, which are UInt64")
        keys_by_count = {integer(count, self.weight): keys for count, keys in frequencies.rows()}
        distinct = sum(keys_by_count.values())
        names = self._names(found.frame, frequent["value"])
        top = most_frequent(Top(key, names.get(key, ""), count) for key, count in frequent.rows())
        entropy = entropy_of(keys_by_count.items())
        return KeySample(
            total=sum(count * keys for count, keys in keys_by_count.items()),
            distinct=distinct,
            top=top,
            sample=dict(sorted(smallest.rows())),
            entropy_nats=entropy.nats,
            surprise_variance=entropy.surprise_variance,
            unlisted=top[-1].count if distinct > LISTED else 0,
        )

    def _names(self, frame: pl.LazyFrame, keys: pl.Series) -> Mapping[int, str]:
        """The names of a few keys; looked up afterwards, because grouping all rows by text would take as long as all else."""
        if self.name is None:
            return {}
        rows = frame.select(key=self.key, name=self.name).filter(pl.col("key").is_in(keys.implode()))
        names = rows.group_by("key").agg(pl.col("name").min()).drop_nulls().collect(engine="streaming")
        return dict(names.rows())


@dataclass(frozen=True, eq=False)
class Quantiles(Measure):
    """Numbers from zero on by magnitude, within 2 % of each; see `Histogram`."""

    value: pl.Expr
    drift: Drift | None = EVALUATED

    def scalars(self) -> tuple[pl.Expr, ...]:
        """All rows, and those whose number is zero."""
        return pl.len(), (self.value == 0).sum()

    def tables(self, frame: pl.LazyFrame) -> tuple[pl.LazyFrame, ...]:
        """The rows of each bucket, and those that are in none."""
        number = self.value.cast(pl.Float64)
        positive = pl.when(number.is_finite() & (number > 0)).then(number)
        return (_grouped(frame, (positive.log() / LN_GROWTH).ceil().cast(pl.Int32), None),)

    def measured(self, found: Found) -> Histogram:
        """Buckets, zeros, and the rows that are neither."""
        rows, zeros = found.scalars
        buckets = dict(found.tables[0].drop_nulls().sort("value").rows())
        return Histogram(buckets, zeros, rows - zeros - sum(buckets.values()))


def _grouped(frame: pl.LazyFrame, value: pl.Expr, weight: pl.Expr | None) -> pl.LazyFrame:
    """The rows, or the sum of the weights, of each `value` as its `count`."""
    return frame.group_by(value.alias("value")).agg(summed(weight).alias("count"))


def _labelled(frame: pl.LazyFrame, value: pl.Expr, weight: pl.Expr | None) -> pl.LazyFrame:
    """The same with values as text, which they become after grouping because there are few of them."""
    return _grouped(frame, value, weight).with_columns(pl.col("value").cast(pl.String).fill_null(NULL))


def _by_label(table: pl.DataFrame, weight: pl.Expr | None) -> dict[str, int]:
    """Counts by label in the order of the table; values that read the same, like null and its label, are one."""
    counts: dict[str, int] = {}
    for label, count in table.rows():
        counts[label] = counts.get(label, 0) + integer(count, weight)
    return counts


def _present(counts: Mapping[str, int]) -> dict[str, int]:
    return {value: count for value, count in counts.items() if count}
