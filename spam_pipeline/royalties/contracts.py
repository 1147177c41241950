"""The contracts of royalties: usage, statements, payments, issued documents, and adjustments.

Money is whole minor units of the currency beside it. A key never holds a null: where a line has no payee, track or incident,
the column holds the empty string. No rule of division lives here.
"""

import dataframely as dy
import polars as pl

from spam_pipeline.ingestion.contracts import TOLERATED_LOSS
from spam_pipeline.protocol import Contract, Limit
from spam_pipeline.protocol.fingerprint import Count, Drift, Figure, Measure, Share, Spread, Total, Totals

EARNING, WITHHELD, SPAM, SHORT = "earning", "withheld", "spam", "short"
"""The status of a play: paid now, paid if the suspicion is cleared, never paid as spam, never paid because it was too short."""

ELIGIBLE = (EARNING, WITHHELD)
"""The statuses of plays that take part in the division of a pool."""

PLAY_STATUSES = (*ELIGIBLE, SPAM, SHORT)
"""All statuses of plays, in display order."""

SETTLED_AFTER_DAYS = 2
"""Royalties wait until arrivals have reached so many days past a day: they prefer being right to being early."""

AGREED, PRO_RATA, USER_CENTRIC = "agreed", "pro_rata", "user_centric"
"""The rules by which a pool is divided: by all plays together; by dividing each account's contribution over what that account
heard; or, for payment, by the rule of these two that each payee agreed to."""

RULES = (AGREED, PRO_RATA, USER_CENTRIC)

PAYOUT, ESCROW, UNCLAIMED = "payout", "escrow", "unclaimed"
"""The destinations of a pool's money that is not `withheld`: a payee, escrow until rights are valid, or nobody."""

USAGE = "usage"
"""The ground of a statement basis that counts plays; see `StatementBasis`."""

NO_CURRENCY = "XXX"
"""ISO 4217 for "no currency": the pool of an audience with plays whose revenue has not landed."""

POOL = ("country", "tier", "currency")
"""The columns that identify a pool within its month."""

LINE = ("month", *POOL, "rule", "line", "payee_id", "track_id", "incident_id")
"""The columns that identify a line of a statement, and the adjustment of that line."""


class RoyaltyUsage(Contract):
    """Plays per listener and track on one event day, by status; sorted by its key.

    `plays` sums to the classified plays of the day, whatever their status. Country and tier are the account's. Where
    `is_account` is false, the listener is a logged-out device or an unknown user, and counts in the country of the
    play ("ZZ" if unknown) and in the free tier. `incident_id` is empty where no incident is declared.
    """

    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    listener_key = dy.UInt64(primary_key=True)
    is_account = dy.Bool(primary_key=True)
    track_id = dy.String(primary_key=True)
    event_day = dy.Date(primary_key=True)
    arrival_day = dy.Date(primary_key=True)
    status = dy.String(primary_key=True, check=lambda status: status.is_in(PLAY_STATUSES))
    incident_id = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    ms_played = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Plays of the day by status, and the share of known accounts.

        No campaign takes most plays from earning or from accounts: only a wrong unit, verdict or table does.
        """
        plays, status = pl.col("plays"), pl.col("status")
        # What waits for an incident to be decided begins and ends from one day to the next, which is no drift.
        waits = (status == WITHHELD) & (pl.col("incident_id") != "")
        return {
            "plays": Total(plays, drift=Drift(), tolerated_loss=TOLERATED_LOSS),
            **{f"{name}_plays": Total(pl.when(status == name).then(plays)) for name in PLAY_STATUSES},
            "statuses": Spread(status, weight=pl.when(waits).then(0).otherwise(plays), drift=Drift(refuse_above=0.5)),
            "account_share": Share(plays * pl.col("is_account"), whole=plays, drift=Drift(refuse_above=0.5)),
        }


class _Lines(Contract):
    """The columns that identify a line."""

    month = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    rule = dy.String(primary_key=True, check=lambda rule: rule.is_in(RULES))
    line = dy.String(primary_key=True, check=lambda line: line.is_in([PAYOUT, WITHHELD, ESCROW, UNCLAIMED]))
    payee_id = dy.String(primary_key=True)
    track_id = dy.String(primary_key=True)
    incident_id = dy.String(primary_key=True)


class RoyaltyStatements(_Lines):
    """Every line of a month's statement, under each rule; sorted by its key. Lines of a pool and rule sum to `pool_minor`.

    `plays` and `ms_played` are the usage behind a line; the usage of a track with two payees is in both of their lines. Lines
    weighted by listening, as all are under `user_centric`, count accounts only. `payee_id` is set on `payout` lines,
    `track_id` on `escrow` lines. `withheld` lines have the one or the other, whoever would get the money, and `incident_id`
    where an incident is declared.
    """

    plays = dy.Int64(min=0)
    ms_played = dy.Int64(min=0)
    amount_minor = dy.Int64(min=0)
    pool_minor = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of pools and lines, and exact amounts by rule, line and currency, such as `pro_rata_payout`.

        A month's money follows from its revenue, so it is not compared with other months.
        """
        line, is_funded = pl.col("line"), pl.col("currency") != NO_CURRENCY
        return {
            "pools": Figure(is_funded.sum(), table=_pools),
            "pools_without_revenue": Figure((~is_funded).sum(), table=_pools),
            "unbalanced_pools": Figure((~pl.col("is_balanced")).sum(), table=_pools),
            "payees": Figure(pl.col("payee_id").filter(line == PAYOUT).n_unique()),
            "escrow_tracks": Figure(pl.col("track_id").filter(line == ESCROW).n_unique()),
            "incidents_withheld": Figure(pl.col("incident_id").filter(line == WITHHELD).n_unique()),
            **{
                f"{rule}_{name}": _money((pl.col("rule") == rule) & (line == name))
                for rule in RULES
                for name in (PAYOUT, WITHHELD, ESCROW, UNCLAIMED)
            },
        }

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """Money is conserved in every pool."""
        return (Limit("unbalanced_pools", at_most=0),)


class RoyaltyAdjustments(_Lines):
    """Changes of an issued month, line by line, as agreed; sorted by its key, empty before the month is issued.

    `amount_minor` is the line as it stands now, less what was issued of it and what later statements have settled; never
    zero. The adjustments of a pool sum to `pool_change_minor`. `reason` names every cause that applies to the pool: `late
    data`, `incident`, `reference data`, `definition`. `statement_then` and `statement_now` are the contents of the versions of
    `royalty_statements` on both sides.
    """

    amount_minor = dy.Int64(check=lambda amount: amount != 0)
    pool_change_minor = dy.Int64()
    reason = dy.String(min_length=1)
    statement_then = dy.String()
    statement_now = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of changes and reasons, and the exact amounts that lines gain and lose, by currency."""
        raised, change = pl.col("amount_minor") > 0, pl.col("amount_minor").sum().over("month", *POOL)
        return {
            "adjusted_lines": Count(),
            "adjusted_payees": Figure(pl.col("payee_id").filter(pl.col("line") == PAYOUT).n_unique()),
            "adjusted_pools": Figure(pl.struct(POOL).n_unique()),
            "unbalanced_pools": Figure(pl.struct(POOL).filter(change != pl.col("pool_change_minor")).n_unique()),
            "reasons": Spread(pl.col("reason"), drift=None),
            "raised": _money(raised),
            "lowered": _money(~raised),
        }

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        """Require a pool's gains and losses to sum to its change."""
        return (Limit("unbalanced_pools", at_most=0),)


class RoyaltyPayments(Contract):
    """Payments of a month by payee and currency; sorted by its key.

    `opening_minor` is the balance carried from earlier months, `adjustments_minor` the changes of issued months that this
    month settles. Their sum with `payout_minor` is `balance_minor`: paid if it reaches the minimum, otherwise carried to the
    next month, as is a negative one.
    """

    month = dy.String(primary_key=True)
    payee_id = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    opening_minor = dy.Int64()
    payout_minor = dy.Int64(min=0)
    adjustments_minor = dy.Int64()
    balance_minor = dy.Int64()
    paid_minor = dy.Int64(min=0)
    carried_minor = dy.Int64()

    @dy.rule()
    def what_is_owed_is_paid_or_carried(cls) -> pl.Expr:  # noqa: N805 (dataframely calls rules with the class)
        """Money is conserved for each payee: the balance is paid or carried."""
        earned = pl.sum_horizontal("opening_minor", "payout_minor", "adjustments_minor")
        return (earned == pl.col("balance_minor")) & (
            pl.col("balance_minor") == pl.col("paid_minor") + pl.col("carried_minor")
        )

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of payees who are paid, wait or owe, and the exact amounts, by currency."""
        carried = pl.col("carried_minor")
        return {
            "payees_paid": Count(pl.col("paid_minor") > 0),
            "balances_carried": Count(carried > 0),
            "balances_owed": Count(carried < 0),
            **{
                name: Totals(pl.col(f"{name}_minor"), by=pl.col("currency"))
                for name in ("opening", "payout", "adjustments", "paid", "carried")
            },
        }


class StatementBasis(Contract):
    """Basis of a month's statement in comparable numbers: a ground that differs between two bases has changed.

    `pool`: the money of a pool. `accounts`: a digest of the accounts of a country and tier. `heard`: a digest of the listening of
    a country and tier, by `arrival_day`; and `usage` the plays, also by `status` and `incident_id`. `rights`: a digest
    of the claims in the month on a track (`about`) that has eligible plays. `agreement`: 1 for a payee (`about`) who is
    paid user-centric. `division`: a digest of the code that divides. Columns that do not apply to a ground are empty.
    """

    ground = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    tier = dy.String(primary_key=True)
    currency = dy.String(primary_key=True)
    arrival_day = dy.String(primary_key=True)
    status = dy.String(primary_key=True)
    incident_id = dy.String(primary_key=True)
    about = dy.String(primary_key=True)
    value = dy.Int64()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of rows by ground."""
        return {"basis": Spread(pl.col("ground"), drift=None)}


class IssuedStatements(_Lines):
    """The lines of a statement as it was issued, and the adjustments that it settled of earlier months; sorted by its key.

    One part per month that the lines are about. `issued_in` is the month of the statement; a line of an earlier `month` is an
    adjustment, with its `reason`, without usage, and with the change of the pool in `pool_minor`. `statement_content` is the
    content of the version of `royalty_statements` that the line was made from.
    """

    issued_in = dy.String(primary_key=True)
    plays = dy.Int64(min=0)
    ms_played = dy.Int64(min=0)
    amount_minor = dy.Int64()
    pool_minor = dy.Int64()
    reason = dy.String()
    statement_content = dy.String()
    issued_by = dy.String()
    issued_at = dy.Datetime(time_unit="ms", time_zone="UTC")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of lines issued and settled, and their exact amounts, by currency."""
        settled, paid = pl.col("issued_in") != pl.col("month"), pl.col("rule") == AGREED
        return {
            "issued_lines": Count(~settled),
            "settled_lines": Count(settled),
            "issued": _money(paid & ~settled),
            "settled": _money(paid & settled),
        }


class IssuedPayments(RoyaltyPayments):
    """Payments of each issued statement."""


class IssuedBasis(StatementBasis):
    """Basis of an issued statement, and of each earlier month that it settled; one part per `month`."""

    issued_in = dy.String(primary_key=True)
    month = dy.String(primary_key=True)


def _pools(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Every pool, and whether its lines sum to it under each rule."""
    paid, pool = pl.col("amount_minor").sum(), pl.col("pool_minor")
    ruled = lines.group_by("month", *POOL, "rule").agg(is_balanced=(paid == pool.min()) & (paid == pool.max()))
    return ruled.group_by(POOL).agg(pl.col("is_balanced").all())


def _money(lines: pl.Expr) -> Totals:
    return Totals(pl.when(lines).then("amount_minor"), by=pl.col("currency"))
