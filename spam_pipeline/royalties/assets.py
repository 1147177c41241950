"""The stages of royalties: the inputs of each, and the domain function that computes it. No rule lives here."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
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

_monthly_stage = partial(stage, partitions=statement_months, owner=OWNER, libraries=["polars"])

MOST_UNKNOWN = 0.25
"""Royalties wait while more than this share of a day's plays is classified `unknown`: then the model has no opinion on the day,
and payouts would be a guess. On ordinary days it is below 4 %, with and without labels; and doubt about a single account,
which can have 18 % of all plays, must not hold back everybody's money."""

_STATED_OR_ISSUED = ("royalty_statements", "issued_statements")
"""An issued month stays in the books, even when its plays are taken back and no statement is left."""

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
    """Usage for royalties by settled day: plays per listener and track, as earning, withheld, spam or short.

    A play earns from 30 seconds on, if its spam probability is below the royalty tolerance and no incident is suspected.
    All plays are counted, so the day reconciles to its classified plays.
    """
    return usage_of(classified_plays, accounts)


@_monthly_stage(contract=RoyaltyStatements, deadline=timedelta(hours=24))
def royalty_statements(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    royalty_usage: _Usage,
    revenue: _Revenue,
    rights: _Rights,
    accounts: _Accounts,
    agreements: _Agreements,
    partition: str,
) -> pl.LazyFrame:
    """Royalty statement of a month by country, tier and currency: as agreed, and all pro-rata or all user-centric.

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
    """Basis of a month's statement: money, plays by status and incident, rights, agreements, accounts and code, as numbers.

    It is issued with the statement, so that reasons can be given for a later change.
    """
    return basis_of(partition, royalty_usage, Terms(revenue, rights, accounts, agreements))


@_monthly_stage(contract=IssuedStatements, file_by_file=True)
def issued_statements(issued_documents: LandedFile) -> Batches:
    """Issued statement of a month, line by line and immutable, with the adjustments that it settled.

    The adjustments are about earlier months, each of which is a part of its own.
    """
    return lines_in(issued_documents)


@_monthly_stage(contract=IssuedPayments, file_by_file=True)
def issued_payments(issued_documents: LandedFile) -> Batches:
    """Payments of an issued statement: the amount paid to each payee, and the balance carried to the next month."""
    return payments_in(issued_documents)


@_monthly_stage(contract=IssuedBasis, file_by_file=True)
def issued_basis(issued_documents: LandedFile) -> Batches:
    """Basis of an issued statement, and of each earlier month whose adjustments it settled."""
    return basis_in(issued_documents)


@_monthly_stage(contract=RoyaltyAdjustments, partitioned_by=_STATED_OR_ISSUED)
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
    """Changes of an issued month that no later statement has settled yet, line by line and with their reasons.

    Empty while the month is not issued. Issued + settled + adjustments = the statement over everything known now.
    """
    return adjustments(
        Side(royalty_statements, statement_basis),
        Side(issued_statements, issued_basis),
        royalty_usage,
        contents_read.get(("royalty_statements", partition), ""),
    )


@_monthly_stage(contract=RoyaltyPayments, partitioned_by=_STATED_OR_ISSUED)
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
    """Payments of a month by payee: opening balance, payout, adjustments, the amount paid, and the balance carried forward.

    Issued months keep the payments they were issued with. Open months are computed in order; the first one settles the
    adjustments of the issued months before it.
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
