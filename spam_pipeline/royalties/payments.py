"""Payments: what each payee is paid for a month, and what is carried to the next one.

What is issued stays as it was issued. The months after it are taken in order, as if each were issued as it stands.
"""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from spam_pipeline.protocol.contract import column_types
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RoyaltyPayments

MINIMUM_PAYOUT_MINOR = 1000
"""What a balance has to reach to be paid, in minor units of any currency: 10.00 EUR, 1,000 JPY, 1.000 KWD."""

_PAYEE = ("payee_id", "currency")


class Account(NamedTuple):
    """What payments rest on, up to a month: `RoyaltyStatements`, `RoyaltyAdjustments`, and what was issued.

    `issued_months` says in `issued_in` which months are issued.
    """

    statements: pl.LazyFrame
    adjustments: pl.LazyFrame
    issued_payments: pl.LazyFrame
    issued_months: pl.LazyFrame


def payments(month: str, account: Account) -> pl.LazyFrame:
    """The month's `RoyaltyPayments`.

    An issued month has those it was issued with. Any other one opens with what issued months have left over, and open months
    before it; the first open month after an issued one settles its adjustments.
    """
    issued = _months(account.issued_months, "issued_in")
    columns = tuple(column_types(RoyaltyPayments))
    if month in issued:
        return account.issued_payments.filter(pl.col("month") == month).select(columns).sort("payee_id", "currency")
    payouts = _by_payee(account.statements.filter(pl.col("rule") == AGREED), "payout_minor")
    adjustments = _by_payee(account.adjustments, "adjustments_minor")
    carried = _left_over(account.issued_payments)
    for open_month, settled in _open_months(month, account, issued):
        earned = (
            payouts.filter(pl.col("month") == open_month),
            adjustments.filter(pl.col("month").is_in(settled)),
        )
        paid = _paid(carried, *(part.group_by(_PAYEE).agg(pl.exclude("month").sum()) for part in earned))
        carried = paid.select(*_PAYEE, opening_minor="carried_minor")
    return paid.lazy().with_columns(month=pl.lit(month)).select(columns).sort("payee_id", "currency")


def settled_by(month: str, account: Account) -> list[str]:
    """The issued months whose adjustments an open month settles."""
    issued = _months(account.issued_months, "issued_in")
    return dict(_open_months(month, account, issued)).get(month, [])


def _by_payee(lines: pl.LazyFrame, name: str) -> pl.DataFrame:
    """What goes to payees, by month."""
    to_payees = lines.filter(pl.col("line") == PAYOUT)
    return (
        to_payees.group_by("month", *_PAYEE).agg(pl.col("amount_minor").sum().alias(name)).collect(engine="streaming")
    )


def _left_over(issued: pl.LazyFrame) -> pl.DataFrame:
    """What all issued months together have earned and not paid."""
    left_over = pl.col("payout_minor") + pl.col("adjustments_minor") - pl.col("paid_minor")
    return issued.group_by(_PAYEE).agg(opening_minor=left_over.sum()).collect()


def _open_months(last: str, account: Account, issued: set[str]) -> Iterator[tuple[str, list[str]]]:
    """The months that are not issued, up to and including `last`, with the issued months whose adjustments each settles."""
    waiting = sorted(issued)
    for month in sorted({*_months(account.statements, "month"), last} - issued):
        yield month, [other for other in waiting if other < month]
        waiting = [other for other in waiting if other >= month]


def _months(frame: pl.LazyFrame, column: str) -> set[str]:
    return set(frame.select(column).unique().collect()[column])


def _paid(carried: pl.DataFrame, payouts: pl.DataFrame, adjustments: pl.DataFrame) -> pl.DataFrame:
    """What becomes of each balance; a payee with nothing in any column is left out."""
    sums = ("opening_minor", "payout_minor", "adjustments_minor")
    every = pl.concat([carried, payouts, adjustments], how="diagonal").group_by(_PAYEE).agg(pl.col(sums).sum())
    balance = pl.sum_horizontal(sums)
    is_paid = pl.col("balance_minor") >= MINIMUM_PAYOUT_MINOR
    return (
        every.filter(pl.any_horizontal(pl.col(sums) != 0))
        .with_columns(balance_minor=balance)
        .with_columns(paid_minor=pl.when(is_paid).then("balance_minor").otherwise(0))
        .with_columns(carried_minor=pl.col("balance_minor") - pl.col("paid_minor"))
    )
