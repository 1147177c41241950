"""Statements: what a month pays to whom, by everything known now. How a pool is divided is in `payout`.

What was issued, and what has changed about it since, is in `document` and `adjustments`.
"""

from typing import NamedTuple

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.agreements import user_centric_payees
from spam_pipeline.royalties.contracts import ELIGIBLE, RoyaltyStatements
from spam_pipeline.royalties.destinations import destinations_of
from spam_pipeline.royalties.payout import divide
from spam_pipeline.royalties.pools import pools_of, with_unfunded_audiences


class Terms(NamedTuple):
    """What a month's usage is divided by: the frames of `Revenue`, `Rights`, `Accounts` and `Agreements`."""

    revenue: pl.LazyFrame
    rights: pl.LazyFrame
    accounts: pl.LazyFrame
    agreements: pl.LazyFrame


def statement(month: str, usage: pl.LazyFrame, terms: Terms) -> pl.LazyFrame:
    """The month's `RoyaltyStatements` over all of `usage`. Plays that are spam or too short take no part."""
    eligible = usage.filter(pl.col("status").is_in(ELIGIBLE))
    pools = with_unfunded_audiences(pools_of(month, terms.revenue), eligible).collect()
    payees = user_centric_payees(month, terms.agreements)
    divided = divide(pools, eligible, destinations_of(month, eligible, terms.rights), terms.accounts, payees)
    return divided.with_columns(month=pl.lit(month)).select(*column_types(RoyaltyStatements))
