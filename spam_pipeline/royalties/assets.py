"""The stages of royalties: what each reads, and which domain function answers. No rule lives here."""

import polars as pl

from spam_pipeline.partitions import event_days, statement_months
from spam_pipeline.protocol.contract import Reads
from spam_pipeline.protocol.limit import Limit
from spam_pipeline.protocol.selection import DaysOfMonth, PartNamedAlike, PartsUpToMonth
from spam_pipeline.protocol.stage import stage
from spam_pipeline.royalties.contracts import RoyaltyAdjustments, RoyaltyStatements, RoyaltyUsage
from spam_pipeline.royalties.statements import adjustments, statement_as_closed
from spam_pipeline.royalties.usage import usage_of

OWNER = "team:royalties"

SETTLED_AFTER_DAYS = 2
"""Royalties wait until the landing zone has moved this far past a day: they would rather be right than early."""

MOST_UNKNOWN = 0.25
"""Royalties wait while the verdict on more than this share of a day's plays is `unknown`: then the model has no opinion on the
day, and what is paid would be a guess. On ordinary days it is below 4 %, with and without labels; and doubt about a single
account, which can have 18 % of all plays, must not keep back the money of all others."""

_CLASSIFIED_PLAYS = Reads(
    (
        *("user_key", "device_key", "track_id", "country", "occurred_at", "arrival_hour", "ms_played"),
        *("class", "spam_probability", "incident_id", "incident_status"),
    ),
    schema=2,
)
_ACCOUNTS = Reads(("user_key", "country", "tier"))

MONEY_READS = {
    "revenue": Reads(("month", "country", "tier", "currency", "net_revenue_minor")),
    "rights": Reads(("track_id", "payee_id", "valid_from", "valid_to", "share_ppm")),
    "accounts": _ACCOUNTS,
}
MONEY_SELECTIONS = {"royalty_usage": DaysOfMonth(), "revenue": PartNamedAlike(), "accounts": PartsUpToMonth()}


@stage(
    partitions=event_days,
    contract=RoyaltyUsage,
    owner=OWNER,
    libraries=["polars"],
    selections={"accounts": PartsUpToMonth()},
    reads={"classified_plays": _CLASSIFIED_PLAYS, "accounts": _ACCOUNTS},
    expectations={"classified_plays": (Limit("unknown_share", at_most=MOST_UNKNOWN),)},
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
    reads=MONEY_READS,
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
    reads=MONEY_READS,
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
