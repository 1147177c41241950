"""Random generators by purpose, and draws from them.

Every part of the simulation has a generator of its own, so that no part affects another.
"""

import zlib

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
"""Positions in a table, or whole numbers such as milliseconds."""


def generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Create the generator of a purpose and of the campaign, day or hour with these `numbers` (not negative)."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *numbers])


def draw(rng: np.random.Generator, weights: npt.NDArray[np.float64], count: int) -> Indices:
    """Draw `count` positions, each in proportion to its weight."""
    return draw_cumulative(rng, np.cumsum(weights), count)


def draw_cumulative(rng: np.random.Generator, cumulative: npt.NDArray[np.float64], count: int) -> Indices:
    """Draw `count` positions by cumulative weights."""
    found: Indices = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    return np.minimum(found, len(cumulative) - 1)


def chance(rng: np.random.Generator, share: float, count: int) -> npt.NDArray[np.bool_]:
    """Draw `count` booleans that are true with this probability."""
    return rng.random(count) < share
