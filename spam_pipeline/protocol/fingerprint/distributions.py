"""Distributions of rows over few values, and over a range of magnitudes. Both merge exactly."""

import math
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from typing import Any, Self

from spam_pipeline.protocol.fingerprint.entropy import Entropy, effective_number, entropy_of
from spam_pipeline.protocol.fingerprint.estimate import Estimate
from spam_pipeline.protocol.fingerprint.measured import Measured, added

NULL = "null"
"""The value of a row that has none."""

REST = "…"
"""The value that stands for all values beyond the most frequent ones."""

RELATIVE_ERROR = 0.02
"""A quantile of a histogram is at most this far from the exact one, relative to it."""

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
LN_GROWTH = math.log(_GROWTH)
"""Bucket i of a histogram holds the values x with i - 1 < ln x / LN_GROWTH <= i."""

QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}


class Distribution(Measured):
    """A number of rows, spread over values."""

    @property
    @abstractmethod
    def total(self) -> int:
        """The rows (or weights) that are spread."""

    @abstractmethod
    def shares(self) -> dict[str, float]:
        """The share of the total that each value has; empty when the total is zero."""


@dataclass(frozen=True)
class Spreading(Distribution):
    """Rows, or weights, by few values: all values if there are at most 256, otherwise the most frequent 255.

    The others then count under the value `REST`, which is one value to every statistic. Merging keeps all values of both.
    """

    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """The rows, or the sum of their weights."""
        return sum(self.counts.values())

    def shares(self) -> dict[str, float]:
        """The share of each value, most frequent first."""
        total = self.total
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return {value: count / total for value, count in ordered} if total else {}

    def merge(self, other: Self) -> Self:
        """The counts of both; exact for values of which neither lost any row to `REST`."""
        return type(self)(added(self.counts, other.counts))

    def numbers(self, name: str) -> dict[str, float]:
        """The number of values, and the effective number of values."""
        if not self.total:
            return {}
        return {name: len(self.counts), f"effective_{name}": effective_number(self._entropy.nats, len(self.counts))}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """The effective number of values."""
        total, entropy = self.total, self._entropy
        return {f"effective_{name}": Estimate(entropy.nats, entropy.surprise_variance / total)} if total else {}

    @cached_property
    def _entropy(self) -> Entropy:
        return entropy_of((count, 1) for count in self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """The counts."""
        return {"counts": dict(self.counts)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The counts."""
        return cls(dict(kept["counts"]))


@dataclass(frozen=True)
class Histogram(Distribution):
    """Numbers from zero on by magnitude, in buckets of equal relative width.

    DDSketch (Masson, Rim and Lee, VLDB 12, 2019) without a limit on its buckets: quantiles have a relative error of at most
    `RELATIVE_ERROR`, and merging is exact. `nulls` are the rows without such a number: null, NaN, infinite or negative.
    """

    buckets: Mapping[int, int]
    zeros: int
    nulls: int

    @property
    def total(self) -> int:
        """All rows, with or without a number."""
        return sum(self.buckets.values()) + self.zeros + self.nulls

    def shares(self) -> dict[str, float]:
        """The share of each bucket, labelled by the number that stands for it, smallest first, and of rows without one."""
        total = self.total
        buckets = [(_label(bucket), self.buckets[bucket]) for bucket in sorted(self.buckets)]
        return {label: count / total for label, count in [("0", self.zeros), *buckets, (NULL, self.nulls)] if count}

    def quantile(self, share: float) -> float | None:
        """The number below which a share (0 to 1) of the numbers lie, within `RELATIVE_ERROR`; None when there are none."""
        numbers = self.total - self.nulls
        return self._at(share * (numbers - 1)) if numbers else None

    def merge(self, other: Self) -> Self:
        """The buckets of both."""
        return type(self)(added(self.buckets, other.buckets), self.zeros + other.zeros, self.nulls + other.nulls)

    def numbers(self, name: str) -> dict[str, float]:
        """The quantiles at 5, 50 and 95 %, in the unit of the values."""
        found = {f"{name}_{suffix}": self.quantile(share) for suffix, share in QUANTILES.items()}
        return {label: value for label, value in found.items() if value is not None}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """The quantiles, except those that are zero."""
        found = {f"{name}_{suffix}": self._estimate(share) for suffix, share in QUANTILES.items()}
        return {label: estimate for label, estimate in found.items() if estimate}

    def _estimate(self, share: float) -> Estimate | None:
        """The logarithm of a quantile; None where it is zero, or where sampling could make it so.

        The number of values below it is binomial, so its rank has the standard deviation sqrt(n q (1 - q)); half the distance
        between the values one such step up and down is the quantile's (Woodruff 1952), plus the variance of a bucket's width.
        """
        rank = share * (self.total - self.nulls - 1)
        step = math.sqrt(max(rank, 0.0) * (1 - share))
        low, high = self._at(max(rank - step, 0.0)), self._at(rank + step)
        if not low:
            return None
        return Estimate(math.log(self._at(rank)), (math.log(high / low) / 2) ** 2 + LN_GROWTH**2 / 12)

    def _at(self, rank: float) -> float:
        """The number at a rank, counted from zero in ascending order; the largest for ranks beyond."""
        numbers, ranks = self._ascending
        return numbers[min(bisect_right(ranks, rank), len(numbers) - 1)]

    @cached_property
    def _ascending(self) -> tuple[list[float], list[int]]:
        """The numbers that stand for zero and for each bucket, and how many of all are at most as large."""
        ascending = sorted(self.buckets)
        numbers = [0.0, *(_representative(bucket) for bucket in ascending)]
        return numbers, list(accumulate([self.zeros, *(self.buckets[bucket] for bucket in ascending)]))

    def to_json(self) -> dict[str, Any]:
        """Buckets in ascending order, zeros and nulls."""
        return {
            "buckets": {str(bucket): self.buckets[bucket] for bucket in sorted(self.buckets)},
            "zeros": self.zeros,
            "nulls": self.nulls,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Buckets, zeros and nulls."""
        return cls({int(bucket): count for bucket, count in kept["buckets"].items()}, kept["zeros"], kept["nulls"])


@cache
def _representative(bucket: int) -> float:
    """The number that is as near, relatively, to the lower end of a bucket as to the upper one."""
    return math.exp(bucket * LN_GROWTH) * 2 / (1 + _GROWTH)


@cache
def _label(bucket: int) -> str:
    """Three significant digits: neighbours differ by 4 %, so no two buckets share a label."""
    return f"{float(f'{_representative(bucket):.3g}'):.15g}"
