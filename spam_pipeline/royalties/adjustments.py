"""Adjustments: changes of an issued month, line by line, since it was issued and last settled.

Statement as issued + what later statements settled + adjustments = the statement over everything known now. Their reasons
are found in `reasons`.
"""

from typing import NamedTuple

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.contracts import AGREED, LINE, POOL, RoyaltyAdjustments
from spam_pipeline.royalties.reasons import reasons


class Side(NamedTuple):
    """A month as one side of a comparison: its lines and their statement basis."""

    lines: pl.LazyFrame
    basis: pl.LazyFrame


def adjustments(now: Side, issued: Side, usage: pl.LazyFrame, statement_now: str) -> pl.LazyFrame:
    """Compute a month's `RoyaltyAdjustments` since the last statement about it; none while the month is not issued.

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
    """Select the lines whose amount now differs from what was issued and settled, with the difference."""
    taken_back = agreed.select(*LINE, -pl.col("amount_minor"))
    both = pl.concat([current.select(*LINE, "amount_minor"), taken_back])
    return both.group_by(LINE).agg(pl.col("amount_minor").sum()).filter(pl.col("amount_minor") != 0)


def _changes_of_pools(current: pl.DataFrame, agreed: pl.DataFrame) -> pl.DataFrame:
    """Compute the change of each pool; every line carries the money of its pool, or the change of it that it settled."""
    minor = pl.col("pool_minor")
    money = [
        current.select(*POOL, minor).unique(),
        agreed.select("issued_in", *POOL, -minor).unique().drop("issued_in"),
    ]
    return pl.concat(money).group_by(POOL).agg(pool_change_minor=minor.sum())
