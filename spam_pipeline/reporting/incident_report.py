"""What is published about one incident, gathered for its page. How the page looks is in `pages.incident_page`."""

from datetime import timedelta

import polars as pl

from spam_pipeline.protocol.partition import month_of
from spam_pipeline.protocol.runner import Runner
from spam_pipeline.reporting.contracts import UNKNOWN_COUNTRY
from spam_pipeline.reporting.errors import UnknownIncident
from spam_pipeline.reporting.measures import event_day, without_spam
from spam_pipeline.reporting.pages.incident_page import IncidentFacts
from spam_pipeline.royalties.contracts import AGREED, WITHHELD


def incident_facts(runner: Runner, incident_id: str) -> IncidentFacts:
    """What is published about an incident on the days of its windows, and in the statements of their months.

    Days and months that are not published are left out. Raises `UnknownIncident`, and `NotPublished` without any incidents.
    """
    of_incident = pl.col("incident_id") == incident_id
    declared = runner.reader.read("incidents", ["all"]).filter(of_incident).unique().collect()
    if declared.is_empty():
        raise UnknownIncident(
            f"no published incident is called {incident_id!r}: expected YYYY-MM or the id of an incident"
        )
    days = _days(declared)
    plays, usage, statements = (
        _published(runner, stage, partitions).filter(of_incident)
        for stage, partitions in (
            ("classified_plays", days),
            ("royalty_usage", days),
            ("royalty_statements", {month_of(day) for day in days}),
        )
    )
    key = (event_day(), pl.col("country").fill_null(UNKNOWN_COUNTRY), "track_id")
    return IncidentFacts(
        incident_id,
        declared,
        plays.group_by(key)
        .agg(plays=pl.len().cast(pl.Int64), plays_without_spam=without_spam().sum().cast(pl.Int64))
        .collect(),
        usage.group_by("event_day", "status").agg(pl.col("plays").sum()).collect(),
        statements.filter(pl.col("rule") == AGREED, pl.col("line") == WITHHELD)
        .group_by("month", "currency")
        .agg(pl.col("amount_minor").sum())
        .collect(),
    )


def _days(declared: pl.DataFrame) -> set[str]:
    last = (pl.col("ends_at") - timedelta(milliseconds=1)).dt.date()
    days = declared.select(pl.date_ranges(pl.col("starts_at").dt.date(), last).alias("day")).explode("day")
    return set(days["day"].dt.to_string("%Y-%m-%d"))


def _published(runner: Runner, stage: str, partitions: set[str]) -> pl.LazyFrame:
    known = runner.ledger.published(runner.environment, [stage])[stage]
    frame: pl.LazyFrame = runner.reader.read(stage, sorted(partitions & known.keys()))
    return frame
