"""The division of pools between the lines of a statement, by every rule, in integers, to the last minor unit.

A line is the claim of one payee, or of one track in escrow, on a pool: paid, or withheld for one incident. It is weighted in one
of two ways:

* by plays: its eligible plays, out of those of all lines weighted by plays;
* by listening: every account of the country and tier contributes the same amount, which is divided over what the account heard,
  by listening time; the line gets its parts of all contributions. Listeners without an account contribute nothing.

Under `pro_rata` all lines are weighted by plays, and under `user_centric` all by listening, so that the contribution of an
account without an eligible play is `unclaimed`. Under `agreed` the lines of payees with a user-centric agreement are weighted by
listening, and the remainder of the pool, idle contributions included, is divided among all other lines by plays. So such a payee's
amount does not depend on other agreements, and without any agreement `agreed` equals `pro_rata`. Where no line is weighted by
plays, the remainder is `unclaimed`, as is a whole pool without claims. Each line is rounded once. Where remainders are equal,
lines come in the order of the statement: escrow by track, payees by id, unclaimed, withheld.

A contribution divided by listening time has no common denominator over millions of accounts. So a usage row's part of one
contribution is kept to 36 digits, rounded down, in two columns of 18, and summed in 128-bit integers, which cannot overflow
below 10^14 rows. The error of an amount before rounding is less than pool x (rows of usage of an account, on average) / 10^36,
taken from lines weighted by listening and added to the others. Remainders are compared in steps of 1 / (2^61 - 1) minor unit,
far coarser than that while the pool is below 10^11 minor units and the average below 10^5: equal remainders compare as equal.
Pro-rata has no such error, and compares remainders exactly below 10^11 plays.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import polars as pl

from spam_pipeline.protocol import column_types, in_slices
from spam_pipeline.royalties.audiences import audience_slices, within
from spam_pipeline.royalties.contracts import AGREED, POOL, PRO_RATA, USER_CENTRIC, RoyaltyStatements
from spam_pipeline.royalties.destinations import NOT_SUSPECTED, Destinations
from spam_pipeline.royalties.pools import MILLION

DIGITS_18 = 10**18

CONTRIBUTION = MILLION * DIGITS_18**2
"""The total weight of all lines in one account's contribution."""

REMAINDER_STEPS = 2**61 - 1
"""The steps in which remainders are compared. A prime, so that no remainder with a smaller denominator lies on the edge of a
step, where rounding errors could separate equal amounts."""

USAGE_AT_ONCE: Final = 1_000_000
"""Rows of usage that are summed at once; their lines, which can be as many under each rule, take more memory than they do."""

LISTENED = ("plays", "ms_played")
LISTENED_BY_ACCOUNTS = ("account_plays", "account_ms_played")

WEIGHT = ("high", "low", "shared_plays")
"""The weight of a line by listening, as high x 10^18 + low, in parts of a contribution; and by plays, in millionths of a play."""


def largest_remainder(pool_minor: int, weights: Sequence[int], total: int) -> list[int]:
    """Divide `pool_minor` by `weights` out of `total`; the amounts sum to the pool, each less than one unit off.

    Every amount is rounded down, and the units left over go to the largest remainders, the earlier position first where
    they are equal. `weights` sum to `total`, or fall short of it by a rounding error far below one unit.

    Three fans pay 1000 each and hear: A 100 plays of X; B 50 of Z; C 50 each of X, Y and Z. Pro-rata counts X 150, Y 50, Z 100
    plays; user-centric splits each fan's money, so X has A's and a third of C's:

    >>> largest_remainder(3000, [150, 50, 100], 300)
    [1500, 500, 1000]
    >>> largest_remainder(3000, [3 + 1, 1, 3 + 1], 9)
    [1334, 333, 1333]
    """
    parts = [divmod(pool_minor * weight, total) for weight in weights]
    amounts = [whole for whole, _ in parts]
    steps = [remainder * REMAINDER_STEPS // total for _, remainder in parts]
    by_remainder = sorted(range(len(steps)), key=steps.__getitem__, reverse=True)
    for position in by_remainder[: pool_minor - sum(amounts)]:
        amounts[position] += 1
    return amounts


_LINE = ("recipient", "suspicion")
_NOTHING = pl.lit(0, dtype=pl.Int128)
_NO_LINES = pl.DataFrame(
    schema={
        **dict.fromkeys(("division", *_LINE), pl.UInt32),
        **dict.fromkeys((*LISTENED, "amount_minor"), pl.Int64),
    }
)


class Weighed(NamedTuple):
    """Weights in a pool, by position, out of `total`."""

    weights: list[int]
    total: int


def weigh(by_listening: Sequence[int], by_plays: Sequence[int], accounts: int) -> Weighed:
    """Bring lines to one denominator: those by listening have parts of `accounts` contributions, the others share the remainder.

    A line has one of the two weights, the other is 0. Without accounts, the whole pool goes by plays.
    """
    contributed, plays = accounts * CONTRIBUTION or 1, sum(by_plays) or 1
    rest = contributed - sum(by_listening)
    weights = [parts * plays + played * rest for parts, played in zip(by_listening, by_plays, strict=True)]
    return Weighed(weights, contributed * plays)


class _Month(NamedTuple):
    """What a month is divided by; `by_listening` says for each rule which recipients are weighted by listening."""

    pools: pl.DataFrame
    eligible: pl.LazyFrame
    destinations: Destinations
    accounts: pl.LazyFrame
    by_listening: Mapping[str, pl.Expr]


def divide(  # noqa: PLR0913, PLR0917 - all that a month is divided by
    pools: pl.DataFrame,
    eligible: pl.LazyFrame,
    destinations: Destinations,
    accounts: pl.LazyFrame,
    user_centric_payees: pl.LazyFrame,
    usage_at_once: int,
) -> pl.LazyFrame:
    """Divide all pools by every rule into lines: pool, `pool_minor`, `rule`, identity, `plays`, `ms_played`, `amount_minor`.

    `pools` has at least one pool for every country and tier of the eligible usage. `user_centric_payees` has the `payee_id` of
    every payee with such an agreement. Lines are ordered by pool, rule and identity.

    Countries and tiers are divided one after the other, with about `usage_at_once` rows of usage in memory; the listeners of a
    large one are gone through by ranges of their keys, and their sums added up.
    """
    agreed = destinations.recipients.lazy().join(user_centric_payees, on="payee_id", how="semi").collect()
    by_listening = {
        AGREED: pl.col("recipient").is_in(agreed["recipient"].implode()),
        PRO_RATA: pl.lit(value=False),
        USER_CENTRIC: pl.lit(value=True),
    }
    month = _Month(pools, eligible, destinations, accounts, by_listening)
    columns = {name: dtype for name, dtype in column_types(RoyaltyStatements).items() if name != "month"}
    return in_slices(partial(_slices, month, usage_at_once, list(columns)), columns)


def _slices(month: _Month, usage_at_once: int, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the lines of some countries and tiers after those of the ones before."""
    rows = month.eligible.group_by("country", "tier").agg(rows=pl.len().cast(pl.Int64)).collect(engine="streaming")
    audiences = month.pools.select("country", "tier").unique().join(rows, on=["country", "tier"], how="left")
    for some, listeners in audience_slices(audiences.with_columns(pl.col("rows").fill_null(0)), usage_at_once):
        lines = _lines(month, some.with_row_index("audience"), listeners)
        yield lines.select(columns).collect()


def _lines(month: _Month, audiences: pl.DataFrame, listeners: Iterable[pl.Expr]) -> pl.LazyFrame:
    """Divide the pools of some audiences; each of these ranges of `listeners` fits into memory."""
    claims, contributors = _listened(month, audiences, listeners)
    every_rule = pl.DataFrame({"rule": sorted(month.by_listening)})
    divisions = month.pools.join(audiences, on=["country", "tier"]).join(every_rule, how="cross").sort(*POOL, "rule")
    numbered = divisions.with_row_index("division")
    lines = _divided(numbered, _audiences(audiences.height, claims, contributors), month.by_listening).lazy()
    return month.destinations.named(lines.join(numbered.lazy(), on="division", how="left", maintain_order="left"))


def _listened(
    month: _Month, audiences: pl.DataFrame, listeners: Iterable[pl.Expr]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sum the claims on some audiences, and their contributors. No listener is in two ranges, so sums of ranges add up."""
    eligible, accounts = month.eligible.filter(within(audiences)), month.accounts.filter(within(audiences))
    heard, contributors = [], []
    for are_listeners in listeners:
        usage = _by_audience(eligible.filter(are_listeners), audiences).collect(engine="streaming").lazy()
        contributions = _contributions(usage)
        heard.append(_heard(month.destinations.route(usage), contributions))
        members = accounts.select("country", "tier", listener_key="user_key").filter(are_listeners)
        contributors.append(_contributors(contributions, members.join(audiences.lazy(), on=["country", "tier"])))
    counts = pl.concat(contributors).group_by("audience").agg(pl.col("accounts", "idle").sum())
    return _claims(pl.concat(heard), month.destinations.shares), counts


def _by_audience(usage: pl.LazyFrame, audiences: pl.DataFrame) -> pl.LazyFrame:
    """Add `audience` and `account` to usage; all listeners without an account are one, null."""
    account = pl.when("is_account").then("listener_key").alias("account")
    columns = ("audience", "track_id", "event_day", "status", "incident_id", *LISTENED)
    return usage.join(audiences.lazy(), on=["country", "tier"]).select(*columns, account)


def _contributions(usage: pl.LazyFrame) -> pl.DataFrame:
    """Sum the listening time that the contribution of every `account` of an audience is divided by."""
    grouped = usage.drop_nulls("account").group_by("audience", "account")
    return grouped.agg(contribution_ms=pl.col("ms_played").sum()).collect(engine="streaming")


_SUMS = (*LISTENED, *LISTENED_BY_ACCOUNTS, "high", "low")


def _heard(usage: pl.LazyFrame, contributions: pl.DataFrame) -> pl.DataFrame:
    """Sum listening and its parts of contributions per audience, period and suspicion."""
    return (
        usage.join(contributions.lazy(), on=["audience", "account"], how="left")
        .with_columns(*_parts_of_a_contribution())
        .group_by("audience", "period", "suspicion")
        .agg(pl.col(_SUMS).sum())
        .collect(engine="streaming")
    )


def _claims(heard: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """Sum listening and both weights per audience, recipient and suspicion."""
    share = pl.col("share_ppm").cast(pl.Int128)
    return (
        heard.lazy()
        .join(shares.lazy(), on="period")
        .with_columns(pl.col("high", "low") * share, shared_plays=pl.col("plays") * share)
        .group_by("audience", "recipient", "suspicion")
        .agg(pl.col(*_SUMS, "shared_plays").sum())
        .collect(engine="streaming")
    )


def _parts_of_a_contribution() -> list[pl.Expr]:
    """Compute the listening of accounts, and its part of the contribution: 36 digits in two columns, zero for everybody else."""
    scaled, whole = pl.col("ms_played").cast(pl.Int128) * DIGITS_18, pl.col("contribution_ms")
    parts = {
        "account_plays": pl.col("plays"),
        "account_ms_played": pl.col("ms_played"),
        "high": scaled // whole,
        "low": scaled % whole * DIGITS_18 // whole,
    }
    return [
        pl.when(pl.col("account").is_not_null()).then(part).otherwise(0).alias(name) for name, part in parts.items()
    ]


def _contributors(contributions: pl.DataFrame, accounts: pl.LazyFrame) -> pl.DataFrame:
    """Count per audience the `accounts` that contribute, and the `idle` ones among them, without an eligible play."""
    heard = contributions.lazy().select("audience", "account", idle=pl.lit(0))
    known = accounts.select("audience", account="listener_key").join(heard, on=["audience", "account"], how="anti")
    everybody = pl.concat([heard, known.with_columns(idle=pl.lit(1))])
    return everybody.group_by("audience").agg(accounts=pl.len(), idle=pl.col("idle").sum()).collect(engine="streaming")


class _Audience(NamedTuple):
    """The claims of one country and tier, the number of contributing accounts, and of idle ones among them."""

    claims: pl.DataFrame
    accounts: int
    idle: int

    def under(self, by_listening: pl.Expr) -> pl.DataFrame:
        """Weight the claims by one rule, the chosen ones by listening and the others by plays, in the order of the statement."""
        listens = by_listening & (pl.col("account_plays") > 0)
        heard = {name: pl.col(by_accounts) for name, by_accounts in zip(LISTENED, LISTENED_BY_ACCOUNTS, strict=True)}
        listening = self.claims.filter(listens).with_columns(**heard, shared_plays=_NOTHING)
        playing = self.claims.filter(~by_listening).with_columns(high=_NOTHING, low=_NOTHING)
        lines = pl.concat([listening, playing]).select(*_LINE, *LISTENED, *WEIGHT)
        if not lines["shared_plays"].sum() and (self.idle or not self.accounts):
            lines = pl.concat([lines, self._unclaimed(lines.schema)])
        return lines.sort(pl.col("suspicion") != NOT_SUSPECTED, *_LINE, nulls_last=True)

    def _unclaimed(self, columns: pl.Schema) -> pl.DataFrame:
        """Claim, for nobody, the contributions of idle accounts, or everything where no account contributes."""
        high, low = (self.idle * MILLION * DIGITS_18, 0) if self.accounts else (0, 1)
        return pl.DataFrame([(None, NOT_SUSPECTED, 0, 0, high, low, 0)], schema=columns, orient="row")


def _audiences(count: int, claims: pl.DataFrame, contributors: pl.DataFrame) -> list[_Audience]:
    """Build all audiences, by their number."""
    by_number = claims.partition_by("audience", as_dict=True)
    counts = {audience: (accounts, idle) for audience, accounts, idle in contributors.iter_rows()}
    return [
        _Audience(by_number.get((audience,), claims.clear()), *counts.get(audience, (0, 0)))
        for audience in range(count)
    ]


def _divided(
    divisions: pl.DataFrame, audiences: Sequence[_Audience], by_listening: Mapping[str, pl.Expr]
) -> pl.DataFrame:
    """Divide into lines: `division`, recipient and suspicion, listening, and `amount_minor`."""
    columns = ("division", "audience", "rule", "pool_minor")
    return pl.concat(
        [
            _NO_LINES,
            *(
                _with_amounts(audiences[audience], by_listening[rule], pool_minor).insert_column(
                    0, pl.lit(division, pl.UInt32).alias("division")
                )
                for division, audience, rule, pool_minor in divisions.select(columns).iter_rows()
            ),
        ]
    )


def _with_amounts(audience: _Audience, by_listening: pl.Expr, pool_minor: int) -> pl.DataFrame:
    lines = audience.under(by_listening)
    high, low, shared_plays = (lines[name].to_list() for name in WEIGHT)
    contributed = [first * DIGITS_18 + second for first, second in zip(high, low, strict=True)]
    weighed = weigh(contributed, shared_plays, audience.accounts)
    amounts = largest_remainder(pool_minor, weighed.weights, weighed.total)
    return lines.select(*_LINE, *LISTENED, amount_minor=pl.Series(amounts, dtype=pl.Int64))
