"""Reporting's stages: counts in two truths, and what is carried to the stores that widgets and analysts read.

Reporting expects nothing of the verdicts that it counts by: a count takes anything timely, and is corrected when something
better is published.
"""

import polars as pl

from spam_pipeline.partitions import event_days, unpartitioned
from spam_pipeline.protocol.contract import Reads, column_types
from spam_pipeline.protocol.selection import EveryPartition, EveryStage
from spam_pipeline.protocol.stage import stage
from spam_pipeline.reporting.contracts import Catalogue, DailyPlays, TopCountries, TrackPlayCounts, WidgetCounts
from spam_pipeline.reporting.daily_plays import plays_by_country
from spam_pipeline.reporting.top_countries import ranked_countries
from spam_pipeline.reporting.track_play_counts import plays_by_track, plays_so_far
from spam_pipeline.reporting.warehouse import warehouse_delivery
from spam_pipeline.reporting.widget_store import widget_delivery

_OWNER = "team:reporting"


@stage(
    partitions=event_days,
    contract=DailyPlays,
    owner=_OWNER,
    libraries=["polars"],
    reads={
        "classified_plays": Reads(
            ("occurred_at", "country", "user_key", "device_key", "ms_played", "spam_probability"),
            schema=2,
        )
    },
)
def daily_plays(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Plays, listeners and playing time by country, for everybody who asks how a day went.

    Each number stands there twice: raw, and without spam, which drops a play from a spam probability of 0.8 on. A listener is
    a user, or a device while logged out. `ZZ` is the unknown country.
    """
    return plays_by_country(classified_plays)


@stage(
    partitions=event_days,
    contract=TopCountries,
    owner=_OWNER,
    libraries=["polars"],
    reads={"classified_plays": Reads(("occurred_at", "country", "spam_probability"), schema=2)},
)
def top_countries(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """The ten countries with the most plays, once with spam and once without: two different truths.

    Equal counts rank by country code; plays of unknown country are in no ranking.
    """
    return ranked_countries(classified_plays)


@stage(
    partitions=event_days,
    contract=TrackPlayCounts,
    owner=_OWNER,
    libraries=["polars"],
    reads={"classified_plays": Reads(("occurred_at", "track_key", "track_id", "spam_probability"), schema=2)},
)
def track_play_counts(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """Plays per track of one day, raw and without spam (a spam probability below 0.8); `widget_counts` adds them up."""
    return plays_by_track(classified_plays)


@stage(
    partitions=unpartitioned,
    contract=WidgetCounts,
    owner=_OWNER,
    libraries=["polars"],
    selections={"track_play_counts": EveryPartition()},
    reads={"track_play_counts": Reads(("track_id", "plays_without_spam"))},
    delivery=widget_delivery,
)
def widget_counts(track_play_counts: pl.LazyFrame) -> pl.LazyFrame:
    """The play count that the widget of a track shows: the sum over all days, without spam.

    Delivered to the keyed store, where it replaces all earlier counts as one step.
    """
    return plays_so_far(track_play_counts)


@stage(
    partitions=unpartitioned,
    contract=Catalogue,
    owner=_OWNER,
    libraries=["duckdb", "polars"],
    selections={"catalogue": EveryStage()},
    delivery=warehouse_delivery,
)
def warehouse(catalogue: pl.LazyFrame) -> pl.LazyFrame:
    """The catalogue of every published file, delivered as one DuckDB file with a relation `<context>.<stage>` for each stage.

    For questions over many days, such as plays yesterday against the same day last year.
    """
    columns = list(column_types(Catalogue))
    return catalogue.select(columns).sort(columns)


STAGES = (daily_plays, top_countries, track_play_counts, widget_counts, warehouse)
"""The stages of this context."""
