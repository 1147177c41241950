"""The stages of royalties: what each reads, and which domain function answers. No rule lives here."""

from collections.abc import Mapping
from typing import Annotated

import polars as pl

from spam_pipeline.partitions import event_days, statement_months
from spam_pipeline.protocol import (
    DaysOfMonth,
    LandedFile,
    Limit,
    PartForPartition,
    PartitionsUpTo,
    PartsUpToMonth,
    Reads,
    stage,
)
from spam_pipeline.royalties.adjustments import Side, adjustments
from spam_pipeline.royalties.contracts import (
    LINE,
    SETTLED_AFTER_DAYS,
    IssuedBasis,
    IssuedPayments,
    IssuedStatements,
    RoyaltyAdjustments,
    RoyaltyPayments,
    RoyaltyStatements,
    RoyaltyUsage,
    StatementBasis,
)
from spam_pipeline.royalties.document import Batches, basis_in, lines_in, payments_in
from spam_pipeline.royalties.payments import Account, payments
from spam_pipeline.royalties.statement_basis import basis_of
from spam_pipeline.royalties.statements import Terms, statement
from spam_pipeline.royalties.usage import usage_of

OWNER = "team:royalties"

MOST_UNKNOWN = 0.25
"""Royalties wait while the verdict on more than this share of a day's plays is `unknown`: then the model has no opinion on the
day, and what is paid would be a guess. On ordinary days it is below 4 %, with and without labels; and doubt about a single
account, which can have 18 % of all plays, must not keep back the money of all others."""

_STATED_OR_ISSUED = ("royalty_statements", "issued_statements")
"""What is issued stays in the books, even if nothing is left that a statement could be made from."""

_Usage = Annotated[pl.LazyFrame, Reads(DaysOfMonth())]
_Revenue = Annotated[
    pl.LazyFrame, Reads(PartForPartition(), columns=("month", "country", "tier", "currency", "net_revenue_minor"))
]
_Rights = Annotated[pl.LazyFrame, Reads(columns=("track_id", "payee_id", "valid_from", "valid_to", "share_ppm"))]
_Accounts = Annotated[pl.LazyFrame, Reads(PartsUpToMonth(), columns=("user_key", "country", "tier"))]
_Agreements = Annotated[pl.LazyFrame, Reads(PartsUpToMonth(), columns=("payee_id", "valid_from", "rule"))]


@stage(
    partitions=event_days,
    contract=RoyaltyUsage,
    owner=OWNER,
    libraries=["polars"],
    settled_after_days=SETTLED_AFTER_DAYS,
)
def royalty_usage(
    classified_plays: Annotated[
        pl.LazyFrame,
        Reads(
            columns=(
                *("user_key", "device_key", "track_id", "country", "occurred_at", "arrival_hour", "ms_played"),
                *("class", "spam_probability", "incident_id", "incident_status"),
            ),
            schema=2,
            expectations=(Limit("unknown_share", at_most=MOST_UNKNOWN),),
        ),
    ],
    accounts: _Accounts,
) -> pl.LazyFrame:
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
)
def royalty_statements(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_usage: _Usage,
    revenue: _Revenue,
    rights: _Rights,
    accounts: _Accounts,
    agreements: _Agreements,
    partition: str,
) -> pl.LazyFrame:
    """Who gets what of a month's pools, by country, tier and currency: as agreed, and all pro-rata or all user-centric.

    Pool = net revenue x payout share. Payouts, withheld, escrow and unclaimed money sum to the pool, to the last minor unit.
    All plays known now take part: issuing the month is what freezes it.
    """
    return statement(partition, royalty_usage, Terms(revenue, rights, accounts, agreements))


@stage(
    partitions=statement_months,
    contract=StatementBasis,
    owner=OWNER,
    libraries=["polars", "polars-hash"],
)
def statement_basis(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_usage: _Usage,
    revenue: _Revenue,
    rights: _Rights,
    accounts: _Accounts,
    agreements: _Agreements,
    partition: str,
) -> pl.LazyFrame:
    """What a month's statement rests on: money, plays by status and incident, rights, agreements, accounts and code, as numbers.

    It is issued with the statement, so that a later change can be given its reasons.
    """
    return basis_of(partition, royalty_usage, Terms(revenue, rights, accounts, agreements))


@stage(
    partitions=statement_months,
    contract=IssuedStatements,
    owner=OWNER,
    libraries=["polars"],
    file_by_file=True,
    retain_when_source_removed=True,
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
    retain_when_source_removed=True,
)
def issued_payments(issued_documents: LandedFile) -> Batches:
    """What each payee was paid with an issued statement, and what was carried to the next month."""
    return payments_in(issued_documents)


@stage(
    partitions=statement_months,
    contract=IssuedBasis,
    owner=OWNER,
    libraries=["polars"],
    file_by_file=True,
    retain_when_source_removed=True,
)
def issued_basis(issued_documents: LandedFile) -> Batches:
    """What an issued statement rested on, and each earlier month whose adjustments it settled."""
    return basis_in(issued_documents)


@stage(
    partitions=statement_months,
    contract=RoyaltyAdjustments,
    owner=OWNER,
    libraries=["polars"],
    partitioned_by=_STATED_OR_ISSUED,
)
def royalty_adjustments(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_statements: Annotated[pl.LazyFrame, Reads(columns=(*LINE, "amount_minor", "pool_minor"))],
    statement_basis: pl.LazyFrame,
    royalty_usage: Annotated[pl.LazyFrame, Reads(DaysOfMonth(), columns=("country", "tier", "track_id", "status"))],
    issued_statements: Annotated[
        pl.LazyFrame,
        Reads(
            PartForPartition(),
            columns=(*LINE, "issued_in", "issued_at", "amount_minor", "pool_minor", "statement_content"),
        ),
    ],
    issued_basis: Annotated[pl.LazyFrame, Reads(PartForPartition())],
    contents_read: Mapping[tuple[str, str], str],
    partition: str,
) -> pl.LazyFrame:
    """What has changed about an issued month, line by line and with the reasons, that no later statement has settled yet.

    Empty while the month is not issued. Issued + settled + adjustments = the statement over everything known now.
    """
    return adjustments(
        Side(royalty_statements, statement_basis),
        Side(issued_statements, issued_basis),
        royalty_usage,
        contents_read.get(("royalty_statements", partition), ""),
    )


@stage(
    partitions=statement_months,
    contract=RoyaltyPayments,
    owner=OWNER,
    libraries=["polars"],
    partitioned_by=_STATED_OR_ISSUED,
)
def royalty_payments(
    royalty_statements: Annotated[
        pl.LazyFrame,
        Reads(PartitionsUpTo(), columns=("month", "currency", "rule", "line", "payee_id", "amount_minor")),
    ],
    royalty_adjustments: Annotated[
        pl.LazyFrame, Reads(PartitionsUpTo(), columns=("month", "currency", "line", "payee_id", "amount_minor"))
    ],
    issued_payments: Annotated[pl.LazyFrame, Reads(PartitionsUpTo())],
    issued_statements: Annotated[pl.LazyFrame, Reads(PartitionsUpTo(), columns=("issued_in",))],
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
    statement_basis,
    issued_statements,
    issued_payments,
    issued_basis,
    royalty_adjustments,
    royalty_payments,
)
