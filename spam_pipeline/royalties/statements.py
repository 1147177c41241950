"""Statements: the payouts of a month by everything known now. Pools are divided in `payout`.

Issued statements and their later changes are in `document` and `adjustments`.
"""

from typing import NamedTuple

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.agreements import user_centric_payees
from spam_pipeline.royalties.contracts import ELIGIBLE, RoyaltyStatements
from spam_pipeline.royalties.destinations import destinations_of
from spam_pipeline.royalties.payout import USAGE_AT_ONCE, divide
from spam_pipeline.royalties.pools import pools_of, with_unfunded_audiences


class Terms(NamedTuple):
    """The terms by which usage is divided: the frames of `Revenue`, `Rights`, `Accounts` and `Agreements`."""

    revenue: pl.LazyFrame
    rights: pl.LazyFrame
    accounts: pl.LazyFrame
    agreements: pl.LazyFrame


def statement(month: str, usage: pl.LazyFrame, terms: Terms, usage_at_once: int = USAGE_AT_ONCE) -> pl.LazyFrame:
    """Compute the month's `RoyaltyStatements` over all of `usage`. Spam and short plays take no part.

    About `usage_at_once` rows of usage are in memory together; no amount depends on it.
    """
    eligible = usage.filter(pl.col("status").is_in(ELIGIBLE))
    pools = with_unfunded_audiences(pools_of(month, terms.revenue), eligible).collect()
    payees = user_centric_payees(month, terms.agreements)
    destinations = destinations_of(month, eligible, terms.rights)
    divided = divide(pools, eligible, destinations, terms.accounts, payees, usage_at_once)
    return divided.with_columns(month=pl.lit(month)).select(*column_types(RoyaltyStatements))
