"""Fingerprints of made-up days: plays by accounts that come in clusters, a weekly pattern, a slow trend, and days that differ.

Counts are drawn, not rows: a day of a million rows costs what a day of a thousand does.
"""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.protocol.fingerprint import (
    Averaged,
    Drift,
    Fingerprint,
    Histogram,
    Keys,
    KeySample,
    Mean,
    Measure,
    Proportion,
    Quantiles,
    Share,
    Spread,
    Spreading,
    Top,
)
from spam_pipeline.protocol.fingerprint.distributions import LN_GROWTH
from spam_pipeline.protocol.fingerprint.entropy import entropy_of

REFUSING = Drift(refuse_above=0.5)
ANY = pl.col("any")

MEASURES: dict[str, Measure] = {
    "countries": Spread(ANY, drift=REFUSING),
    "clients": Spread(ANY, drift=REFUSING),
    "hours": Spread(ANY, drift=REFUSING),
    "seconds": Quantiles(ANY, drift=REFUSING),
    "tracks": Keys(ANY, drift=REFUSING),
    "skipped": Share(ANY, drift=REFUSING),
    "logged_out": Share(ANY, drift=REFUSING),
    "without_network": Share(ANY, drift=REFUSING),
    "plays_per_session": Mean(ANY, drift=REFUSING),
}

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What all days have in common. `cluster` is the mean number of rows that share an account, `restless` how much days differ."""

    rows: int
    cluster: float = 12.0
    restless: float = 0.03
    weekend: float = 0.4
    growth: float = 0.01


def key_of(index: int) -> str:
    """The partition of a day by its number; day 0 is a Monday."""
    return (date(2026, 1, 5) + timedelta(days=index)).isoformat()


def day(world: World, index: int, random: np.random.Generator) -> Fingerprint:
    """What would be measured of a quiet day."""
    tilt = world.weekend * (index % 7 > 4) + world.growth * index
    rows = int(world.rows * math.exp(tilt + random.normal(0, world.restless)))
    countries = _clustered(world, rows, _mix(world, _zipf(30), tilt, random), random)
    clients = _clustered(world, rows, _mix(world, _zipf(6), tilt, random), random)
    hours = _clustered(world, rows, _mix(world, _rhythm(), tilt, random), random)
    ticks = _clustered(world, rows, _mix(world, _durations(), tilt / 4, random), random)
    tracks = _clustered(world, rows, _mix(world, _zipf(2000, 0.8), 0.0, random), random)
    return {
        "countries": spreading(countries),
        "clients": spreading(clients),
        "hours": spreading(hours),
        "seconds": histogram(ticks),
        "tracks": keys(tracks),
        "skipped": share(world, rows, 0.25, tilt, random),
        "logged_out": share(world, rows, 0.02, tilt, random),
        "without_network": Proportion(int(random.binomial(rows, 0.0005)), rows),
        "plays_per_session": Averaged(
            rows, max(1, int(rows / world.cluster * math.exp(random.normal(0, world.restless))))
        ),
    }


def spreading(counts: Counts) -> Spreading:
    """Counts as of values v0, v1 and so on."""
    return Spreading({f"v{place}": int(count) for place, count in enumerate(counts) if count})


def histogram(counts: Counts, first: int = 50, nulls: int = 0) -> Histogram:
    """Counts as of neighbouring buckets from `first` on."""
    return Histogram({first + place: int(count) for place, count in enumerate(counts) if count}, 0, nulls)


def times(factor: float, measured: Histogram) -> Histogram:
    """The histogram of values multiplied by a factor."""
    shift = round(math.log(factor) / LN_GROWTH)
    return Histogram(
        {bucket + shift: count for bucket, count in measured.buckets.items()}, measured.zeros, measured.nulls
    )


def keys(counts: Counts) -> KeySample:
    """Counts as of keys."""
    top = tuple(Top(int(key), "", int(counts[key])) for key in np.argsort(-counts, kind="stable")[:20])
    entropy = entropy_of((int(count), 1) for count in counts)
    total, distinct = int(counts.sum()), int((counts > 0).sum())
    return KeySample(total, distinct, top, {}, entropy.nats, entropy.surprise_variance, 0)


def share(world: World, rows: int, middle: float, tilt: float, random: np.random.Generator) -> Proportion:
    """A share of rows, the same for all rows of a cluster."""
    odds = math.exp(math.log(middle / (1 - middle)) + tilt / 2 + random.normal(0, world.restless))
    part = _clustered(world, rows, np.array([odds, 1.0]) / (1 + odds), random)
    return Proportion(int(part[0]), int(part.sum()))


def _clustered(world: World, rows: int, shares: Shares, random: np.random.Generator) -> Counts:
    """Counts of values over clusters, each of which has one value and a negative binomial number of rows."""
    clusters = random.multinomial(max(1, round(rows / world.cluster)), shares)
    chance = 1 / world.cluster
    return np.asarray(clusters + random.negative_binomial(np.maximum(clusters, 1), chance) * (clusters > 0))


def _mix(world: World, shares: Shares, tilt: float, random: np.random.Generator) -> Shares:
    """The day's own mix: leaning towards later values with the tilt, and different from day to day."""
    leaning = (
        np.log(shares) + tilt * np.linspace(-0.5, 0.5, len(shares)) + random.normal(0, world.restless, len(shares))
    )
    weights = np.exp(leaning)
    return np.asarray(weights / weights.sum())


def _zipf(values: int, power: float = 1.1) -> Shares:
    weights = 1.0 / np.arange(1, values + 1) ** power
    return np.asarray(weights / weights.sum())


def _rhythm() -> Shares:
    weights = 1.2 + np.cos((np.arange(24) - 19) * np.pi / 12)
    return np.asarray(weights / weights.sum())


def _durations() -> Shares:
    """Some 80 buckets, that is from 7 to 200 seconds."""
    weights = np.exp(-0.5 * ((np.arange(80) - 60) / 9) ** 2) + 0.1
    return np.asarray(weights / weights.sum())
