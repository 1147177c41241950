"""The measures of reporting: day and country of a play, its listener, and whether it counts without spam.

Expressions over `ClassifiedPlays`, so that all reports agree on them. The reports themselves do not belong here.
"""

import polars as pl

from spam_pipeline.trust_and_safety.contracts import LONGEST_PLAY_MS, REPORTING_TOLERANCE


def event_day() -> pl.Expr:
    """The UTC day of the play."""
    return pl.col("occurred_at").dt.date().alias("event_day")


def listener() -> pl.Expr:
    """The listener: the user, or the device while logged out."""
    # The complement keeps devices apart from users, even where clients send one identifier for both.
    return pl.coalesce("user_key", ~pl.col("device_key"))


def listened_ms() -> pl.Expr:
    """The playing time, a day at most."""
    return pl.col("ms_played").clip(upper_bound=LONGEST_PLAY_MS)


def without_spam() -> pl.Expr:
    """True for plays that count without spam."""
    return pl.col("spam_probability") < REPORTING_TOLERANCE
