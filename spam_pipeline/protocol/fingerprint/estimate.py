"""Estimates: numbers of a fingerprint on a scale where their differences are comparable, with the variance of sampling.

A count that doubles and one that halves move equally far on the log scale, and so do a share that goes from 1 to 2 % and one
that goes from 99 to 98 % on the logit scale. Variances are those of independent rows: rows that come in clusters (sessions,
playlists) vary more, which only a history can tell.
"""

import math
from enum import Enum
from typing import NamedTuple

_CORRECTION = 0.5
"""Added to counts before a logarithm is taken (Haldane 1955; Anscombe 1956): zero stays finite and the bias falls to O(1/n^2)."""


class Scale(Enum):
    """The scale of an estimate's value: natural logarithm, or log odds."""

    LOG = "log"
    LOGIT = "logit"

    def number(self, value: float) -> float:
        """The number, in its own unit, that stands at `value` on this scale."""
        if self is Scale.LOG:
            return math.exp(value)
        return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else 1.0 - 1.0 / (1.0 + math.exp(value))


class Estimate(NamedTuple):
    """A number on its scale, and the variance that independent rows would give it there."""

    value: float
    variance: float
    scale: Scale = Scale.LOG


def of_count(count: int) -> Estimate:
    """A count from zero on: ln(count + 1/2), with the variance 1/(count + 1/2) of a Poisson count."""
    return Estimate(math.log(count + _CORRECTION), 1.0 / (count + _CORRECTION))


def of_mean(total: int, count: int) -> Estimate:
    """A mean of `count` > 0 values that sum up to `total` >= 0: its logarithm, with variance 1/count.

    That is the variance of values whose standard deviation equals their mean, as of waiting times; it is exact for none, and
    of the right order for durations and amounts.
    """
    return Estimate(math.log((total + _CORRECTION) / count), 1.0 / count)


def of_share(part: int, whole: int) -> Estimate:
    """A share of 0 <= part <= whole: its empirical log odds and their variance (Gart and Zweifel, Biometrika 54, 1967)."""
    there, elsewhere = part + _CORRECTION, whole - part + _CORRECTION
    return Estimate(math.log(there / elsewhere), 1.0 / there + 1.0 / elsewhere, Scale.LOGIT)
