"""Plays of a day that belong to incidents, with and without spam. Trust & safety matches plays to incidents."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import UNKNOWN_COUNTRY, IncidentPlays
from spam_pipeline.reporting.measures import event_day, without_spam


def plays_by_incident(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `IncidentPlays` of the days in `classified_plays`."""
    key = (event_day(), "incident_id", pl.col("country").fill_null(UNKNOWN_COUNTRY), "track_id")
    counts = (
        classified_plays.filter(pl.col("incident_id").is_not_null())
        .group_by(key)
        .agg(plays=pl.len(), plays_without_spam=without_spam().sum())
    )
    shaped = counts.cast(pl.Schema(column_types(IncidentPlays))).select(*column_types(IncidentPlays))
    return shaped.sort(IncidentPlays.primary_key())
