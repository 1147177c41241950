"""Agreements: the payees who are paid user-centric. Everybody else is paid pro-rata. Pools are divided in `payout`."""

from datetime import date

import polars as pl

from spam_pipeline.royalties.contracts import USER_CENTRIC


def user_centric_payees(month: str, agreements: pl.LazyFrame) -> pl.LazyFrame:
    """Return the `payee_id` of every payee with a user-centric agreement for a month, in no particular order.

    An agreement counts from the first month that begins on or after `valid_from`, until a later one does: a month is
    divided by one rule for each payee.
    """
    begins = pl.lit(date.fromisoformat(f"{month}-01"))
    counted = agreements.filter(pl.col("valid_from") <= begins).sort("valid_from")
    latest = counted.group_by("payee_id").agg(pl.col("rule").last())
    return latest.filter(pl.col("rule") == USER_CENTRIC).select("payee_id")
