"""Adjustments: what an issued month has changed by, line by line, since it was issued and since that was last settled.

Statement as issued + what later statements settled + adjustments = the statement over everything known now. Why is in `reasons`.
"""

from typing import NamedTuple

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.contracts import AGREED, LINE, POOL, RoyaltyAdjustments
from spam_pipeline.royalties.reasons import reasons


class Side(NamedTuple):
    """A month as one side of a comparison: its lines, and the grounds they rest on."""

    lines: pl.LazyFrame
    basis: pl.LazyFrame


def adjustments(now: Side, issued: Side, usage: pl.LazyFrame, statement_now: str) -> pl.LazyFrame:
    """A month's `RoyaltyAdjustments` since the last statement that says something of it; none while the month is not issued.

    `now` has its `RoyaltyStatements`, of the content `statement_now`, and its `StatementBasis`; `issued` all `IssuedStatements`
    and `IssuedBasis` about it; `usage` is its `RoyaltyUsage`.
    """
    agreed = issued.lines.filter(pl.col("rule") == AGREED).collect()
    if agreed.is_empty():
        return RoyaltyAdjustments.empty()
    current = now.lines.filter(pl.col("rule") == AGREED).select(*LINE, "amount_minor", "pool_minor").collect()
    changed = _difference(current, agreed)
    latest = agreed.sort("issued_at", "issued_in").tail(1)
    basis = issued.basis.filter(pl.col("issued_in") == latest["issued_in"][0]).collect()
    why = reasons(changed, basis, now.basis.collect(), usage)
    return (
        changed.lazy()
        .join(_changes_of_pools(current, agreed).lazy(), on=POOL)
        .join(why.lazy(), on=POOL)
        .with_columns(statement_then=pl.lit(latest["statement_content"][0]), statement_now=pl.lit(statement_now))
        .select(*column_types(RoyaltyAdjustments))
        .sort(LINE)
    )


def _difference(current: pl.DataFrame, agreed: pl.DataFrame) -> pl.DataFrame:
    """The lines that are not worth now what was issued and settled of them, with the difference."""
    taken_back = agreed.select(*LINE, -pl.col("amount_minor"))
    both = pl.concat([current.select(*LINE, "amount_minor"), taken_back])
    return both.group_by(LINE).agg(pl.col("amount_minor").sum()).filter(pl.col("amount_minor") != 0)


def _changes_of_pools(current: pl.DataFrame, agreed: pl.DataFrame) -> pl.DataFrame:
    """By how much each pool has changed; every line tells the money of its pool, or the change that it settled."""
    minor = pl.col("pool_minor")
    money = [
        current.select(*POOL, minor).unique(),
        agreed.select("issued_in", *POOL, -minor).unique().drop("issued_in"),
    ]
    return pl.concat(money).group_by(POOL).agg(pool_change_minor=minor.sum())
