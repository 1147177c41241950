"""Reasons of adjustments, found by comparing the statement basis of then and of now. Amounts are in `adjustments`."""

import polars as pl

from spam_pipeline.royalties.contracts import ELIGIBLE, POOL, USAGE
from spam_pipeline.royalties.statement_basis import ACCOUNTS, AGREEMENT, DIVISION, HEARD, POOL_MONEY, RIGHTS

LATE_DATA, INCIDENT, REFERENCE_DATA, DEFINITION = "late data", "incident", "reference data", "definition"
"""Plays landed, were replaced or were taken back; incidents were declared or decided; revenue, rights, agreements or accounts changed;
or the software classifies plays or divides money differently."""

_REASONS = (LATE_DATA, INCIDENT, REFERENCE_DATA, DEFINITION)
_AUDIENCE = ("country", "tier")
_KEY = ("ground", *POOL, "arrival_day", "status", "incident_id", "about")


def reasons(lines: pl.DataFrame, then: pl.DataFrame, now: pl.DataFrame, usage: pl.LazyFrame) -> pl.DataFrame:
    """Find every reason for each pool with changed `lines`: `POOL` and `reason`, joined by ", ".

    `then` and `now` are statement bases of one month. Late data shows in arrival days whose listening changed over all pools;
    other changes to the plays of such a day are not distinguished. On all other days the plays are the same: where those
    of an incident changed, it was declared, decided or taken back. Plays without an incident change their status only by
    definition. Rights count where the month's eligible `usage` has a track whose claims changed, and agreements where the
    payee has a line.
    """
    changed = _changed(then, now)
    by_ground = changed.partition_by("ground", as_dict=True)
    heard, plays, money, accounts, rights, agreements, division = (
        by_ground.get((ground,), changed.clear())
        for ground in (HEARD, USAGE, POOL_MONEY, ACCOUNTS, RIGHTS, AGREEMENT, DIVISION)
    )
    late = heard.filter(pl.col("change").sum().over("arrival_day") != 0)
    known = plays.join(late, on="arrival_day", how="anti")
    causes = [
        (late, _AUDIENCE, LATE_DATA),
        (_declared_differently(known), _AUDIENCE, INCIDENT),
        (money, POOL, REFERENCE_DATA),
        (accounts, _AUDIENCE, REFERENCE_DATA),
        (_heard_in(usage, rights), _AUDIENCE, REFERENCE_DATA),
        (_paid_in(lines, agreements), POOL, REFERENCE_DATA),
        (_classified_differently(known), _AUDIENCE, DEFINITION),
    ]
    pools = lines.select(POOL).unique()
    found = [pools.join(where, on=on, how="semi").with_columns(cause=pl.lit(cause)) for where, on, cause in causes]
    if not division.is_empty():
        found.append(pools.with_columns(cause=pl.lit(DEFINITION)))
    return _by_pool(pools, pl.concat(found))


def _changed(then: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """Select the grounds that differ, with `change`, the growth of sums.

    Rights are compared only for tracks on both sides: a track without plays then may have had the same claims. So is the
    code: a month of which nothing is left is divided by none.
    """
    both = now.select(*_KEY, "value").join(
        then.select(*_KEY, before="value"), on=_KEY, how="full", coalesce=True, nulls_equal=True
    )
    is_new = pl.col("value").is_null() | pl.col("before").is_null()
    is_on_both_sides = pl.col("ground").is_in([RIGHTS, DIVISION])
    differs = pl.col("value").ne_missing(pl.col("before")) & ~(is_on_both_sides & is_new)
    grown = pl.col("value").fill_null(0) - pl.col("before").fill_null(0)
    return both.filter(differs).select(*_KEY, change=pl.when(pl.col("ground").is_in([HEARD, USAGE])).then(grown))


def _declared_differently(plays: pl.DataFrame) -> pl.DataFrame:
    """Select changes to the plays of incidents, except those that an account took along to another audience."""
    change = pl.col("change").sum().over("arrival_day", "status", "incident_id")
    return plays.filter((pl.col("incident_id") != "") & (change != 0))


def _classified_differently(plays: pl.DataFrame) -> pl.DataFrame:
    """Select audiences in which plays without an incident moved from one status to another.

    Declaring an incident only takes plays away from the undeclared ones, and taking one back only adds some.
    """
    undeclared = plays.filter(pl.col("incident_id") == "").group_by(*_AUDIENCE, "status").agg(pl.col("change").sum())
    change = pl.col("change")
    return undeclared.group_by(_AUDIENCE).agg(both=(change.min() < 0) & (change.max() > 0)).filter("both")


def _heard_in(usage: pl.LazyFrame, rights: pl.DataFrame) -> pl.DataFrame:
    """Select the audiences with eligible plays of a track whose claims changed."""
    eligible = usage.filter(pl.col("status").is_in(ELIGIBLE))
    tracks = rights.lazy().select(track_id="about")
    return eligible.join(tracks, on="track_id", how="semi").select(_AUDIENCE).unique().collect(engine="streaming")


def _paid_in(lines: pl.DataFrame, agreements: pl.DataFrame) -> pl.DataFrame:
    """Select the pools with a changed line of a payee whose agreement changed."""
    return lines.join(agreements.select(payee_id="about"), on="payee_id", how="semi")


def _by_pool(pools: pl.DataFrame, causes: pl.DataFrame) -> pl.DataFrame:
    """Join the causes of each pool to one text; a change without any, such as by a library's release, is a definition."""
    order = pl.col("cause").cast(pl.Enum(_REASONS))
    joined = causes.unique().sort(order).group_by(POOL, maintain_order=True).agg(pl.col("cause").str.join(", "))
    return pools.join(joined, on=POOL, how="left").select(*POOL, reason=pl.col("cause").fill_null(DEFINITION))
