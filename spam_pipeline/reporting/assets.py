"""The stages of reporting: counts with and without spam, and deliveries to the stores that widgets and analysts read.

Reporting sets no expectations on verdicts: counts use whatever is current, and are corrected when something better is
published.
"""

from datetime import timedelta
from functools import partial
from typing import Annotated

import polars as pl

from spam_pipeline.partitions import event_days, statement_months, unpartitioned
from spam_pipeline.protocol import (
    DaysOfMonth,
    EveryPartition,
    EveryStage,
    PartsOfMonth,
    PartsUpToMonth,
    Reads,
    column_types,
    stage,
)
from spam_pipeline.reporting.contracts import (
    Catalogue,
    DailyPlays,
    IncidentListeners,
    IncidentPlays,
    PlaysBySpamProbability,
    ReportPages,
    Reports,
    SpamByType,
    TopCountries,
    TrackPlayCounts,
    WidgetCounts,
)
from spam_pipeline.reporting.daily_plays import plays_by_country
from spam_pipeline.reporting.incident_listeners import plays_by_hour_and_listener
from spam_pipeline.reporting.incident_plays import plays_by_incident
from spam_pipeline.reporting.month import DECLARED, Month
from spam_pipeline.reporting.report_folder import report_delivery
from spam_pipeline.reporting.reports import pages_of, places_of
from spam_pipeline.reporting.spam_by_type import spam_by_country_and_type
from spam_pipeline.reporting.spam_probability import plays_by_country_and_spam_probability
from spam_pipeline.reporting.top_countries import ranked_countries
from spam_pipeline.reporting.track_play_counts import plays_by_track, plays_so_far
from spam_pipeline.reporting.warehouse import warehouse_delivery
from spam_pipeline.reporting.widget_store import widget_delivery
from spam_pipeline.royalties.contracts import USAGE

_OWNER = "team:reporting"

_daily_stage = partial(stage, partitions=event_days, owner=_OWNER, libraries=["polars"])


@_daily_stage(contract=DailyPlays)
def daily_plays(
    classified_plays: Annotated[
        pl.LazyFrame,
        Reads(columns=("occurred_at", "country", "user_key", "device_key", "ms_played", "spam_probability"), schema=2),
    ],
) -> pl.LazyFrame:
    """Plays, listeners and playing time by country and day.

    Each number is there twice: raw, and without spam, which drops plays from a spam probability of 0.8 on. A listener is
    a user, or a device while logged out. `ZZ` is the unknown country.
    """
    return plays_by_country(classified_plays)


@_daily_stage(contract=TopCountries)
def top_countries(
    classified_plays: Annotated[pl.LazyFrame, Reads(columns=("occurred_at", "country", "spam_probability"), schema=2)],
) -> pl.LazyFrame:
    """Top ten countries by plays of a day, ranked once with spam and once without.

    Equal counts rank by country code; plays of unknown country are not ranked.
    """
    return ranked_countries(classified_plays)


@_daily_stage(contract=PlaysBySpamProbability)
def plays_by_spam_probability(
    classified_plays: Annotated[pl.LazyFrame, Reads(columns=("occurred_at", "country", "spam_probability"), schema=2)],
) -> pl.LazyFrame:
    """Plays by country and spam probability in whole percents, for counting at any tolerance.

    In SQL, `reporting.top_countries_at(day, tolerance)` ranks countries by it. `ZZ` is the unknown country.
    """
    return plays_by_country_and_spam_probability(classified_plays)


@_daily_stage(contract=SpamByType)
def spam_by_type(
    classified_plays: Annotated[
        pl.LazyFrame, Reads(columns=("occurred_at", "country", "attack_type", "spam_probability"), schema=2)
    ],
) -> pl.LazyFrame:
    """Plays dropped by reports, from a spam probability of 0.8 on, by country and attack type.

    The type is the declared one, or the one whose signature fits; it is empty where none does. `ZZ` is the unknown country.
    """
    return spam_by_country_and_type(classified_plays)


@_daily_stage(contract=TrackPlayCounts)
def track_play_counts(
    classified_plays: Annotated[
        pl.LazyFrame, Reads(columns=("occurred_at", "track_key", "track_id", "spam_probability"), schema=2)
    ],
) -> pl.LazyFrame:
    """Plays per track of one day, raw and without spam (a spam probability below 0.8); the daily input of `widget_counts`."""
    return plays_by_track(classified_plays)


@stage(
    partitions=unpartitioned,
    contract=WidgetCounts,
    owner=_OWNER,
    libraries=["duckdb", "polars", "redis", "universal_pathlib"],
    delivery=widget_delivery,
)
def widget_counts(
    track_play_counts: Annotated[pl.LazyFrame, Reads(EveryPartition(), columns=("track_id", "plays_without_spam"))],
) -> pl.LazyFrame:
    """Play counts for embedded widgets: plays per track over all days, without spam.

    Delivered to the keyed store, where it replaces all earlier counts atomically.
    """
    return plays_so_far(track_play_counts)


@_daily_stage(contract=IncidentPlays)
def incident_plays(
    classified_plays: Annotated[
        pl.LazyFrame, Reads(columns=("occurred_at", "country", "track_id", "incident_id", "spam_probability"), schema=2)
    ],
) -> pl.LazyFrame:
    """Plays of a day that belong to incidents, by country and track, raw and without spam (a spam probability below 0.8)."""
    return plays_by_incident(classified_plays)


@_daily_stage(contract=IncidentListeners)
def incident_listeners(
    classified_plays: Annotated[
        pl.LazyFrame, Reads(columns=("occurred_at", "user_key", "device_key", "incident_id"), schema=2)
    ],
) -> pl.LazyFrame:
    """Plays of a day that belong to incidents, by hour in UTC and listener: a user, or the device of a logged-out play."""
    return plays_by_hour_and_listener(classified_plays)


@stage(
    partitions=statement_months,
    contract=Reports,
    owner=_OWNER,
    libraries=["jinja2", "markupsafe", "polars", "pycountry"],
    deadline=timedelta(hours=24),
)
def reports(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    daily_plays: Annotated[
        pl.LazyFrame, Reads(DaysOfMonth(), columns=("event_day", "country", "plays", "plays_without_spam"))
    ],
    spam_by_type: Annotated[pl.LazyFrame, Reads(DaysOfMonth(), columns=("country", "attack_type", "plays"))],
    incident_plays: Annotated[pl.LazyFrame, Reads(DaysOfMonth())],
    incident_listeners: Annotated[pl.LazyFrame, Reads(DaysOfMonth())],
    incidents: Annotated[pl.LazyFrame, Reads(PartsOfMonth(), columns=DECLARED)],
    royalty_usage: Annotated[pl.LazyFrame, Reads(DaysOfMonth(), columns=("event_day", "status", "plays"))],
    statement_basis: Annotated[pl.LazyFrame, Reads(columns=("ground", "status", "incident_id", "value"))],
    royalty_statements: Annotated[
        pl.LazyFrame, Reads(columns=("currency", "rule", "line", "payee_id", "incident_id", "amount_minor"))
    ],
    royalty_adjustments: Annotated[pl.LazyFrame, Reads(columns=("currency", "reason", "amount_minor"))],
    suspected_incidents: Annotated[
        pl.LazyFrame,
        Reads(
            DaysOfMonth(),
            columns=("suspicion_id", "queue", "rank", "evidence", "families", "peers", "devices", "last_day"),
        ),
    ],
    tracks: Annotated[pl.LazyFrame, Reads(PartsUpToMonth(), columns=("track_id", "title", "uploaded_on"))],
    rights: Annotated[pl.LazyFrame, Reads(columns=("track_id", "payee_id"))],
    partition: str,
) -> pl.LazyFrame:
    """Report pages of a month: one about plays, spam and money, and one for each incident; `report_pages` delivers them.

    A page is self-contained HTML. It depends only on the data it shows; what has changed since an earlier page, and why, is
    added on delivery.
    """
    usage = statement_basis.filter(pl.col("ground") == USAGE).rename({"value": "plays"})
    return pages_of(
        Month(
            partition,
            daily_plays.collect(),
            spam_by_type.collect(),
            incident_plays.collect(),
            incident_listeners.collect(),
            incidents.collect(),
            usage.collect(),
            royalty_usage.group_by("event_day", "status").agg(pl.col("plays").sum()).collect(engine="streaming"),
            royalty_statements,
            royalty_adjustments.collect(),
            suspected_incidents.collect(),
            tracks,
            rights,
        )
    )


@stage(
    partitions=unpartitioned,
    contract=ReportPages,
    owner=_OWNER,
    libraries=["duckdb", "jinja2", "markupsafe", "polars", "universal_pathlib"],
    delivery=report_delivery,
)
def report_pages(reports: Annotated[pl.LazyFrame, Reads(EveryPartition(), columns=("month", "about"))]) -> pl.LazyFrame:
    """Index of the pages of all months, delivered as a folder of HTML files for any browser, beside the warehouse.

    A page that differs from the delivered one begins with the numbers that have changed since, and the root causes.
    """
    return places_of(reports)


@stage(
    partitions=unpartitioned,
    contract=Catalogue,
    owner=_OWNER,
    libraries=["duckdb", "fsspec", "polars", "universal_pathlib"],
    delivery=warehouse_delivery,
)
def warehouse(catalogue: Annotated[pl.LazyFrame, Reads(EveryStage())]) -> pl.LazyFrame:
    """Catalogue of every published file, delivered as one DuckDB file with a relation `<context>.<stage>` for each stage.

    For questions over many days, such as plays yesterday against the same day last year.
    """
    columns = list(column_types(Catalogue))
    return catalogue.select(columns).sort(columns)


STAGES = (
    daily_plays,
    top_countries,
    plays_by_spam_probability,
    spam_by_type,
    track_play_counts,
    widget_counts,
    incident_plays,
    incident_listeners,
    reports,
    report_pages,
    warehouse,
)
"""The stages of this context."""
