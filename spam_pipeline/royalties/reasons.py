"""Reasons: why a pool is divided differently now, found by comparing the grounds of then and of now. How it differs is in `adjustments`."""

import polars as pl

from spam_pipeline.royalties.contracts import ELIGIBLE, POOL, USAGE
from spam_pipeline.royalties.statement_basis import ACCOUNTS, AGREEMENT, DIVISION, HEARD, POOL_MONEY, RIGHTS

LATE_DATA, INCIDENT, REFERENCE_DATA, DEFINITION = "late data", "incident", "reference data", "definition"
"""Plays landed, were replaced or were taken back; what people declared about plays changed; revenue, rights, agreements or accounts did; or
the software judges plays or divides money differently."""

_REASONS = (LATE_DATA, INCIDENT, REFERENCE_DATA, DEFINITION)
_AUDIENCE = ("country", "tier")
_KEY = ("ground", *POOL, "arrival_day", "status", "incident_id", "about")


def reasons(lines: pl.DataFrame, then: pl.DataFrame, now: pl.DataFrame, usage: pl.LazyFrame) -> pl.DataFrame:
    """Every reason that applies to each pool that has some of the changed `lines`: `POOL` and `reason`, joined by ", ".

    `then` and `now` are grounds of one month. Late data shows in days of arrival on which something else is known over all pools;
    what else has changed about the plays of such a day is not told apart. On all other days the plays are the same: where those
    of an incident changed, it was declared, decided or taken back. Plays that no incident covers can move from one status to
    another only by definition. Rights count where the month's eligible `usage` has a track whose claims changed, and agreements
    where the payee has a line.
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
    """The grounds that are not the same on both sides, with `change`, what sums have grown by.

    Rights are told apart only for tracks on both sides: a track that nobody paid for then was claimed all the same. So is the
    code: a month that nothing is left of is divided by none.
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
    """Changes of the plays of incidents; not where an account has taken them along to another audience."""
    change = pl.col("change").sum().over("arrival_day", "status", "incident_id")
    return plays.filter((pl.col("incident_id") != "") & (change != 0))


def _classified_differently(plays: pl.DataFrame) -> pl.DataFrame:
    """Audiences in which plays without an incident have left one status and come to another.

    An incident that is declared only takes plays away from what is undeclared, and one that is taken back only adds some.
    """
    undeclared = plays.filter(pl.col("incident_id") == "").group_by(*_AUDIENCE, "status").agg(pl.col("change").sum())
    change = pl.col("change")
    return undeclared.group_by(_AUDIENCE).agg(both=(change.min() < 0) & (change.max() > 0)).filter("both")


def _heard_in(usage: pl.LazyFrame, rights: pl.DataFrame) -> pl.DataFrame:
    """The audiences with eligible plays of a track whose claims changed."""
    eligible = usage.filter(pl.col("status").is_in(ELIGIBLE))
    tracks = rights.lazy().select(track_id="about")
    return eligible.join(tracks, on="track_id", how="semi").select(_AUDIENCE).unique().collect(engine="streaming")


def _paid_in(lines: pl.DataFrame, agreements: pl.DataFrame) -> pl.DataFrame:
    """The pools in which a payee whose agreement changed has a line that did."""
    return lines.join(agreements.select(payee_id="about"), on="payee_id", how="semi")


def _by_pool(pools: pl.DataFrame, causes: pl.DataFrame) -> pl.DataFrame:
    """The causes of each pool as one text; what none of them explains, a release of a library say, is a definition."""
    order = pl.col("cause").cast(pl.Enum(_REASONS))
    joined = causes.unique().sort(order).group_by(POOL, maintain_order=True).agg(pl.col("cause").str.join(", "))
    return pools.join(joined, on=POOL, how="left").select(*POOL, reason=pl.col("cause").fill_null(DEFINITION))
