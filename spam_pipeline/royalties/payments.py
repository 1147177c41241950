"""Payments: the amount paid to each payee for a month, and the balance carried to the next one.

Issued months keep their payments. Open months are computed in order, as if each were issued as it stands. A month whose
statement has no line is neither: there is nothing to issue, so it pays nothing and settles nothing.
"""

from typing import NamedTuple

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RoyaltyPayments

MINIMUM_PAYOUT_MINOR = 1000
"""The smallest balance that is paid, in minor units of any currency: 10.00 EUR, 1,000 JPY, 1.000 KWD."""

PAID_FROM = ("royalty_statements", "royalty_adjustments", "issued_payments", "issued_statements")
"""The stages behind the frames of an `Account`, in its order."""

_PAYEE = ("payee_id", "currency")
_EARNED = ("opening_minor", "payout_minor", "adjustments_minor")
_NOTHING = RoyaltyPayments.empty().select(*_PAYEE, *_EARNED).collect()


class Account(NamedTuple):
    """The input of payments up to a month: `RoyaltyStatements`, `RoyaltyAdjustments`, and issued payments.

    `issued_months` lists issued months in `issued_in`.
    """

    statements: pl.LazyFrame
    adjustments: pl.LazyFrame
    issued_payments: pl.LazyFrame
    issued_months: pl.LazyFrame


def payments(month: str, account: Account) -> pl.LazyFrame:
    """Compute the month's `RoyaltyPayments`.

    An issued month has those it was issued with. An open one opens with the balances that issued and open months before it
    carried forward, and the first one after all issued ones settles their adjustments. A month that became open before an
    issued one stands on its own: the issued month has already taken the balances.
    """
    issued, columns = _months(account.issued_months, "issued_in"), tuple(column_types(RoyaltyPayments))
    if month in issued:
        return account.issued_payments.filter(pl.col("month") == month).select(columns).sort("payee_id", "currency")
    waiting = _months(account.statements, "month") - issued
    if month not in waiting:
        return RoyaltyPayments.empty()
    payouts = _by_payee(account.statements.filter(pl.col("rule") == AGREED), "payout_minor")
    adjustments = _by_payee(account.adjustments, "adjustments_minor")
    carried = _left_over(account.issued_payments)
    for open_month in sorted(waiting):
        settled = _settled_by(open_month, waiting, issued)
        own = [
            payouts.filter(pl.col("month") == open_month),
            adjustments.filter(pl.col("month").is_in(settled)),
        ]
        is_between = open_month < max(issued, default="")
        paid = _paid(*own) if is_between else _paid(carried, *own)
        left = paid.select(*_PAYEE, opening_minor="carried_minor")
        carried = pl.concat([carried, left]) if is_between else left
    return paid.lazy().with_columns(month=pl.lit(month)).select(columns).sort("payee_id", "currency")


def settled_by(month: str, account: Account) -> list[str]:
    """Return the issued months whose adjustments an open month settles."""
    issued = _months(account.issued_months, "issued_in")
    return _settled_by(month, _months(account.statements, "month") - issued, issued)


def on_its_own(payments: pl.DataFrame) -> pl.DataFrame:
    """Compute the payments of a month that is issued after a later one, which has taken the balances from before both.

    So it opens with nothing and settles nothing.
    """
    nothing = pl.lit(0, dtype=pl.Int64)
    own = payments.with_columns(opening_minor=nothing, adjustments_minor=nothing)
    return _balanced(own).select(payments.columns)


def _by_payee(lines: pl.LazyFrame, name: str) -> pl.DataFrame:
    """Sum the amounts of payees, by month."""
    to_payees = lines.filter(pl.col("line") == PAYOUT)
    return (
        to_payees.group_by("month", *_PAYEE).agg(pl.col("amount_minor").sum().alias(name)).collect(engine="streaming")
    )


def _left_over(issued: pl.LazyFrame) -> pl.DataFrame:
    """Sum what all issued months together have earned and not paid."""
    left_over = pl.col("payout_minor") + pl.col("adjustments_minor") - pl.col("paid_minor")
    return issued.group_by(_PAYEE).agg(opening_minor=left_over.sum()).collect()


def _settled_by(month: str, waiting: set[str], issued: set[str]) -> list[str]:
    first = min((key for key in waiting if key > max(issued, default="")), default=None)
    return sorted(issued) if month == first else []


def _months(frame: pl.LazyFrame, column: str) -> set[str]:
    return set(frame.select(column).unique().collect()[column])


def _paid(*earned: pl.DataFrame) -> pl.DataFrame:
    """Sum each payee's earnings, and pay or carry the balance."""
    every = pl.concat([_NOTHING, *earned], how="diagonal").group_by(_PAYEE)
    return _balanced(every.agg(pl.col(_EARNED).sum()))


def _balanced(payments: pl.DataFrame) -> pl.DataFrame:
    """Pay balances from the minimum payout on, and carry the others; payees with only zeros are left out.

    >>> earned = pl.DataFrame({"opening_minor": [400, -200], "payout_minor": [700, 500], "adjustments_minor": [0, 0]})
    >>> _balanced(earned).select("balance_minor", "paid_minor", "carried_minor").rows()
    [(1100, 1100, 0), (300, 0, 300)]
    """
    is_paid = pl.col("balance_minor") >= MINIMUM_PAYOUT_MINOR
    return (
        payments.filter(pl.any_horizontal(pl.col(_EARNED) != 0))
        .with_columns(balance_minor=pl.sum_horizontal(_EARNED))
        .with_columns(paid_minor=pl.when(is_paid).then("balance_minor").otherwise(0))
        .with_columns(carried_minor=pl.col("balance_minor") - pl.col("paid_minor"))
    )
