"""Usage: the royalty status of each play, and plays per listener and track.

Nothing is dropped here: plays that earn nothing are counted beside those that earn, so that usage reconciles to its plays.
Usage is turned into money in `payout`.
"""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.royalties.contracts import EARNING, SHORT, SPAM, WITHHELD, RoyaltyUsage
from spam_pipeline.trust_and_safety.contracts import LONGEST_PLAY_MS, ROYALTY_TOLERANCE
from spam_pipeline.trust_and_safety.contracts import SPAM as CLASSIFIED_AS_SPAM

EARNS_FROM_MS = 30_000
"""A play earns from 30 seconds on, as is the custom of the industry."""

UNKNOWN_COUNTRY, FREE_TIER = "ZZ", "free"
"""Country and tier of plays without an account: ISO 3166 reserves ZZ for users, and nobody pays for being logged out."""

CONFIRMED, SUSPECTED, CLEARED = "confirmed", "suspected", "cleared"


def usage_of(classified_plays: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Count classified plays of any days per listener, track, day, arrival day and status, as `RoyaltyUsage`.

    The sum of `plays` is the number of classified plays.
    """
    counted = [name for name in column_types(RoyaltyUsage) if name not in ("plays", "ms_played")]
    members = accounts.select("user_key", "tier", account_country="country")
    return (
        classified_plays.join(members, on="user_key", how="left")
        .select(
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
        .group_by(counted)
        .agg(pl.len().cast(pl.Int64).alias("plays"), pl.col("ms_played").sum())
        .select(*column_types(RoyaltyUsage))
        .sort(counted)
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
