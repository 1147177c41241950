"""Plays per track: of a day, with and without spam, and over all days for widgets. Widgets read them in `widget_store`."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import TrackPlayCounts, WidgetCounts
from spam_pipeline.reporting.measures import event_day, without_spam


def plays_by_track(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `TrackPlayCounts` of the days in `classified_plays`."""
    counts = classified_plays.group_by(event_day(), "track_key").agg(
        pl.col("track_id").first(), plays=pl.len(), plays_without_spam=without_spam().sum()
    )
    shaped = counts.select(*column_types(TrackPlayCounts)).cast(pl.Schema(column_types(TrackPlayCounts)))
    return shaped.sort("event_day", "track_id")


def plays_so_far(track_play_counts: pl.LazyFrame) -> pl.LazyFrame:
    """Sum `WidgetCounts` over all days in `track_play_counts`; a track with nothing but spam keeps its row, with no plays."""
    counts = track_play_counts.group_by("track_id").agg(plays=pl.col("plays_without_spam").sum())
    return counts.select(*column_types(WidgetCounts)).sort("track_id")
