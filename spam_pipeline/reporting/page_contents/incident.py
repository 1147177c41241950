"""The contents of an incident's page: its declarations, its plays as counted by reports and royalties, and the money withheld."""

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.page_builder import Contents, Link, Rows
from spam_pipeline.reporting.month import IncidentInMonth
from spam_pipeline.reporting.page_contents.month import by_day, curves_of_days
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.royalties.contracts import PLAY_STATUSES

_MOST_ROWS = 20
"""The most countries or tracks on a page; the stages have all of them."""


def contents_of_incident(incident: IncidentInMonth) -> Contents:
    """Build the contents of an incident's page."""
    declared = incident.declared.group_by("entity_type").agg(entities=pl.col("entity_key").n_unique().cast(pl.Int64))
    days = by_day(incident.plays)
    return {
        "month": incident.month,
        "incident_id": incident.incident_id,
        "report": Link(f"Report of {incident.month}", f"../{place_of(incident.month, '')}"),
        "figures": incident.figures(),
        "evidence": _evidence(incident.suspicions),
        "windows": _windows(incident.declared),
        "kinds": declared.sort("entity_type").rows(),
        "plays": incident.play_count,
        "plays_in_reports": incident.play_count_in_reports,
        "plays_by_day": curves_of_days(days, "in reports"),
        "days": days.with_columns(pl.col("event_day").dt.to_string("%Y-%m-%d")).rows(),
        "worth": [(status, incident.plays_worth(status)) for status in PLAY_STATUSES],
        "most_rows": _MOST_ROWS,
        "countries": _most(incident.plays, "country"),
        "tracks": _most(incident.plays, "track_id"),
        "withheld": [
            (currency, as_amount(amount, currency))
            for currency, amount in incident.withheld.sort("currency").iter_rows()
        ],
    }


def _evidence(suspicions: pl.DataFrame) -> Rows:
    """List the families of evidence, strongest first, as the last day had them."""
    families = suspicions.select("families", "peers").explode("families").unnest("families")
    return families.select("family", pl.col("value", "usual", "evidence").round(3), "peers").rows()


def _windows(declared: pl.DataFrame) -> Rows:
    windows = declared.group_by("attack_type", "status", "starts_at", "ends_at").agg(
        entities=pl.struct("entity_type", "entity_key").n_unique().cast(pl.Int64)
    )
    ordered = windows.sort("starts_at", "ends_at", "attack_type", "status")
    return ordered.with_columns(pl.col("starts_at", "ends_at").dt.to_string("%Y-%m-%d %H:%M:%S")).rows()


def _most(plays: pl.DataFrame, name: str) -> Rows:
    totals = plays.group_by(name).agg(pl.col("plays", "plays_without_spam").sum())
    return totals.sort("plays", name, descending=[True, False]).head(_MOST_ROWS).rows()
