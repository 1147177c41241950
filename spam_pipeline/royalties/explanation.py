"""Explanation of a payment: from a payee's month down to pools, plays, exclusions with reasons, and the versions behind it.

Every number is recomputed from its data, and one that does not add up is an error. Only the given frames are read; their
versions are chosen in `operations.explaining`.
"""

from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.currencies import as_decimal
from spam_pipeline.protocol import NotPublished, PipelineError
from spam_pipeline.royalties.contracts import AGREED, EARNING, ELIGIBLE, PAYOUT, POOL, PRO_RATA, USER_CENTRIC, WITHHELD
from spam_pipeline.royalties.destinations import claims_in_month, destinations_of
from spam_pipeline.royalties.payments import Account, payments
from spam_pipeline.royalties.statement_basis import AGREEMENT

_MINOR = "_minor"
_LINE = (*POOL, "line", "incident_id")
_USAGE = ("country", "tier", "line", "incident_id")
_LISTENED = ("plays", "ms_played")
_HEARD = ("country", "tier", "track_id", "share_ppm", "in_escrow", "status", "incident_id")


class DoesNotAddUp(PipelineError):
    """A published number that is not the sum of its parts."""


class Evidence(NamedTuple):
    """The frames behind a month's payments, in the versions that were read.

    `account` is the input of the payments, and `settled` the adjustments of earlier months among that. `issued` has the
    lines about the month that were issued and settled later, and `adjustments` the open ones.
    """

    payments: pl.LazyFrame
    account: Account
    settled: pl.LazyFrame
    statement: pl.LazyFrame
    issued: pl.LazyFrame
    adjustments: pl.LazyFrame
    basis: pl.LazyFrame
    issued_basis: pl.LazyFrame
    usage: pl.LazyFrame
    rights: pl.LazyFrame


class Explanation(NamedTuple):
    """The breakdown of a payee's payment for a month; amounts are in minor units.

    `rule`: the payee's payout rule, of an issued month the one of that time. `balances`: by currency, from the opening balance
    to what is paid and carried. `pools`: the payee's lines as they stand now, with the pool's money, and of an issued month
    what of each was issued, settled later and is open. `tracks`: plays of the payee's tracks, by status and incident, so that
    excluded plays stand beside earning ones. `in_escrow`: those of tracks whose shares don't sum to 100 %, so that nobody is
    paid. `settled`: the adjustments of earlier months that the month pays. `changes`: the open adjustments of the month itself,
    with their reasons.
    """

    payee_id: str
    month: str
    rule: str
    is_issued: bool
    balances: pl.DataFrame
    pools: pl.DataFrame
    tracks: pl.DataFrame
    settled: pl.DataFrame
    changes: pl.DataFrame

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables by name, in reading order."""
        return {name: value for name, value in self._asdict().items() if isinstance(value, pl.DataFrame)}

    def as_record(self) -> dict[str, Any]:
        """Return the explanation as plain values; beside each amount in minor units stands the one with its currency's decimals."""
        return {
            **self._asdict(),
            **{name: table.with_columns(_decimals(table)).rows(named=True) for name, table in self.tables().items()},
        }


def _decimals(table: pl.DataFrame) -> list[pl.Expr]:
    amounts = (name for name in table.columns if name.endswith(_MINOR))
    return [as_decimal(pl.col(name), pl.col("currency")).alias(name.removesuffix(_MINOR)) for name in amounts]


def explanation(payee_id: str, month: str, evidence: Evidence) -> Explanation:
    """Explain a payee's payment for a month. Raises `DoesNotAddUp`, and `NotPublished` for an unknown payee."""
    of_payee = (pl.col("payee_id") == payee_id) & (pl.col("rule") == AGREED)
    is_user_centric = _has_agreement(payee_id, evidence.basis)
    statement = evidence.statement.filter(of_payee).collect()
    issued = evidence.issued.filter(of_payee).collect()
    changes, settled = (
        lines.filter(of_payee).select("month", *_LINE, "amount_minor", "reason").sort("month", *_LINE).collect()
        for lines in (evidence.adjustments, evidence.settled)
    )
    is_issued = not evidence.issued.head(1).collect().is_empty()
    paid_by = evidence.issued_basis.filter(pl.col("issued_in") == month) if is_issued else evidence.basis
    found = Explanation(
        payee_id=payee_id,
        month=month,
        rule=USER_CENTRIC if _has_agreement(payee_id, paid_by) else PRO_RATA,
        is_issued=is_issued,
        balances=_of_payee(payee_id, evidence.payments),
        pools=_pools(month, statement, issued, changes) if is_issued else _lines(statement),
        tracks=_tracks(payee_id, month, evidence),
        settled=settled,
        changes=changes,
    )
    if found.pools.is_empty() and found.balances.is_empty() and found.tracks.is_empty():
        raise NotPublished(f"payee {payee_id!r} has no plays and no balance in {month}")
    _check_pools(statement, evidence.statement)
    _check_usage(statement, found.tracks, is_user_centric=is_user_centric)
    _check_lines(found)
    _check_balances(found, _of_payee(payee_id, payments(month, evidence.account)))
    return found


def _has_agreement(payee_id: str, basis: pl.LazyFrame) -> bool:
    """Return true if the basis records a user-centric agreement of a payee."""
    agreement = (pl.col("ground") == AGREEMENT) & (pl.col("about") == payee_id)
    return not basis.filter(agreement).head(1).collect().is_empty()


def _of_payee(payee_id: str, payments: pl.LazyFrame) -> pl.DataFrame:
    own = payments.filter(pl.col("payee_id") == payee_id)
    return own.drop("month", "payee_id").sort("currency").collect()


def _tracks(payee_id: str, month: str, evidence: Evidence) -> pl.DataFrame:
    """Count plays, by status, of tracks that the payee has a share in on the day of the play, or a claim on while in escrow.

    `account_*` are those of accounts.
    """
    tracks = claims_in_month(month, evidence.rights.filter(pl.col("payee_id") == payee_id)).select("track_id").unique()
    heard = evidence.usage.join(tracks.lazy(), on="track_id", how="semi")
    rights = evidence.rights.join(tracks.lazy(), on="track_id", how="semi")
    destinations = destinations_of(month, heard, rights)
    own = destinations.recipients.filter((pl.col("payee_id") == payee_id) | (pl.col("track_id") != ""))
    with_share = own.select("recipient", in_escrow=pl.col("track_id") != "")
    shares = destinations.shares.join(with_share, on="recipient").select("period", "share_ppm", "in_escrow")
    counted = {name: pl.col(name) for name in _LISTENED}
    of_accounts = {f"account_{name}": pl.col(name) * pl.col("is_account") for name in counted}
    grouped = destinations.route(heard).join(shares.lazy(), on="period").group_by(_HEARD)
    return (
        grouped.agg(**{name: value.sum() for name, value in {**counted, **of_accounts}.items()}).sort(_HEARD).collect()
    )


def _lines(statement: pl.DataFrame) -> pl.DataFrame:
    return statement.select(*_LINE, "pool_minor", *_LISTENED, "amount_minor").sort(_LINE)


def _pools(month: str, statement: pl.DataFrame, issued: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Combine the payee's lines as they stand now with what of them was issued, settled later, and is open."""
    amount, is_own = pl.col("amount_minor").sum(), pl.col("issued_in") == month
    sums = [
        _lines(statement),
        issued.filter(is_own).group_by(_LINE).agg(issued_minor=amount),
        issued.filter(~is_own).group_by(_LINE).agg(settled_minor=amount),
        changes.group_by(_LINE).agg(open_minor=amount),
    ]
    return pl.concat(sums, how="diagonal").group_by(_LINE).agg(pl.exclude(_LINE).sum()).sort(_LINE)


def _check_pools(statement: pl.DataFrame, every_line: pl.LazyFrame) -> None:
    """Check that all lines of each of the payee's pools sum to the pool."""
    pools = every_line.filter(pl.col("rule") == AGREED).group_by(POOL)
    summed = pools.agg(pl.col("pool_minor").first(), pl.col("amount_minor").sum())
    own = summed.join(statement.lazy().select(POOL).unique(), on=POOL, how="semi").collect()
    _require_equal("the lines of a pool", own, pl.col("amount_minor"), pl.col("pool_minor"))


def _check_usage(statement: pl.DataFrame, tracks: pl.DataFrame, *, is_user_centric: bool) -> None:
    """Check that the plays and the listening time behind a line are those of the payee's tracks."""
    counted = [pl.col(f"account_{name}" if is_user_centric else name).sum().alias(name) for name in _LISTENED]
    of_tracks = tracks.filter(~pl.col("in_escrow"), pl.col("status").is_in(ELIGIBLE)).with_columns(
        line=pl.col("status").replace_strict({EARNING: PAYOUT, WITHHELD: WITHHELD}, return_dtype=pl.String),
        incident_id=pl.when(pl.col("status") == WITHHELD).then("incident_id").otherwise(pl.lit("")),
    )
    heard = of_tracks.group_by(_USAGE).agg(*counted)
    stated = statement.select(*_USAGE, *_LISTENED).unique()
    both = heard.join(stated, on=_USAGE, how="full", coalesce=True, suffix="_stated").fill_null(0)
    for name in _LISTENED:
        _require_equal(f"{name} of the payee's tracks", both, pl.col(name), pl.col(f"{name}_stated"))


def _check_lines(found: Explanation) -> None:
    """Check that what was issued, settled and is open of each line sums to its amount now."""
    if found.is_issued:
        known = pl.sum_horizontal("issued_minor", "settled_minor", "open_minor")
        _require_equal("issued, settled and open amounts", found.pools, known, pl.col("amount_minor"))


def _check_balances(found: Explanation, again: pl.DataFrame) -> None:
    """Check payments against their inputs, and payout and adjustments against the payee's lines."""
    if not found.balances.equals(again):
        raise DoesNotAddUp(
            f"payments: published as {found.balances.rows()}, recomputed from their inputs as {again.rows()}"
        )
    to_payee, amount = pl.col("line") == PAYOUT, "issued_minor" if found.is_issued else "amount_minor"
    lines = found.pools.filter(to_payee).group_by("currency").agg(payouts=pl.col(amount).sum())
    settled = found.settled.filter(to_payee).group_by("currency").agg(adjustments=pl.col("amount_minor").sum())
    both = found.balances.join(lines, on="currency", how="full", coalesce=True)
    both = both.join(settled, on="currency", how="full", coalesce=True).fill_null(0)
    _require_equal("payouts", both, pl.col("payouts"), pl.col("payout_minor"))
    _require_equal("settled adjustments", both, pl.col("adjustments"), pl.col("adjustments_minor"))


def _require_equal(what: str, table: pl.DataFrame, summed: pl.Expr, stated: pl.Expr) -> None:
    wrong = table.filter(summed != stated)
    if not wrong.is_empty():
        raise DoesNotAddUp(f"{what}: do not add up in {wrong.row(0, named=True)}")
