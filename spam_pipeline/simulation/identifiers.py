"""Identifiers without information: consecutive numbers, scrambled one to one, so that no detector can exploit their order."""

from typing import Final

import polars as pl

from spam_pipeline.simulation.randomness import Indices

_SCRAMBLE: Final = 0x9E3779B97F5
_LIMIT: Final = 2**44
_FIRST_OF_CAMPAIGNS: Final = 2**36
_PER_CAMPAIGN: Final = 2**22
FIRST_OF_VISITORS: Final = 2**43
"""Numbers from here to 2^44 belong to devices of logged-out visitors."""


def campaign_numbers(campaign: int, numbers: Indices) -> Indices:
    """Return numbers that no listener and no other campaign uses."""
    return _FIRST_OF_CAMPAIGNS + campaign * _PER_CAMPAIGN + numbers


def identifiers(prefix: str, numbers: Indices) -> pl.Series:
    """Return one string per number below 2^44; different numbers become different strings."""
    # Both factors are below 2^44, so the product wraps in 64 bits; the low 44 bits are still right.
    scrambled = (numbers.astype("uint64") * _SCRAMBLE) % _LIMIT
    digits = pl.Series("id", scrambled).cast(pl.String).str.zfill(14)
    return (prefix + digits).alias("id")
