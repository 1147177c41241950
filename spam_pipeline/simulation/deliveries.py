"""Delivery of plays to the platform: mostly within minutes, some hours or days late, some several times.

Delivery is at least once: a client without an answer sends the same `event_id` again. Nothing arrives before it happened,
or lands after the last simulated day: such first copies arrive at once, such retries with the first copy. Arrivals are
written to files in `landing_zone`.
"""

from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.geography import HOUR_MS
from spam_pipeline.simulation.randomness import Indices, chance, draw

_LATE_SHARE: Final = 0.015
_VERY_LATE_SHARE: Final = 0.0003
_RETRIED_SHARE: Final = 0.009
_LATE_FROM_H: Final = 2
_DAY_H: Final = 24


def with_event_ids(plays: pl.DataFrame, rng: np.random.Generator, day: int) -> pl.DataFrame:
    """Order plays of one day by time, with ids that are unique over all days."""
    ordered = plays.sort("occurred_ms", maintain_order=True)
    count = ordered.height
    noise = pl.Series("noise", rng.integers(0, 2**63, count))
    number = pl.Series("number", (np.arange(count) * 2_654_435_761) % 2**32)
    return ordered.with_columns(
        event_id=pl.DataFrame([noise, number]).select(pl.format("{}-{}-{}", "noise", pl.lit(day), "number")).to_series()
    )


def arrivals(plays: pl.DataFrame, rng: np.random.Generator, end_ms: int) -> tuple[pl.DataFrame, int]:
    """Add `arrival_ms`, with every retry as a row of its own at the end; also return the number of retries."""
    count = plays.height
    occurred = plays["occurred_ms"].to_numpy()
    usual = occurred + plays["ms_played"].to_numpy() + _seconds(rng, count)
    late = occurred + _late_by(rng, count)
    manner = rng.random(count)
    very_late = occurred + (rng.uniform(10, 45, count) * _DAY_H * HOUR_MS).astype(np.int64)
    wanted = np.where(manner < _VERY_LATE_SHARE, very_late, np.where(manner < _LATE_SHARE, late, usual))
    first = np.where(wanted < end_ms, wanted, np.where(usual < end_ms, usual, occurred))
    again = np.flatnonzero(rng.random(count) < _RETRIED_SHARE)
    again = np.concatenate([again, again[chance(rng, 0.08, len(again))]])
    second = first[again] + _retry_after(rng, len(again))
    second = np.where(second < end_ms, second, first[again])
    retries = plays[again].with_columns(pl.Series("arrival_ms", second))
    return pl.concat([plays.with_columns(pl.Series("arrival_ms", first)), retries]), len(again)


def late_plays(first_copies: pl.DataFrame) -> int:
    """Count plays that land two or more hour folders after the hour in which they happened."""
    arrived, occurred = (pl.col(name) // HOUR_MS for name in ("arrival_ms", "occurred_ms"))
    return int(first_copies.select((arrived - occurred >= _LATE_FROM_H).sum()).item())


def _seconds(rng: np.random.Generator, count: int) -> Indices:
    return np.minimum(rng.exponential(20_000, count), 240_000).astype(np.int64)


def _late_by(rng: np.random.Generator, count: int) -> Indices:
    hours = np.clip(rng.lognormal(np.log(6.0), 1.2, count), 2.0, 9 * _DAY_H)
    return (hours * HOUR_MS).astype(np.int64)


def _retry_after(rng: np.random.Generator, count: int) -> Indices:
    soon, in_later_hours, next_day = (rng.uniform(least, most, count) for least, most in ((0, 0.2), (1, 10), (18, 30)))
    hours = np.choose(draw(rng, np.array([0.55, 0.3, 0.15]), count), [soon, in_later_hours, next_day])
    return (hours * HOUR_MS).astype(np.int64)
