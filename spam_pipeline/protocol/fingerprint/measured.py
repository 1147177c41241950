"""Measurements: the values that a fingerprint holds, and the plain ones among them.

Each kind knows how to merge with another of its kind, its numbers for people, how precise those are, and how it
looks in JSON. Distributions are in `distributions`, sketches of identifiers in `key_sample`; what to measure is declared
with `measures`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from spam_pipeline.protocol.fingerprint.estimate import Estimate, of_count, of_mean, of_share

_Key = TypeVar("_Key", int, str)


class Measured(ABC):
    """One measured thing. Equal when it holds equal values; never modified."""

    @abstractmethod
    def merge(self, other: Self) -> Self | None:
        """The measurement over the rows of both, or None where that cannot be known without the rows.

        Associative and commutative.
        """

    @abstractmethod
    def numbers(self, name: str) -> dict[str, float]:
        """The numbers for people and limits, given the name of the measure; a statistic of no rows is absent."""

    @abstractmethod
    def estimates(self, name: str) -> dict[str, Estimate]:
        """Those of the numbers that can be compared between versions, under the same names."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values, of which `from_json` makes the same again."""

    @classmethod
    @abstractmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Rebuild the measurement that `to_json` converted."""


@dataclass(frozen=True)
class Counted(Measured):
    """A number of rows, or an exact sum of integers."""

    count: int

    def merge(self, other: Self) -> Self:
        """The sum."""
        return type(self)(self.count + other.count)

    def numbers(self, name: str) -> dict[str, float]:
        """The count."""
        return {name: self.count}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """The count, unless it is negative."""
        return {name: of_count(self.count)} if self.count >= 0 else {}

    def to_json(self) -> dict[str, Any]:
        """The count."""
        return {"count": self.count}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The count."""
        return cls(kept["count"])


@dataclass(frozen=True)
class Summed(Measured):
    """Exact sums of integers by a value, such as money by currency, which must never be added up across."""

    by: Mapping[str, int]

    def merge(self, other: Self) -> Self:
        """The sums of each value; a sum that cancels out stays, as zero."""
        return type(self)(added(self.by, other.by))

    def numbers(self, name: str) -> dict[str, float]:
        """One sum for each value."""
        return {f"{name}_{value}": amount for value, amount in self.by.items()}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """One sum for each value, where it is not negative."""
        return {f"{name}_{value}": of_count(amount) for value, amount in self.by.items() if amount >= 0}

    def to_json(self) -> dict[str, Any]:
        """The sums."""
        return {"by": dict(self.by)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The sums."""
        return cls(dict(kept["by"]))


@dataclass(frozen=True)
class Proportion(Measured):
    """A part of a whole, both exact."""

    part: int
    whole: int

    def merge(self, other: Self) -> Self:
        """The part of both in the whole of both."""
        return type(self)(self.part + other.part, self.whole + other.whole)

    def numbers(self, name: str) -> dict[str, float]:
        """The share, 0 to 1; absent when there is no whole."""
        return {name: self.part / self.whole} if self.whole else {}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """The share."""
        return {name: of_share(self.part, self.whole)} if 0 <= self.part <= self.whole > 0 else {}

    def to_json(self) -> dict[str, Any]:
        """Part and whole."""
        return {"part": self.part, "whole": self.whole}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Part and whole."""
        return cls(kept["part"], kept["whole"])


@dataclass(frozen=True)
class Averaged(Measured):
    """The mean of `count` integers that sum up to `total`."""

    total: int
    count: int

    def merge(self, other: Self) -> Self:
        """The mean over both."""
        return type(self)(self.total + other.total, self.count + other.count)

    def numbers(self, name: str) -> dict[str, float]:
        """The mean, in the unit of the values; absent when there are none."""
        return {name: self.total / self.count} if self.count else {}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """The mean, unless it is negative."""
        return {name: of_mean(self.total, self.count)} if self.count and self.total >= 0 else {}

    def to_json(self) -> dict[str, Any]:
        """Total and count."""
        return {"total": self.total, "count": self.count}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Total and count."""
        return cls(kept["total"], kept["count"])


@dataclass(frozen=True)
class Figured(Measured):
    """A figure that cannot be merged, such as the quality of a model."""

    value: float

    def merge(self, other: Self) -> Self | None:
        """Nothing: a figure says nothing of the rows behind it."""
        del other
        return None

    def numbers(self, name: str) -> dict[str, float]:
        """The figure."""
        return {name: self.value}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """Nothing: the scale and the precision of a figure are unknown."""
        del name
        return {}

    def to_json(self) -> dict[str, Any]:
        """The figure."""
        return {"value": self.value}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The figure."""
        return cls(kept["value"])


MARKDOWN = "markdown"
"""The column of a recorded text; see `Recorded`."""


@dataclass(frozen=True)
class Recorded(Measured):
    """A few rows of values that JSON holds, for people and for the domain's own rules.

    A table of the one column `MARKDOWN` is a text for people that is Markdown already, in which what others wrote is escaped.
    """

    rows: tuple[Mapping[str, Any], ...]

    def merge(self, other: Self) -> Self | None:
        """Nothing: which rows were chosen depends on all rows."""
        del other
        return None

    def numbers(self, name: str) -> dict[str, float]:
        """Nothing."""
        del name
        return {}

    def estimates(self, name: str) -> dict[str, Estimate]:
        """Nothing."""
        del name
        return {}

    def to_json(self) -> dict[str, Any]:
        """The rows."""
        return {"rows": [dict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The rows."""
        return cls(tuple(kept["rows"]))


def added(left: Mapping[_Key, int], right: Mapping[_Key, int]) -> dict[_Key, int]:
    """The sums of each key's counts."""
    sums = Counter(left)
    sums.update(right)
    return dict(sums)
