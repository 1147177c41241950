"""The stages of royalties: what each reads, and which domain function answers. No rule lives here."""

import polars as pl

from spam_pipeline.partitions import event_days, statement_months
from spam_pipeline.protocol.selection import DaysOfMonth, PartNamedAlike, PartsUpToMonth
from spam_pipeline.protocol.stage import stage
from spam_pipeline.royalties.contracts import RoyaltyAdjustments, RoyaltyStatements, RoyaltyUsage
from spam_pipeline.royalties.statements import adjustments, statement_as_closed
from spam_pipeline.royalties.usage import usage_of

OWNER = "team:royalties"

SETTLED_AFTER_DAYS = 2
"""Royalties wait until the landing zone has moved this far past a day: they would rather be right than early."""

MONEY_SELECTIONS = {"royalty_usage": DaysOfMonth(), "revenue": PartNamedAlike(), "accounts": PartsUpToMonth()}


@stage(
    partitions=event_days,
    contract=RoyaltyUsage,
    owner=OWNER,
    libraries=["polars"],
    selections={"accounts": PartsUpToMonth()},
    settled_after_days=SETTLED_AFTER_DAYS,
)
def royalty_usage(classified_plays: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """How often each listener heard each track on a settled day, by what it is worth: earning, withheld, spam or short.

    A play earns from 30 seconds on, if its probability of spam is below the royalty tolerance and no incident is suspected.
    All plays are counted, so the day reconciles to its classified plays.
    """
    return usage_of(classified_plays, accounts)


@stage(
    partitions=statement_months,
    contract=RoyaltyStatements,
    owner=OWNER,
    libraries=["polars"],
    selections=MONEY_SELECTIONS,
)
def royalty_statements(
    royalty_usage: pl.LazyFrame,
    revenue: pl.LazyFrame,
    rights: pl.LazyFrame,
    accounts: pl.LazyFrame,
    partition: str,
) -> pl.LazyFrame:
    """Who gets what of a month's pools, by country, tier and currency, under both rules: pro-rata and user-centric.

    Pool = net revenue x payout share. Payouts, withheld, escrow and unclaimed money sum to the pool, to the last minor unit.
    Only plays that had arrived when the month was closed take part; later ones become adjustments.
    """
    return statement_as_closed(partition, royalty_usage, revenue, rights, accounts)


@stage(
    partitions=statement_months,
    contract=RoyaltyAdjustments,
    owner=OWNER,
    libraries=["polars"],
    selections=MONEY_SELECTIONS,
)
def royalty_adjustments(
    royalty_usage: pl.LazyFrame,
    revenue: pl.LazyFrame,
    rights: pl.LazyFrame,
    accounts: pl.LazyFrame,
    partition: str,
) -> pl.LazyFrame:
    """What plays that arrived after the month was closed change about its statement, line by line; empty when none did.

    Statement + adjustments = the statement over everything known now.
    """
    return adjustments(partition, royalty_usage, revenue, rights, accounts)


STAGES = (royalty_usage, royalty_statements, royalty_adjustments)
