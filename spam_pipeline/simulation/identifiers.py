"""Identifiers that tell nothing: consecutive numbers, scrambled one to one, so that no detector can cheat by their order."""

from typing import Final

import polars as pl

from spam_pipeline.simulation.randomness import Indices

_SCRAMBLE: Final = 0x9E3779B97F5
_LIMIT: Final = 2**44
_FIRST_OF_CAMPAIGNS: Final = 2**36
_PER_CAMPAIGN: Final = 2**22
FIRST_OF_VISITORS: Final = 2**43
"""Numbers from here to 2^44 belong to devices of visitors who are not logged in."""


def campaign_numbers(campaign: int, numbers: Indices) -> Indices:
    """Numbers that no listener and no other campaign uses."""
    return _FIRST_OF_CAMPAIGNS + campaign * _PER_CAMPAIGN + numbers


def identifiers(prefix: str, numbers: Indices) -> pl.Series:
    """One string per number below 2^44; different numbers give different strings."""
    # Both factors are below 2^44, so the product wraps in 64 bits; the low 44 bits are right all the same.
    scrambled = (numbers.astype("uint64") * _SCRAMBLE) % _LIMIT
    digits = pl.Series("id", scrambled).cast(pl.String).str.zfill(14)
    return (prefix + digits).alias("id")
