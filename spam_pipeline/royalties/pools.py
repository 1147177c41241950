"""Pools: the money of a month to divide, per country, tier and currency. It is divided in `payout`."""

import polars as pl

from spam_pipeline.royalties.contracts import NO_CURRENCY, POOL

PAYOUT_SHARE_PPM = 700_000
"""The share of net revenue that belongs to payees, in parts per million: 70 %."""

MILLION = 1_000_000


def pools_of(month: str, revenue: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the month's pools: `country`, `tier`, `currency`, `pool_minor`; net revenue x payout share, rounded down.

    Negative revenue makes an empty pool: payees owe nothing.
    """
    net = pl.col("net_revenue_minor").clip(lower_bound=0).cast(pl.Int128)
    pool = (net * PAYOUT_SHARE_PPM // MILLION).cast(pl.Int64).alias("pool_minor")
    return revenue.filter(pl.col("month") == month).select(*POOL, pool)


def with_unfunded_audiences(pools: pl.LazyFrame, audiences: pl.LazyFrame) -> pl.LazyFrame:
    """Add an empty pool for every heard `country` and `tier` without one, so that its plays still show."""
    unfunded = audiences.select("country", "tier").unique().join(pools, on=["country", "tier"], how="anti")
    empty = unfunded.with_columns(currency=pl.lit(NO_CURRENCY), pool_minor=pl.lit(0, dtype=pl.Int64))
    return pl.concat([pools, empty]).sort(POOL)
