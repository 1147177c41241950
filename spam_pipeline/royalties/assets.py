"""The stages of royalties: what each reads, and which domain function answers. No rule lives here."""

from collections.abc import Mapping

import polars as pl

from spam_pipeline.partitions import event_days, statement_months
from spam_pipeline.protocol.contract import Reads
from spam_pipeline.protocol.landed_file import LandedFile
from spam_pipeline.protocol.limit import Limit
from spam_pipeline.protocol.selection import DaysOfMonth, PartitionsUpTo, PartNamedAlike, PartsUpToMonth
from spam_pipeline.protocol.stage import stage
from spam_pipeline.royalties.adjustments import Side, adjustments
from spam_pipeline.royalties.contracts import (
    LINE,
    SETTLED_AFTER_DAYS,
    IssuedGrounds,
    IssuedPayments,
    IssuedStatements,
    RoyaltyAdjustments,
    RoyaltyGrounds,
    RoyaltyPayments,
    RoyaltyStatements,
    RoyaltyUsage,
)
from spam_pipeline.royalties.document import Batches, grounds_in, lines_in, payments_in
from spam_pipeline.royalties.grounds import grounds_of
from spam_pipeline.royalties.payments import Account, payments
from spam_pipeline.royalties.statements import Terms, statement
from spam_pipeline.royalties.usage import usage_of

OWNER = "team:royalties"

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

_STATED_OR_ISSUED = ("royalty_statements", "issued_statements")
"""What is issued stays in the books, even if nothing is left that a statement could be made from."""

_PAID_LINE = ("month", "currency", "rule", "line", "payee_id", "amount_minor")

MONEY_READS = {
    "revenue": Reads(("month", "country", "tier", "currency", "net_revenue_minor")),
    "rights": Reads(("track_id", "payee_id", "valid_from", "valid_to", "share_ppm")),
    "accounts": _ACCOUNTS,
    "agreements": Reads(("payee_id", "valid_from", "rule")),
}
MONEY_SELECTIONS = {
    "royalty_usage": DaysOfMonth(),
    "revenue": PartNamedAlike(),
    "accounts": PartsUpToMonth(),
    "agreements": PartsUpToMonth(),
}


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
def royalty_statements(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_usage: pl.LazyFrame,
    revenue: pl.LazyFrame,
    rights: pl.LazyFrame,
    accounts: pl.LazyFrame,
    agreements: pl.LazyFrame,
    partition: str,
) -> pl.LazyFrame:
    """Who gets what of a month's pools, by country, tier and currency: as agreed, and all pro-rata or all user-centric.

    Pool = net revenue x payout share. Payouts, withheld, escrow and unclaimed money sum to the pool, to the last minor unit.
    All plays known now take part: issuing the month is what freezes it.
    """
    return statement(partition, royalty_usage, Terms(revenue, rights, accounts, agreements))


@stage(
    partitions=statement_months,
    contract=RoyaltyGrounds,
    owner=OWNER,
    libraries=["polars", "polars-hash"],
    selections=MONEY_SELECTIONS,
    reads=MONEY_READS,
)
def royalty_grounds(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_usage: pl.LazyFrame,
    revenue: pl.LazyFrame,
    rights: pl.LazyFrame,
    accounts: pl.LazyFrame,
    agreements: pl.LazyFrame,
    partition: str,
) -> pl.LazyFrame:
    """What a month's statement rests on: money, plays by status and incident, rights, agreements, accounts and code, as numbers.

    It is issued with the statement, so that a later change can be given its reasons.
    """
    return grounds_of(partition, royalty_usage, Terms(revenue, rights, accounts, agreements))


@stage(
    partitions=statement_months,
    contract=IssuedStatements,
    owner=OWNER,
    libraries=["polars"],
    file_by_file=True,
    never_retracted=True,
)
def issued_statements(issued_documents: LandedFile) -> Batches:
    """The statement that was issued for a month, line by line as it was, and the adjustments that it settled; it never changes.

    The adjustments are of earlier months, each of which is a part of its own.
    """
    return lines_in(issued_documents)


@stage(
    partitions=statement_months,
    contract=IssuedPayments,
    owner=OWNER,
    libraries=["polars"],
    file_by_file=True,
    never_retracted=True,
)
def issued_payments(issued_documents: LandedFile) -> Batches:
    """What each payee was paid with an issued statement, and what was carried to the next month."""
    return payments_in(issued_documents)


@stage(
    partitions=statement_months,
    contract=IssuedGrounds,
    owner=OWNER,
    libraries=["polars"],
    file_by_file=True,
    never_retracted=True,
)
def issued_grounds(issued_documents: LandedFile) -> Batches:
    """What an issued statement rested on, and each earlier month whose adjustments it settled."""
    return grounds_in(issued_documents)


@stage(
    partitions=statement_months,
    contract=RoyaltyAdjustments,
    owner=OWNER,
    libraries=["polars"],
    driven_by=_STATED_OR_ISSUED,
    selections={
        "royalty_usage": DaysOfMonth(),
        "issued_statements": PartNamedAlike(),
        "issued_grounds": PartNamedAlike(),
    },
    reads={
        "royalty_statements": Reads((*LINE, "amount_minor", "pool_minor")),
        "royalty_usage": Reads(("country", "tier", "track_id", "status")),
        "issued_statements": Reads(
            (*LINE, "issued_in", "issued_at", "amount_minor", "pool_minor", "statement_content")
        ),
    },
)
def royalty_adjustments(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_statements: pl.LazyFrame,
    royalty_grounds: pl.LazyFrame,
    royalty_usage: pl.LazyFrame,
    issued_statements: pl.LazyFrame,
    issued_grounds: pl.LazyFrame,
    contents_read: Mapping[tuple[str, str], str],
    partition: str,
) -> pl.LazyFrame:
    """What has changed about an issued month, line by line and with the reasons, that no later statement has settled yet.

    Empty while the month is not issued. Issued + settled + adjustments = the statement over everything known now.
    """
    return adjustments(
        Side(royalty_statements, royalty_grounds),
        Side(issued_statements, issued_grounds),
        royalty_usage,
        contents_read.get(("royalty_statements", partition), ""),
    )


@stage(
    partitions=statement_months,
    contract=RoyaltyPayments,
    owner=OWNER,
    libraries=["polars"],
    driven_by=_STATED_OR_ISSUED,
    selections=dict.fromkeys(
        ("royalty_statements", "royalty_adjustments", "issued_payments", "issued_statements"), PartitionsUpTo()
    ),
    reads={
        "royalty_statements": Reads(_PAID_LINE),
        "royalty_adjustments": Reads(("month", "currency", "line", "payee_id", "amount_minor")),
        "issued_statements": Reads(("issued_in",)),
    },
)
def royalty_payments(
    royalty_statements: pl.LazyFrame,
    royalty_adjustments: pl.LazyFrame,
    issued_payments: pl.LazyFrame,
    issued_statements: pl.LazyFrame,
    partition: str,
) -> pl.LazyFrame:
    """What each payee is paid for a month: opening balance, payout and adjustments, what is paid of it, what is carried.

    Issued months keep what they were issued with. Open months are taken in order; the first one settles what has changed about
    the issued months before it.
    """
    account = Account(royalty_statements, royalty_adjustments, issued_payments, issued_statements)
    return payments(partition, account)


STAGES = (
    royalty_usage,
    royalty_statements,
    royalty_grounds,
    issued_statements,
    issued_payments,
    issued_grounds,
    royalty_adjustments,
    royalty_payments,
)
