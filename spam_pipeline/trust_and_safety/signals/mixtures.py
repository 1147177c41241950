"""Measures common to all kinds of entities: counts, shares, and the spread of plays over values.

Group-bys use integer keys, which took 14 s where strings took 32 to 40 s (10 million plays). Sums are of integers and quotients
are rounded, so equal plays become equal bytes whatever the query plan. The signals built on this are in the modules beside it.
"""

import math
from typing import Final

import polars as pl

from spam_pipeline.trust_and_safety.signals.catalogue import USUAL
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS

MIN_PLAYS: Final = 10
"""Effective numbers and ratios of fewer plays are null: they say nothing about behaviour."""

PRIOR_PLAYS: Final = 4
"""A share is computed with so many usual plays added, so that one of few plays stays near usual."""

DIGITS: Final = 6

_AMONG: Final = {"complete": "timed"}
"""Shares of some plays only: completion is known only where the duration of the track is."""

_MICROBITS: Final = 1_000_000


def flags_of(*names: str) -> list[str]:
    """Return the columns of known plays that the shares `names` are computed from."""
    return [f"is_{name}" for name in names] + [f"is_{_AMONG[name]}" for name in names if name in _AMONG]


def counted(plays: pl.LazyFrame, kind: str, *names: str) -> pl.LazyFrame:
    """Count the `plays` of each entity, and those with each flag of `names`; plays without a key are left out."""
    key = KEY_COLUMNS[kind]
    known = plays.filter(pl.col(key).is_not_null())
    sums = pl.col(flags_of(*names)).sum().cast(pl.Int64)
    return known.group_by(key).agg(pl.len().cast(pl.Int64).alias("plays"), sums)


def shares(kind: str, *names: str) -> dict[str, pl.Expr]:
    """Build the share of an entity's `counted` plays with the flag `is_<name>`, as `<name>_share`."""
    wholes = {name: f"is_{_AMONG[name]}" if name in _AMONG else "plays" for name in names}
    return {
        f"{name}_share": share(kind, f"{name}_share", pl.col(f"is_{name}"), pl.col(whole))
        for name, whole in wholes.items()
    }


def share(kind: str, column: str, part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Build the share part / whole, shrunk to usual: (part + m u) / (whole + m), with m usual plays of share u."""
    usual = USUAL[kind, column] * PRIOR_PLAYS
    return ((part + usual) / (whole + PRIOR_PLAYS)).round(DIGITS)


def mixture(plays: pl.LazyFrame, *, by: str, of: str) -> pl.DataFrame:
    """Summarise the spread of the plays of each entity of kind `by` over the values of `of`, in integers.

    `total` counts plays with a value, `members` the distinct values, `top` the plays of the most frequent one, and
    `microbits` is the sum of count * log2(count), each term rounded, so that the order of summation does not matter.
    """
    key, count = KEY_COLUMNS[by], pl.col("count")
    known = plays.filter(pl.col(key).is_not_null(), pl.col(of).is_not_null())
    pairs = known.group_by(key, of).agg(count=pl.len().cast(pl.Int64))
    spread = pairs.group_by(key).agg(
        total=count.sum(),
        members=pl.len().cast(pl.Int64),
        top=count.max(),
        microbits=(count * count.log(2) * _MICROBITS).round().cast(pl.Int64).sum(),
    )
    return spread.collect(engine="streaming")


def top_share(kind: str, column: str) -> pl.Expr:
    """Build the share of the most frequent value of a `mixture`."""
    return share(kind, column, pl.col("top"), pl.col("total"))


def effective_members() -> pl.Expr:
    """Build the effective number of a `mixture`: how many equally frequent values have the same entropy.

    The plug-in entropy of a small sample is too low; Miller and Madow add (members - 1) / (2 * plays * ln 2) bits.
    """
    total = pl.col("total")
    plug_in = total.log(2) - pl.col("microbits") / _MICROBITS / total
    corrected = plug_in + (pl.col("members") - 1) / (2 * math.log(2) * total)
    return pl.when(total >= MIN_PLAYS).then((2**corrected).round(DIGITS))


def ratio(numerator: str, denominator: str) -> pl.Expr:
    """Build the quotient of two columns, rounded."""
    return (pl.col(numerator) / pl.col(denominator)).round(DIGITS)


def joined(counts: pl.DataFrame, *others: pl.DataFrame) -> pl.DataFrame:
    """Join frames to one row per entity of `counts`; missing values are null."""
    key = counts.columns[0]
    for other in others:
        counts = counts.join(other, on=key, how="left")
    return counts
