"""Plays of a day that belong to incidents by hour and listener: their rhythm, and who is behind them, by pseudonym."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import DEVICE, USER, IncidentListeners
from spam_pipeline.reporting.measures import event_day


def plays_by_hour_and_listener(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Compute the `IncidentListeners` of the days in `classified_plays`."""
    is_user = pl.col("user_key").is_not_null()
    key = (
        event_day(),
        "incident_id",
        pl.col("occurred_at").dt.hour().cast(pl.Int64).alias("hour"),
        pl.when(is_user).then(pl.lit(USER)).otherwise(pl.lit(DEVICE)).alias("listener_kind"),
        pl.coalesce("user_key", "device_key").alias("listener_key"),
    )
    counts = classified_plays.filter(pl.col("incident_id").is_not_null()).group_by(key).agg(plays=pl.len())
    shaped = counts.cast(pl.Schema(column_types(IncidentListeners))).select(*column_types(IncidentListeners))
    return shaped.sort(IncidentListeners.primary_key())
