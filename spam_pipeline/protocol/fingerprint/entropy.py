"""Entropy of counts: corrected for its bias, with its sampling variance, computed from integers so that order never shows.

The plug-in entropy of a sample grows with the sample. The correction is Miller and Madow's, (m - 1) / (2 n) for m values seen
among n (Miller 1955); exp(H) is the effective number of values, which people can read (Hill 1973).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

_DIGITS = 9


class Entropy(NamedTuple):
    """Entropy in nats with the Miller-Madow correction, and the variance of a row's surprise, -ln p, in nats squared."""

    nats: float
    surprise_variance: float


def entropy_of(counts: Iterable[tuple[int, float]]) -> Entropy:
    """The entropy of values, given pairs of a count (zero or more) and the number of values that have it.

    A row's surprise is s = ln n - ln c; the plug-in entropy is its mean, and var(s) / n the variance of that
    (Basharin 1959): sum p ln^2 p - H^2, over n.

    Two values that are seen twice each have the plug-in entropy ln 2 = 0.693, and 1 / 8 is added:

    >>> entropy_of([(2, 2)]).nats
    0.818147181
    """
    present = [(count, values) for count, values in counts if count]
    rows = math.fsum(count * values for count, values in present)
    if not rows:
        return Entropy(0.0, 0.0)
    values = math.fsum(values for _, values in present)
    mean = math.fsum(many * count * math.log(count) for count, many in present) / rows
    square = math.fsum(many * count * (math.log(count) - mean) ** 2 for count, many in present) / rows
    return Entropy(significant(math.log(rows) - mean + correction(rows, values)), significant(square))


def effective_number(nats: float, values: int) -> float:
    """The effective number of values at an entropy, for people: at most the number of values that there are.

    Of few rows the correction overshoots it: of two values that are seen twice each, 2.27 would be in effect.

    >>> effective_number(entropy_of([(2, 2)]).nats, 2)
    2.0
    """
    return min(math.exp(nats), float(values))


def correction(rows: float, values: float) -> float:
    """The correction of Miller and Madow, added to the plug-in entropy, in nats; zero where there are no rows."""
    return (values - 1) / (2 * rows) if rows else 0.0


def significant(value: float) -> float:
    """Round to nine significant digits: sums of floats differ between query plans, and machines, in the last ones."""
    return float(f"{value:.{_DIGITS}g}")
