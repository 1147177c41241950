"""Comparison of figures: numbers and distributions of two fingerprints that differ, and whether chance could explain it.

The tests are for two independent samples. Two versions of one partition are made of much the same rows, so chance moves them less
than the tests allow for: what is called significant is a change of what the data says, and what could be chance is smaller than
the difference between one day and another day just like it. Rows that come in clusters, such as a listener's, vary more.

SciPy is imported where it is used: it takes a fifth of a second, and most commands compare nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from spam_pipeline.protocol.drift.levels import Floats
from spam_pipeline.protocol.drift.values import table_of
from spam_pipeline.protocol.fingerprint import (
    Distribution,
    Estimate,
    Fingerprint,
    Histogram,
    KeySample,
    Measured,
    Scale,
    numbers,
)
from spam_pipeline.protocol.foundation.finding import CategoryShift

LEVEL = 0.01
"""The chance of calling anything significant when nothing but chance is at work, over all tests of one comparison together."""

MOST_MOVED = 5
"""Values of a distribution that are named."""


class Mark(Enum):
    """The significance of a difference."""

    SAME = "same"
    CHANCE = "could be chance"
    SIGNIFICANT = "significant"
    UNTESTED = "changed"
    """It differs, and nothing says how precise it is."""


@dataclass(frozen=True)
class Move:
    """A number of two fingerprints, None where there is none; `p` is the chance of such a difference, None if not tested."""

    name: str
    old: float | None
    new: float | None
    p: float | None
    mark: Mark
    is_share: bool = False

    @property
    def difference(self) -> float | None:
        """New minus old, in the number's own unit."""
        return None if self.old is None or self.new is None else self.new - self.old


@dataclass(frozen=True)
class Shift:
    """A distribution of two fingerprints: the shares of its values, and the share of the rows that lie elsewhere now.

    `size` is the total variation distance, 0 to 1. Of many identifiers only the most frequent are known, and it is what they
    alone account for.
    """

    name: str
    size: float
    p: float | None
    mark: Mark
    moved: tuple[CategoryShift, ...]
    old: Mapping[str, float]
    new: Mapping[str, float]
    is_of_magnitudes: bool = False


@dataclass(frozen=True)
class Figures:
    """The numbers and the distributions of two fingerprints, in the order in which their contract names them."""

    moves: tuple[Move, ...] = ()
    shifts: tuple[Shift, ...] = ()


def compared(old: Fingerprint, new: Fingerprint) -> Figures:
    """Compare two fingerprints; a difference is significant when its p times the number of tests is below `LEVEL`."""
    estimates = _estimates(old), _estimates(new)
    chances = _chances(*estimates)
    mixes = [mix for name in old if name in new for mix in _mixes(name, old[name], new[name])]
    tests = len(chances) + sum(mix.p is not None for mix in mixes)
    shares = {name for found in estimates for name, item in found.items() if item.scale is Scale.LOGIT}
    before, now = numbers(old), numbers(new)
    moves = []
    for name in dict.fromkeys((*before, *now)):
        was, has, p = before.get(name), now.get(name), chances.get(name)
        moves.append(Move(name, was, has, p, _mark(p, tests, same=was == has), name in shares))
    return Figures(tuple(moves), tuple(_shift(mix, tests) for mix in mixes))


def _estimates(fingerprint: Fingerprint) -> dict[str, Estimate]:
    return {label: item for name, measured in fingerprint.items() for label, item in measured.estimates(name).items()}


def _chances(old: Mapping[str, Estimate], new: Mapping[str, Estimate]) -> dict[str, float]:
    """The two-sided p of each number that both have: the difference is normal with the variances of both."""
    found = {}
    for name in old.keys() & new.keys():
        spread = math.sqrt(2 * (old[name].variance + new[name].variance))
        distance = abs(old[name].value - new[name].value)
        found[name] = math.erfc(distance / spread) if spread else float(distance == 0)
    return found


def _mark(p: float | None, tests: int, *, same: bool) -> Mark:
    if same:
        return Mark.SAME
    if p is None:
        return Mark.UNTESTED
    return Mark.SIGNIFICANT if p * tests < LEVEL else Mark.CHANCE


class _Mix(NamedTuple):
    """A distribution before and now: the shares of its values, those of values frequent enough to compare, and their p."""

    name: str
    old: Mapping[str, float]
    new: Mapping[str, float]
    moved: list[CategoryShift]
    p: float | None
    is_of_magnitudes: bool = False


def _mixes(name: str, old: Measured, new: Measured) -> Iterator[_Mix]:
    """The mixes to compare of two measurements: none unless they are distributions of one kind, with rows."""
    if isinstance(old, Distribution) and type(old) is type(new) and old.total and new.total:
        table = table_of((old, new))
        shares = table.counts / table.counts.sum(axis=1, keepdims=True)
        moved = [CategoryShift(value, *pair) for value, pair in zip(table.names, shares.T.tolist(), strict=True)]
        p = _chance_of_counts(table.counts)
        yield _Mix(name, old.shares(), new.shares(), moved, p, isinstance(old, Histogram))
    if isinstance(old, KeySample) and isinstance(new, KeySample) and old.total and new.total:
        before, now = _listed_shares(old, new)
        yield _Mix(name, before, now, [CategoryShift(value, before[value], now[value]) for value in before], None)


def _chance_of_counts(counts: Floats) -> float:
    """The p of a G-test (Sokal and Rohlf 1995) that two rows of counts are samples of the same shares."""
    from scipy.special import gammaincc  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    surprises = counts * np.log(np.maximum(counts, 1.0) / expected)
    freedom = counts.shape[1] - 1
    return float(gammaincc(freedom / 2, max(surprises.sum(), 0.0))) if freedom else 1.0


def _listed_shares(old: KeySample, new: KeySample) -> tuple[dict[str, float], dict[str, float]]:
    """The shares of the most frequent identifiers of either version.

    One that is not listed on a side may be as frequent there as an unlisted one can be: it is taken to have moved no further.
    """
    names = {item.key: item.name or f"{item.key:016x}"[:8] for item in (*old.top, *new.top)}
    before, now = ({item.key: item.count / sample.total for item in sample.top} for sample in (old, new))
    before_at_most, now_at_most = (sample.unlisted / sample.total for sample in (old, new))
    return (
        {name: before.get(key, min(now.get(key, 0.0), before_at_most)) for key, name in names.items()},
        {name: now.get(key, min(before.get(key, 0.0), now_at_most)) for key, name in names.items()},
    )


def _shift(mix: _Mix, tests: int) -> Shift:
    differing = [item for item in mix.moved if item.seen != item.expected]
    differing.sort(key=lambda item: (-abs(item.seen - item.expected), item.value))
    size = math.fsum(abs(item.seen - item.expected) for item in differing) / 2
    mark = _mark(mix.p, tests, same=mix.old == mix.new)
    return Shift(mix.name, size, mix.p, mark, tuple(differing[:MOST_MOVED]), mix.old, mix.new, mix.is_of_magnitudes)
