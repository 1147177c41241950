"""Usage: the royalty status of each play, and plays per listener and track.

Nothing is dropped here: plays that earn nothing are counted beside those that earn, so that usage reconciles to its plays.
Usage is turned into money in `payout`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from spam_pipeline.protocol import column_types, in_slices, rows_in
from spam_pipeline.royalties.audiences import audience_slices, within
from spam_pipeline.royalties.contracts import EARNING, SHORT, SPAM, WITHHELD, RoyaltyUsage
from spam_pipeline.trust_and_safety.contracts import LONGEST_PLAY_MS, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.contracts import SPAM as CLASSIFIED_AS_SPAM

EARNS_FROM_MS = 30_000
"""A play earns from 30 seconds on, as is the custom of the industry."""

_PLAYS_AT_ONCE: Final = 1_000_000
"""Plays that are counted at once, at some 400 bytes each."""

UNKNOWN_COUNTRY, FREE_TIER = "ZZ", "free"
"""Country and tier of plays without an account: ISO 3166 reserves ZZ for users, and nobody pays for being logged out."""

CONFIRMED, SUSPECTED, CLEARED = "confirmed", "suspected", "cleared"


_COUNTED: Final = [name for name in column_types(RoyaltyUsage) if name not in ("plays", "ms_played")]


def usage_of(
    classified_plays: pl.LazyFrame, accounts: pl.LazyFrame, plays_at_once: int = _PLAYS_AT_ONCE
) -> pl.LazyFrame:
    """Count classified plays of any days per listener, track, day, arrival day and status, as `RoyaltyUsage`.

    The sum of `plays` is the number of classified plays. More than `plays_at_once` are kept in a temporary file, and counted for
    some countries, tiers and listeners after the others.
    """
    slices = partial(_slices, _with_status(classified_plays, accounts), rows_in(classified_plays), plays_at_once)
    return in_slices(slices, column_types(RoyaltyUsage))


def _slices(plays: pl.LazyFrame, rows: int, plays_at_once: int) -> Iterator[pl.DataFrame]:
    if rows <= plays_at_once:
        yield _counted(plays)
        return
    with TemporaryDirectory() as folder:
        # Each slice reads its rows from here: to join all plays to their accounts once more takes longer.
        path = Path(folder) / "plays.parquet"
        plays.sink_parquet(path, compression="lz4")
        heard = pl.scan_parquet(path, glob=False)
        audiences = heard.group_by("country", "tier").agg(rows=pl.len().cast(pl.Int64)).collect(engine="streaming")
        for some, listeners in audience_slices(audiences, plays_at_once):
            of_some = heard.filter(within(some)).join(some.lazy(), on=["country", "tier"], how="semi")
            yield from (_counted(of_some.filter(are_listeners)) for are_listeners in listeners)


def _counted(plays: pl.LazyFrame) -> pl.DataFrame:
    counts = plays.group_by(_COUNTED).agg(pl.len().cast(pl.Int64).alias("plays"), pl.col("ms_played").sum())
    return counts.select(*column_types(RoyaltyUsage)).sort(_COUNTED).collect(engine="streaming")


def _with_status(classified_plays: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Put each play where it counts: country, tier and listener, days, status and incident."""
    members = accounts.select("user_key", "tier", account_country="country")
    return classified_plays.join(members, on="user_key", how="left").select(
        country=pl.coalesce("account_country", "country", pl.lit(UNKNOWN_COUNTRY)),
        tier=pl.col("tier").fill_null(FREE_TIER),
        listener_key=pl.coalesce("user_key", "device_key"),
        is_account=pl.col("tier").is_not_null(),
        track_id="track_id",
        event_day=pl.col("occurred_at").dt.date(),
        arrival_day=pl.col("arrival_hour").dt.date(),
        status=status_of_play(),
        incident_id=pl.col("incident_id").fill_null(""),
        ms_played=pl.col("ms_played").clip(upper_bound=LONGEST_PLAY_MS),
    )


def status_of_play() -> pl.Expr:
    """Decide the status of a classified play: decisions of people outrank the model, and only spam outranks the length.

    In this order: a confirmed incident is `spam`; so is the class spam without a declared incident; less than 30 seconds is
    `short`; a suspected incident is `withheld`; a cleared one is `earning`; a spam probability that is not below the
    tolerance is `withheld`; the rest is `earning`.

    >>> columns = ["incident_status", "class", "spam_probability", "ms_played"]
    >>> plays = [("cleared", "spam", 0.9, 31_000), (None, "spam", 0.9, 9_000), ("suspected", "spam", 0.9, 9_000)]
    >>> pl.DataFrame(plays, schema=columns, orient="row").select(status_of_play()).to_series().to_list()
    ['earning', 'spam', 'short']
    """
    incident = pl.col("incident_status").fill_null("")
    undeclared = ~incident.is_in([CONFIRMED, SUSPECTED, CLEARED])
    tolerable = (pl.col("spam_probability") < ROYALTY_TOLERANCE).fill_null(value=False)
    return (
        pl.when((incident == CONFIRMED) | (undeclared & (pl.col("class") == CLASSIFIED_AS_SPAM)))
        .then(pl.lit(SPAM))
        .when(pl.col("ms_played") < EARNS_FROM_MS)
        .then(pl.lit(SHORT))
        .when(incident == SUSPECTED)
        .then(pl.lit(WITHHELD))
        .when((incident == CLEARED) | tolerable)
        .then(pl.lit(EARNING))
        .otherwise(pl.lit(WITHHELD))
    )
