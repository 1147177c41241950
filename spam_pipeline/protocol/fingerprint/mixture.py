"""Mixtures: memory of merged samples of keys, with which the entropy of all rows can be estimated well.

Entropy is ln n - S / n, where S is the sum of c ln c over all keys. Estimated from a sample of keys, S would be as uncertain as
long tails are heavy. But each version knows its own S exactly, so that only the difference has to be estimated: what c ln c of
a key is more than its sum over the versions. Per row that is how the key's rows spread over the versions, between 0 and the
logarithm of their number, and so it varies little (a difference estimator: Saerndal, Swensson and Wretman 1992, chapter 6).

All amounts here are integers in units of 2^-20 nats times rows, so that sums don't depend on their order.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

_UNITS = 2**20

Counts = Mapping[int, int]
"""Counts, or other amounts, by key."""


@dataclass(frozen=True)
class Mixture:
    """The mixture of some versions: `within` is the sum of c ln c over all of their keys, in each by itself.

    `top` and `sample` hold, for listed and for sampled keys, how much more c ln c is for the count over all versions; nothing
    for keys that are in one version only.
    """

    within: int
    top: Counts
    sample: Counts


def of_one(total: int, plug_in_nats: float) -> Mixture:
    """The mixture of a single version, given the entropy of its keys without correction."""
    within = total * (math.log(total) - plug_in_nats) if total else 0.0
    return Mixture(round(within * _UNITS), {}, {})


def mixed(merged: Counts, *sides: tuple[Counts, Counts]) -> dict[int, int]:
    """The excess of c ln c for merged counts, given the counts of each side and their excess so far."""
    more = {
        key: _information(count)
        + sum(before.get(key, 0) - _information(counts.get(key, 0)) for counts, before in sides)
        for key, count in merged.items()
    }
    return {key: amount for key, amount in more.items() if amount}


def plug_in_nats(total: int, within: int, between: float) -> float:
    """The entropy without correction of `total` rows, given the two amounts that S is the sum of."""
    return math.log(total) - (within + between) / _UNITS / total


def _information(count: int) -> int:
    return round(count * math.log(count) * _UNITS) if count else 0
