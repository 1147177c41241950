"""Plays of a day by country and spam probability, for counting at any tolerance. Rankings are in `comparisons`."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import UNKNOWN_COUNTRY, PlaysBySpamProbability
from spam_pipeline.reporting.measures import event_day


def plays_by_country_and_spam_probability(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `PlaysBySpamProbability` of the days in `classified_plays`."""
    key = (event_day(), pl.col("country").fill_null(UNKNOWN_COUNTRY), spam_percent())
    counts = classified_plays.group_by(key).agg(plays=pl.len())
    shaped = counts.select(*column_types(PlaysBySpamProbability)).cast(pl.Schema(column_types(PlaysBySpamProbability)))
    return shaped.sort("event_day", "country", "spam_percent")


def spam_percent() -> pl.Expr:
    """Round a play's spam probability down to whole percents.

    A play is below a tolerance of whole percents exactly if its percent is, in the arithmetic of the probability itself: plain
    rounding down would put 0.29 at 28, because 0.29 is a bit less as a binary fraction.

    >>> plays = pl.DataFrame({"spam_probability": pl.Series([0.29, 0.295], dtype=pl.Float32)})
    >>> plays.select(spam_percent()).to_series().to_list()
    [29, 29]
    """
    probability = pl.col("spam_probability")
    nearest = (probability.cast(pl.Float64) * 100).round()
    is_reached = probability >= (nearest / 100).cast(pl.Float32)
    return (nearest - pl.when(is_reached).then(0.0).otherwise(1.0)).cast(pl.Int64).alias("spam_percent")
