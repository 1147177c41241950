"""Plays of a day by country and spam probability, so that anybody can count at a tolerance of their own. Rankings are in `comparisons`."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import UNKNOWN_COUNTRY, PlaysBySpamProbability
from spam_pipeline.reporting.measures import event_day


def plays_by_country_and_spam_probability(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """`PlaysBySpamProbability` of the days in `classified_plays`."""
    key = (event_day(), pl.col("country").fill_null(UNKNOWN_COUNTRY), spam_percent())
    counts = classified_plays.group_by(key).agg(plays=pl.len())
    shaped = counts.select(*column_types(PlaysBySpamProbability)).cast(pl.Schema(column_types(PlaysBySpamProbability)))
    return shaped.sort("event_day", "country", "spam_percent")


def spam_percent() -> pl.Expr:
    """The last whole percent that a play's spam probability reaches.

    So a play is below a tolerance of whole percents exactly if its percent is, in the arithmetic of the probability itself:
    rounding down would put a probability of 0.29 at 28, because 0.29 is a bit less as a binary fraction.
    """
    probability = pl.col("spam_probability")
    nearest = (probability.cast(pl.Float64) * 100).round()
    is_reached = probability >= (nearest / 100).cast(pl.Float32)
    return (nearest - pl.when(is_reached).then(0.0).otherwise(1.0)).cast(pl.Int64).alias("spam_percent")
