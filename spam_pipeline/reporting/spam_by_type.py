"""Plays of a day that reports drop, by country and attack type. Trust & safety finds the type."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import NO_TYPE, UNKNOWN_COUNTRY, SpamByType
from spam_pipeline.reporting.measures import event_day, without_spam


def spam_by_country_and_type(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `SpamByType` of the days in `classified_plays`."""
    key = (event_day(), pl.col("country").fill_null(UNKNOWN_COUNTRY), pl.col("attack_type").fill_null(NO_TYPE))
    counts = classified_plays.filter(~without_spam()).group_by(key).agg(plays=pl.len())
    shaped = counts.select(*column_types(SpamByType)).cast(pl.Schema(column_types(SpamByType)))
    return shaped.sort("event_day", "country", "attack_type")
