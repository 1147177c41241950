"""Statements: what a month pays to whom, as known when the month was closed, and what late plays change about it afterwards.

An issued statement is never edited. What arrives after the month was closed becomes adjustments, the difference between the
statement over everything known and the statement as closed. How a pool is divided is in `payout`.
"""

from datetime import date

import polars as pl

from spam_pipeline.protocol.contract import column_types
from spam_pipeline.protocol.partition import days_before, last_day_of
from spam_pipeline.royalties.contracts import EARNING, LINE, WITHHELD, RoyaltyAdjustments, RoyaltyStatements
from spam_pipeline.royalties.destinations import destinations_of
from spam_pipeline.royalties.payout import divide
from spam_pipeline.royalties.pools import pools_of, with_unfunded_audiences

CLOSES_AFTER_DAYS = 5
"""A month takes in plays that arrive up to this many days after its last day."""

LATE_PLAYS = "late plays"


def statement_as_closed(
    month: str, usage: pl.LazyFrame, revenue: pl.LazyFrame, rights: pl.LazyFrame, accounts: pl.LazyFrame
) -> pl.LazyFrame:
    """The month's `RoyaltyStatements` over the plays that had arrived when it was closed."""
    return statement(month, usage.filter(~_is_late(month)), revenue, rights, accounts)


def statement(
    month: str, usage: pl.LazyFrame, revenue: pl.LazyFrame, rights: pl.LazyFrame, accounts: pl.LazyFrame
) -> pl.LazyFrame:
    """The month's `RoyaltyStatements` over all of `usage`. Plays that are spam or too short take no part."""
    eligible = usage.filter(pl.col("status").is_in([EARNING, WITHHELD]))
    pools = with_unfunded_audiences(pools_of(month, revenue), eligible).collect()
    divided = divide(pools, eligible, destinations_of(month, eligible, rights), accounts).lazy()
    return divided.with_columns(month=pl.lit(month)).select(*column_types(RoyaltyStatements)).sort(LINE)


def adjustments(
    month: str, usage: pl.LazyFrame, revenue: pl.LazyFrame, rights: pl.LazyFrame, accounts: pl.LazyFrame
) -> pl.LazyFrame:
    """The month's `RoyaltyAdjustments`: issued statement + adjustments = statement over everything known, line by line."""
    if usage.filter(_is_late(month)).head(1).collect().is_empty():
        return RoyaltyAdjustments.empty()
    known = statement(month, usage, revenue, rights, accounts)
    issued = statement_as_closed(month, usage, revenue, rights, accounts)
    taken_back = issued.with_columns(-pl.col("amount_minor"))
    return (
        pl.concat([known, taken_back])
        .group_by(LINE)
        .agg(pl.col("amount_minor").sum())
        .filter(pl.col("amount_minor") != 0)
        .with_columns(reason=pl.lit(LATE_PLAYS))
        .select(*column_types(RoyaltyAdjustments))
        .sort(LINE)
    )


def _is_late(month: str) -> pl.Expr:
    closing_day = date.fromisoformat(days_before(last_day_of(month), -CLOSES_AFTER_DAYS))
    return pl.col("arrival_day") > closing_day
