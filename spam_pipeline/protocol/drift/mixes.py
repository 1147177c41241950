"""Distributions against their own history: how far a partition's mix of values is from the others', and how far they usually are.

The distance is the G statistic of a partition against the pool of others, which is their Jensen-Shannon divergence (weighted by
rows, in nats) times twice all rows; over k values it is chi-square with k - 1 degrees of freedom when rows are independent
(Wilks 1938; Lin 1991). Rows that come in clusters, and days that differ, multiply it. By how much is learnt from the past
partitions, each compared with the pool of the others: the cube root of a gamma variable is close to normal whatever its shape
(Wilson and Hilferty 1931), so there Student's t gives the limit for one more partition. Chi-square is the least ever allowed for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spam_pipeline.protocol.drift.levels import Floats
from spam_pipeline.protocol.drift.moments import Moment
from spam_pipeline.protocol.drift.quantiles import chi_square, f_ratio, student_t

_SPARE = 5
"""Degrees of freedom that pools by weekday have to leave."""

_CHANCE_OF_RICHER = 0.001
"""The chance with which one pool of all weekdays is put aside although weekdays are alike."""

_CHANCE_OF_OUTLIER = 1e-6
"""The chance with which a history without any outlier loses a partition as one: small, for a past that has some is a warning."""


class Mix(NamedTuple):
    """A partition's mix compared with its history.

    `excess` above 1 is farther than chance reaches. `expected` and `seen` are shares of each value; `usual` is the largest share
    of rows by which a past partition differed from the others, over `partitions` of them.
    """

    excess: float
    expected: Floats
    seen: Floats
    usual: float
    partitions: int


class _Pools(NamedTuple):
    """Past partitions, the pool that each is compared with, and the pool for the partition under test."""

    parts: Floats
    pools: Floats
    now: Floats
    freedom: int


def mix_of(history: Floats, moments: Sequence[Moment], seen: Floats, now: Moment, chance: float) -> Mix:
    """Compare the counts of a partition's values with those of past partitions (rows; at least three, none without rows).

    The pool is that of the same weekday where the history itself shows that weekdays differ; otherwise all belong together. A
    past partition that is an outlier among the others, and is of another weekday, is left out.
    """
    pooled = _pool_of_all(history)
    outlier = _outlier(pooled, moments, now)
    if outlier is not None:
        history = np.delete(history, outlier, axis=0)
        moments = [moment for place, moment in enumerate(moments) if place != outlier]
        pooled = _pool_of_all(history)
    weekly = _pools_by_weekday(history, moments, now)
    pools = weekly if weekly and _do_weekdays_differ(pooled, weekly) else pooled
    return _held_against(pools, seen, chance)


def _pool_of_all(history: Floats) -> _Pools:
    total = history.sum(axis=0)
    return _Pools(history, total - history, total, len(history) - 1)


def _pools_by_weekday(history: Floats, moments: Sequence[Moment], now: Moment) -> _Pools | None:
    """Each day against the others of its weekday; None when there are too few to say how far those usually are."""
    weekdays = np.array([-1 if moment.weekday is None else moment.weekday for moment in moments])
    names, index, days = np.unique(weekdays, return_inverse=True, return_counts=True)
    totals = np.stack([history[weekdays == name].sum(axis=0) for name in names])
    has_pool = days[index] > 1
    freedom = int(has_pool.sum()) - int((days > 1).sum())
    is_now = (names == now.weekday) & (days > 1)
    if len(names) < 2 or not is_now.any() or freedom < _SPARE:  # noqa: PLR2004 - one weekday is no other pool
        return None
    parts = history[has_pool]
    return _Pools(parts, totals[index[has_pool]] - parts, totals[is_now][0], freedom)


def _held_against(pools: _Pools, seen: Floats, chance: float) -> Mix:
    """Compare both in units of the sampling error and as a divergence: with other sizes the two differ."""
    spare = len(seen) - 1
    past, distance = _distances(pools.parts, pools.pools), float(_distances(seen[None, :], pools.now[None, :])[0])
    past_weights, weight = _weights(pools.parts, pools.pools), float(_weights(seen[None, :], pools.now[None, :])[0])
    limits = (
        chi_square(chance, spare),
        _limit(past, pools.freedom, chance),
        _limit(past / past_weights, pools.freedom, chance) * weight,
    )
    expected, shares = pools.now / pools.now.sum(), seen / seen.sum()
    usual = _moved_shares(pools.parts, pools.pools).max()
    return Mix(distance / max(limits), expected, shares, float(usual), len(pools.parts))


def _distances(parts: Floats, pools: Floats) -> Floats:
    """G of each row of counts against its pool."""
    both = parts + pools
    inner = _x_ln_x(parts).sum(axis=1) + _x_ln_x(pools).sum(axis=1) - _x_ln_x(both).sum(axis=1)
    outer = _x_ln_x(parts.sum(axis=1)) + _x_ln_x(pools.sum(axis=1)) - _x_ln_x(both.sum(axis=1))
    return np.asarray(np.maximum(2 * (inner - outer), 0.0))


def _x_ln_x(counts: Floats) -> Floats:
    return np.asarray(counts * np.log(np.maximum(counts, 1.0)))


def _weights(parts: Floats, pools: Floats) -> Floats:
    """The harmonic mean of sizes by which the divergence of two mixes is multiplied in G."""
    rows, pooled = parts.sum(axis=1), pools.sum(axis=1)
    return np.asarray(rows * pooled / (rows + pooled))


def _moved_shares(parts: Floats, pools: Floats) -> Floats:
    """The total variation distance of each row from its pool: the share of rows that would have to move."""
    return np.asarray(
        abs(parts / parts.sum(axis=1, keepdims=True) - pools / pools.sum(axis=1, keepdims=True)).sum(axis=1) / 2
    )


def _limit(distances: Floats, freedom: int, chance: float) -> float:
    """The limit that one more such distance exceeds with this chance."""
    roots = np.cbrt(distances)
    scatter = ((roots - roots.mean()) ** 2).sum() / freedom * (1 + 1 / len(roots))
    return float((roots.mean() + student_t(chance, freedom) * np.sqrt(scatter)) ** 3)


def _outlier(pools: _Pools, moments: Sequence[Moment], now: Moment) -> int | None:
    """The past partition that is farthest from the others, if it is so by more than chance and is of another weekday."""
    distances = _distances(pools.parts, pools.pools)
    worst = int(distances.argmax())
    if pools.freedom < 4 or (now.weekday is not None and moments[worst].weekday == now.weekday):  # noqa: PLR2004
        return None
    chance = _CHANCE_OF_OUTLIER / len(moments)
    by_history = _limit(np.delete(distances, worst), pools.freedom - 1, chance)
    return worst if distances[worst] > max(by_history, chi_square(chance, len(pools.now) - 1)) else None


def _do_weekdays_differ(pooled: _Pools, weekly: _Pools) -> bool:
    """Return True if days are significantly closer to others of their weekday than to all: an F test of dispersion explained.

    Each distance estimates the same dispersion when weekdays are alike (McCullagh and Nelder 1989, ch. 4.5), so their mean
    times the degrees of freedom is a deviance; it is at least that of independent rows. As if the mix moved along one line only,
    which is the most cautious.
    """
    apart = _distances(pooled.parts, pooled.pools).mean()
    within = max(_distances(weekly.parts, weekly.pools).mean(), len(pooled.now) - 1)
    more = pooled.freedom - weekly.freedom
    explained = (pooled.freedom * apart - weekly.freedom * within) / more
    return bool(explained > f_ratio(_CHANCE_OF_RICHER, more, weekly.freedom) * within)
