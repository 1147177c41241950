"""The division of pools between the lines of a statement, by either rule, in integers, to the last minor unit.

Pro-rata: a line's weight is its eligible plays, out of those of everybody heard in the country and tier. User-centric: every
account of the country and tier contributes the same amount, which is divided over what it heard, by listening time. Whoever
is no account contributes nothing, and the contribution of an account without an eligible play is `unclaimed`, as is a whole
pool on which nobody has a claim. Where remainders are equal, payees come first, by id, then escrow, withheld, unclaimed.

A contribution divided by listening time has no common denominator over millions of accounts. So the part that a destination
has in one contribution is kept to 36 digits, rounded down, in two columns of 18, and summed in 128-bit integers, which cannot
overflow below 10^14 accounts. An amount before rounding is therefore too small by less than pool x (destinations that an
account heard, on average) / 10^36. Remainders are compared in steps of 1 / (2^61 - 1) minor unit, far coarser than that while
the pool is below 10^11 minor units and the average below 10^5: what is equal is seen as equal. Pro-rata has no such error, and
compares remainders exactly below 10^11 plays.
"""

from collections.abc import Sequence

import polars as pl

from spam_pipeline.royalties.contracts import POOL, PRO_RATA, UNCLAIMED, USER_CENTRIC
from spam_pipeline.royalties.destinations import LINE_NAME, Destinations
from spam_pipeline.royalties.pools import MILLION

DIGITS_18 = 10**18

REMAINDER_STEPS = 2**61 - 1
"""The steps in which remainders are compared. A prime, so that no remainder with a smaller denominator lies on the edge of a
step, where the error of rounding down could part amounts that are equal."""

LISTENED = ("plays", "ms_played")
LISTENED_BY_ACCOUNTS = ("account_plays", "account_ms_played")

WEIGHT = ("weight_high", "weight_low", "total_high", "total_low")
"""A line's weight, and that of all lines of its pool, each as high x 10^18 + low."""


def largest_remainder(pool_minor: int, weights: Sequence[int], total: int) -> list[int]:
    """Divide `pool_minor` by `weights` out of `total`; the amounts sum to the pool, each less than one unit off.

    Every amount is rounded down, and the units left over go to the largest remainders, the earlier position first where
    they are equal. `weights` sum to `total`, or fall short of it by a rounding error far below one unit.
    """
    parts = [divmod(pool_minor * weight, total) for weight in weights]
    amounts = [whole for whole, _ in parts]
    steps = [remainder * REMAINDER_STEPS // total for _, remainder in parts]
    by_remainder = sorted(range(len(steps)), key=steps.__getitem__, reverse=True)
    for position in by_remainder[: pool_minor - sum(amounts)]:
        amounts[position] += 1
    return amounts


def divide(
    pools: pl.DataFrame, eligible: pl.LazyFrame, destinations: Destinations, accounts: pl.LazyFrame
) -> pl.DataFrame:
    """The lines of all pools under both rules: pool, `pool_minor`, `rule`, line name, `plays`, `ms_played`, `amount_minor`.

    `pools` has at least one pool for every country and tier of the eligible usage.
    """
    audiences = pools.select("country", "tier").unique().sort("country", "tier").with_row_index("audience")
    numbered_pools = pools.join(audiences, on=["country", "tier"])
    heard = _heard(destinations.route(eligible), audiences.lazy())
    claims = _claims_of_lines(heard, destinations.shares)
    contributors = _contributors(heard, accounts.join(audiences.lazy(), on=["country", "tier"]))
    by_rule = {PRO_RATA: _pro_rata(claims), USER_CENTRIC: _user_centric(claims, contributors)}
    divided = [_divide_pools(numbered_pools, claim).with_columns(rule=pl.lit(rule)) for rule, claim in by_rule.items()]
    named = pl.concat(divided).join(destinations.names, on="line_no", how="left")
    return named.with_columns(pl.col("line").fill_null(UNCLAIMED), pl.col(LINE_NAME[1:]).fill_null(""))


def _heard(routed: pl.LazyFrame, audiences: pl.LazyFrame) -> pl.DataFrame:
    """Sum usage per audience, account and destination; all who are no account count as one listener, null."""
    account = pl.when("is_account").then("listener_key").alias("account")
    sums = pl.col(LISTENED).sum()
    grouped = routed.join(audiences, on=["country", "tier"]).group_by("audience", account, "destination").agg(sums)
    return grouped.collect(engine="streaming")


def _claims_of_lines(heard: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """Sum listening and the weights under both rules per audience and line."""
    share = pl.col("share_ppm").cast(pl.Int128)
    return (
        heard.lazy()
        .with_columns(contribution_ms=pl.col("ms_played").sum().over("audience", "account"))
        .with_columns(*_parts_of_a_contribution())
        .group_by("audience", "destination")
        .agg(pl.col(*LISTENED, *LISTENED_BY_ACCOUNTS, "high", "low").sum())
        .join(shares.lazy(), on="destination")
        .with_columns(pl.col("high", "low") * share, shared_plays=pl.col("plays") * share)
        .group_by("audience", "line_no")
        .agg(pl.col(*LISTENED, *LISTENED_BY_ACCOUNTS, "high", "low", "shared_plays").sum())
        .collect(engine="streaming")
    )


def _parts_of_a_contribution() -> list[pl.Expr]:
    """What accounts heard, and its part in the account's contribution: 36 digits in two columns, zero for everybody else."""
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


def _contributors(heard: pl.DataFrame, accounts: pl.LazyFrame) -> pl.DataFrame:
    """Per audience: the number of `contributors`, and how many of them are `idle`, without an eligible play."""
    listeners = heard.lazy().select("audience", "account").drop_nulls().unique().with_columns(idle=pl.lit(0))
    known = accounts.select("audience", account="user_key").join(listeners, on=["audience", "account"], how="anti")
    everybody = pl.concat([listeners, known.with_columns(idle=pl.lit(1))])
    counts = everybody.group_by("audience").agg(contributors=pl.len(), idle=pl.col("idle").sum())
    return counts.with_columns(pl.col("contributors", "idle").cast(pl.Int128)).collect()


def _pro_rata(claims: pl.DataFrame) -> pl.DataFrame:
    """Weigh each line by its plays."""
    none = pl.lit(0, dtype=pl.Int128)
    plays = pl.col("shared_plays")
    weight = {"weight_high": none, "weight_low": plays, "total_high": none, "total_low": plays.sum().over("audience")}
    return claims.with_columns(**weight).select("audience", "line_no", *LISTENED, *WEIGHT)


def _user_centric(claims: pl.DataFrame, contributors: pl.DataFrame) -> pl.DataFrame:
    """Weigh each line by its parts of contributions; a line without a number takes those of idle accounts."""
    unit = pl.lit(MILLION, dtype=pl.Int128) * DIGITS_18
    none = pl.lit(0, dtype=pl.Int128)
    listened = {name: pl.col(by_accounts) for name, by_accounts in zip(LISTENED, LISTENED_BY_ACCOUNTS, strict=True)}
    heard = claims.filter(pl.col("account_plays") > 0).with_columns(**listened, weight_high="high", weight_low="low")
    idle = contributors.filter(pl.col("idle") > 0).select(
        "audience",
        *(pl.lit(None, dtype=claims.schema[name]).alias(name) for name in ("line_no", *LISTENED)),
        weight_high=pl.col("idle") * unit,
        weight_low=none,
    )
    return (
        pl.concat([heard.select(idle.columns), idle])
        .join(contributors, on="audience")
        .with_columns(total_high=pl.col("contributors") * unit, total_low=none)
        .select("audience", "line_no", *LISTENED, *WEIGHT)
    )


def _divide_pools(pools: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Divide each pool among its claims; a pool on which there are none keeps its money on one line without a number."""
    nothing_claimed = {"weight_high": 0, "weight_low": 1, "total_high": 0, "total_low": 1}
    pooled = (
        pools.join(claims, on="audience", how="left")
        .with_columns(pl.col(name).fill_null(weight) for name, weight in nothing_claimed.items())
        .with_columns(pl.col(LISTENED).fill_null(0))
        .sort(*POOL, "line_no", nulls_last=True)
    )
    amounts = [amount for _, lines in pooled.group_by(POOL, maintain_order=True) for amount in _amounts(lines)]
    return pooled.with_columns(amount_minor=pl.Series(amounts, dtype=pl.Int64))


def _amounts(lines: pl.DataFrame) -> list[int]:
    weights = zip(lines["weight_high"].to_list(), lines["weight_low"].to_list(), strict=True)
    total = lines["total_high"][0] * DIGITS_18 + lines["total_low"][0]
    return largest_remainder(lines["pool_minor"][0], [high * DIGITS_18 + low for high, low in weights], total)
