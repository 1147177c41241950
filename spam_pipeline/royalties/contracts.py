"""What royalties promises: the usage that money is shared by, the statements of a month, and what late plays change in them.

Money is whole minor units of the currency beside it. A key never holds a null: where a line has no payee, track or incident,
the column holds the empty string. No rule of division lives here.
"""

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.contract import Contract
from spam_pipeline.protocol.fingerprint import Count, Drift, Figure, Measure, Share, Spread, Total, Totals
from spam_pipeline.protocol.limit import Limit

EARNING, WITHHELD, SPAM, SHORT = "earning", "withheld", "spam", "short"
"""What a play is worth: paid now, paid if the suspicion falls, never paid because of what it is, never paid for its length."""

PRO_RATA, USER_CENTRIC = "pro_rata", "user_centric"
"""The rules by which a pool is divided: by all plays together, or each account's contribution by what that account heard."""

PAYOUT, ESCROW, UNCLAIMED = "payout", "escrow", "unclaimed"
"""Where a pool's money goes: to a payee, to wait for an incident, to wait for valid rights, or to nobody."""

NO_CURRENCY = "XXX"
"""ISO 4217 for "no currency": the pool of an audience that was heard, but whose revenue has not landed."""

POOL = ("country", "tier", "currency")
"""What names a pool within its month."""

LINE = ("month", *POOL, "rule", "line", "payee_id", "track_id", "incident_id")
"""What names a line of a statement, and the adjustment of that line."""


class RoyaltyUsage(Contract):
    """How often each listener heard each track on one event day, by what it is worth; sorted by its key.

    `plays` sums to the classified plays of the day, whatever their status. Country and tier are the account's. Where
    `is_account` is false, the listener is a logged-out device or a user that the accounts don't know: it counts in the
    country of the play ("ZZ" if unknown) and in the free tier. `incident_id` is empty where no incident is declared.
    """

    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    listener_key = dy.UInt64(primary_key=True)
    is_account = dy.Bool(primary_key=True)
    track_id = dy.String(primary_key=True)
    event_day = dy.Date(primary_key=True)
    arrival_day = dy.Date(primary_key=True)
    status = dy.String(primary_key=True, check=lambda status: status.is_in([EARNING, WITHHELD, SPAM, SHORT]))
    incident_id = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    ms_played = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Plays of the day by what they are worth, and how many are of known accounts.

        No campaign takes most plays from what is paid or from accounts: only a wrong unit, verdict or table does.
        """
        plays, status = pl.col("plays"), pl.col("status")
        return {
            "plays": Total(plays),
            **{
                f"{name}_plays": Total(pl.when(status == name).then(plays)) for name in (EARNING, WITHHELD, SPAM, SHORT)
            },
            "statuses": Spread(status, weight=plays, drift=Drift(refuse_above=0.5)),
            "account_share": Share(plays * pl.col("is_account"), whole=plays, drift=Drift(refuse_above=0.5)),
        }


class RoyaltyStatements(Contract):
    """Every line of a month's statement, under both rules; sorted by its key. Lines of a pool and rule sum to `pool_minor`.

    `plays` and `ms_played` are the usage behind a line; a track with two payees stands behind both of their lines, and
    `user_centric` counts accounts only. `payee_id` is set on `payout` lines, `track_id` on `escrow`, `incident_id` on
    `withheld` lines where an incident is declared.
    """

    month = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    rule = dy.String(primary_key=True, check=lambda rule: rule.is_in([PRO_RATA, USER_CENTRIC]))
    line = dy.String(primary_key=True, check=lambda line: line.is_in([PAYOUT, WITHHELD, ESCROW, UNCLAIMED]))
    payee_id = dy.String(primary_key=True)
    track_id = dy.String(primary_key=True)
    incident_id = dy.String(primary_key=True)
    plays = dy.Int64(min=0)
    ms_played = dy.Int64(min=0)
    amount_minor = dy.Int64(min=0)
    pool_minor = dy.Int64(min=0)

    @dy.rule()
    def lines_sum_to_their_pool(cls) -> pl.Expr:  # noqa: N805 (dataframely calls rules with the class)
        """Money is conserved: what stands on the lines of a pool is the pool, under each rule."""
        return _line_is_balanced()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Pools, what stands on their lines, and exactly how much, by rule, line and currency, such as `pro_rata_payout`.

        A month's money follows from its revenue, so that no other month says what it should be.
        """
        pool, line = pl.struct(POOL), pl.col("line")
        return {
            "pools": Figure(pool.filter(pl.col("currency") != NO_CURRENCY).n_unique()),
            "pools_without_revenue": Figure(pool.filter(pl.col("currency") == NO_CURRENCY).n_unique()),
            "unbalanced_pools": Figure(pool.filter(~_line_is_balanced()).n_unique()),
            "payees": Figure(pl.col("payee_id").filter(line == PAYOUT).n_unique()),
            "escrow_tracks": Figure(pl.col("track_id").filter(line == ESCROW).n_unique()),
            "incidents_withheld": Figure(pl.col("incident_id").filter(line == WITHHELD).n_unique()),
            **{
                f"{rule}_{name}": _money((pl.col("rule") == rule) & (line == name))
                for rule in (PRO_RATA, USER_CENTRIC)
                for name in (PAYOUT, WITHHELD, ESCROW, UNCLAIMED)
            },
        }

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """Money is conserved in every pool."""
        return (Limit("unbalanced_pools", at_most=0),)


class RoyaltyAdjustments(Contract):
    """What plays that arrived after a month was closed change about its statement; sorted by its key.

    `amount_minor` is the difference from the line as it was issued, never zero; the adjustments of a pool and rule sum
    to zero.
    """

    month = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    rule = dy.String(primary_key=True, check=lambda rule: rule.is_in([PRO_RATA, USER_CENTRIC]))
    line = dy.String(primary_key=True, check=lambda line: line.is_in([PAYOUT, WITHHELD, ESCROW, UNCLAIMED]))
    payee_id = dy.String(primary_key=True)
    track_id = dy.String(primary_key=True)
    incident_id = dy.String(primary_key=True)
    amount_minor = dy.Int64(check=lambda amount: amount != 0)
    reason = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How much of the statement changes, and exactly how much money moves, by rule and currency."""
        raised = pl.col("amount_minor") > 0
        return {
            "adjusted_lines": Count(),
            "adjusted_payees": Figure(pl.col("payee_id").filter(pl.col("line") == PAYOUT).n_unique()),
            "adjusted_pools": Figure(pl.struct(POOL).n_unique()),
            "unbalanced_pools": Figure(pl.struct(POOL).filter(~_adjustment_is_balanced()).n_unique()),
            "raised_lines": Count(raised),
            **{f"{rule}_raised": _money((pl.col("rule") == rule) & raised) for rule in (PRO_RATA, USER_CENTRIC)},
        }

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """What one line of a pool gains, another loses."""
        return (Limit("unbalanced_pools", at_most=0),)


def _line_is_balanced() -> pl.Expr:
    paid = pl.col("amount_minor").sum().over("month", *POOL, "rule")
    return paid == pl.col("pool_minor")


def _adjustment_is_balanced() -> pl.Expr:
    return pl.col("amount_minor").sum().over("month", *POOL, "rule") == 0


def _money(lines: pl.Expr) -> Totals:
    return Totals(pl.when(lines).then("amount_minor"), by="currency")
