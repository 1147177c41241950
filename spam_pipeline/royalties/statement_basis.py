"""The basis of a statement: its inputs as numbers that outlive the data, so that reasons can be given for a later change.

The comparison, and the reasons that follow, are in `reasons`.
"""

import polars as pl
import polars_hash as plh

from spam_pipeline.protocol import code_version_of, column_types
from spam_pipeline.royalties.agreements import user_centric_payees
from spam_pipeline.royalties.contracts import ELIGIBLE, POOL, USAGE, StatementBasis
from spam_pipeline.royalties.destinations import claims_in_month
from spam_pipeline.royalties.pools import pools_of
from spam_pipeline.royalties.statements import Terms, statement

POOL_MONEY, ACCOUNTS, HEARD, RIGHTS, AGREEMENT, DIVISION = (
    "pool",
    "accounts",
    "heard",
    "rights",
    "agreement",
    "division",
)

_DIGITS_OF_63_BITS = 15
_MIXER = 2**61 - 1
"""The factor of listening time, so that one play less cannot cancel out against some milliseconds more."""
_ARRIVAL_DAY = pl.col("arrival_day").dt.to_string("%Y-%m-%d")


def basis_of(month: str, usage: pl.LazyFrame, terms: Terms) -> pl.LazyFrame:
    """Compute the month's `StatementBasis`."""
    found = [
        pools_of(month, terms.revenue).select(*POOL, value="pool_minor", ground=pl.lit(POOL_MONEY)),
        _accounts(terms.accounts),
        _heard(usage),
        _plays(usage),
        _rights(month, usage, terms.rights),
        user_centric_payees(month, terms.agreements).select(
            about="payee_id", value=pl.lit(1, pl.Int64), ground=pl.lit(AGREEMENT)
        ),
        pl.LazyFrame({"value": [_division_code()], "ground": [DIVISION]}),
    ]
    columns = column_types(StatementBasis)
    every = pl.concat([pl.LazyFrame(schema=columns), *found], how="diagonal")
    key = StatementBasis.primary_key()
    return every.with_columns(pl.col(key).fill_null("")).select(*columns).sort(key)


def _division_code() -> int:
    """A digest of the code that divides a pool: with it, a statement changes although nothing else has."""
    return int(code_version_of(statement).digest[:_DIGITS_OF_63_BITS], 16)


def _accounts(accounts: pl.LazyFrame) -> pl.LazyFrame:
    digest = pl.col("user_key").bitwise_xor().reinterpret(signed=True)
    return accounts.group_by("country", "tier").agg(value=digest).with_columns(ground=pl.lit(ACCOUNTS))


def _heard(usage: pl.LazyFrame) -> pl.LazyFrame:
    """Digest who heard which track, how often and how long, by arrival day, whatever those plays are worth.

    It is a sum over plays, modulo 2^64, so that it adds up over audiences; classifying or declaring plays does not change it.
    """
    who_heard_what = pl.col("listener_key") * plh.col("track_id").nchash.xxh3_64()
    how_much = (pl.col("plays") + pl.col("ms_played") * _MIXER).reinterpret(signed=False)
    digest = (who_heard_what * how_much).sum().reinterpret(signed=True)
    grouped = usage.group_by("country", "tier", _ARRIVAL_DAY)
    return grouped.agg(value=digest).with_columns(ground=pl.lit(HEARD))


def _plays(usage: pl.LazyFrame) -> pl.LazyFrame:
    grouped = usage.group_by("country", "tier", _ARRIVAL_DAY, "status", "incident_id")
    return grouped.agg(value=pl.col("plays").sum()).with_columns(ground=pl.lit(USAGE))


def _rights(month: str, usage: pl.LazyFrame, rights: pl.LazyFrame) -> pl.LazyFrame:
    """Digest the claims on each track with eligible plays; an empty digest for a track without claims."""
    tracks = usage.filter(pl.col("status").is_in(ELIGIBLE)).select("track_id").unique()
    claim = pl.concat_str("payee_id", "share_ppm", "claimed_from", "claimed_to", separator="\n")
    claims = claims_in_month(month, rights.join(tracks, on="track_id", how="semi")).lazy()
    claimed = claims.group_by("track_id").agg(claims=claim.sort().str.join("\n"))
    digest = plh.col("claims").nchash.xxh3_64().reinterpret(signed=True)
    every = tracks.join(claimed, on="track_id", how="left").with_columns(pl.col("claims").fill_null(""))
    return every.select(about="track_id", value=digest, ground=pl.lit(RIGHTS))
