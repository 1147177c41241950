"""Plays, listeners and playing time of a day, by country, with and without spam. Rankings are in `top_countries`."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import UNKNOWN_COUNTRY, DailyPlays
from spam_pipeline.reporting.measures import event_day, listened_ms, listener, without_spam


def plays_by_country(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `DailyPlays` of the days in `classified_plays`."""
    counts = classified_plays.group_by(event_day(), pl.col("country").fill_null(UNKNOWN_COUNTRY)).agg(
        plays=pl.len(),
        plays_without_spam=without_spam().sum(),
        listeners=listener().n_unique(),
        listeners_without_spam=listener().filter(without_spam()).n_unique(),
        listened_ms=listened_ms().sum(),
        listened_ms_without_spam=listened_ms().filter(without_spam()).sum(),
    )
    return (
        counts.cast(pl.Schema(column_types(DailyPlays))).select(*column_types(DailyPlays)).sort("event_day", "country")
    )
