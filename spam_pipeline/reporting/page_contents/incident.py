"""The contents of an incident's page: its case file, from the evidence to the decision, and what it holds back."""

from collections.abc import Mapping

import polars as pl

from spam_pipeline.pages.page_builder import Contents, Link, Rows, stacked_bar
from spam_pipeline.pages.plotter import Curves, Series
from spam_pipeline.reporting.month import IncidentInMonth
from spam_pipeline.reporting.page_contents.days import by_day, curves_of_days, described, values_of_days
from spam_pipeline.reporting.page_contents.names import country_name, type_name
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.royalties.contracts import PLAY_STATUSES

MOST_ROWS = 20
"""The most countries, tracks or listeners on a page; the stages have all of them."""

_HOURS = 24
_SERIES = {"plays": "all plays", "plays_without_spam": "in reports"}


def contents_of_incident(incident: IncidentInMonth, titles: Mapping[str, str]) -> Contents:
    """Build the contents of an incident's page; `titles` are those of its tracks."""
    days = by_day(incident.plays)
    hours = _by_hour(incident.listeners)
    return {
        "month": incident.month,
        "incident_id": incident.incident_id,
        "report": Link(f"Report of {incident.month}", f"../{place_of(incident.month, '')}"),
        "figures": incident.counts(),
        "waits": incident.waits,
        "evidence": _evidence(incident.suspicions),
        "peers": int(incident.suspicions["peers"].sum()),
        "decisions": _decisions(incident.declared),
        "plays": incident.play_count,
        "plays_in_reports": incident.play_count_in_reports,
        "plays_by_day": curves_of_days(days, _SERIES, "plays_without_spam"),
        "plays_by_day_described": described(days, _SERIES),
        "days": values_of_days(days, list(_SERIES)),
        "plays_by_hour": _curve_of_hours(hours),
        "plays_by_hour_described": f"Plays by hour of the day, from {min(hours):,} to {max(hours):,} an hour",
        "hours": [[f"{hour:02}", count] for hour, count in enumerate(hours)],
        "worth": [(status, incident.plays_worth(status)) for status in PLAY_STATUSES],
        "withheld": incident.amounts_withheld(),
        "most_rows": MOST_ROWS,
        "listener_count": incident.listeners.select("listener_kind", "listener_key").n_unique(),
        "listeners": _listeners(incident.listeners),
        "tracks": [
            [titles.get(track, "not in the catalogue"), track, *of_it] for track, *of_it in most_played(incident)
        ],
        "countries": [[country_name(code), *of_it] for code, *of_it in _most(incident.plays, "country")],
    }


def most_played(incident: IncidentInMonth) -> list[tuple[str, int, int]]:
    """List the tracks on an incident's page, with their plays, and those in reports."""
    return _most(incident.plays, "track_id")


def _evidence(suspicions: pl.DataFrame) -> Rows:
    """List the families of evidence, strongest first, as the last day had them."""
    families = suspicions.select("families").explode("families").unnest("families")
    rounded = families.select("family", pl.col("value", "usual", "evidence").round(3))
    most = round(1000 * max(rounded["evidence"], default=0))
    return [
        [family, str(value), str(usual), str(weight), stacked_bar({"held": round(1000 * weight)}, most)]
        for family, value, usual, weight in rounded.iter_rows()
    ]


def _decisions(declared: pl.DataFrame) -> Rows:
    """List who decided what and when, by window and kind of entity."""
    times = ("decided_at", "starts_at", "ends_at")
    names = ("status", "attack_type", "decided_by", *times, "entity_type")
    windows = declared.group_by(names).agg(entities=pl.col("entity_key").n_unique()).sort(names)
    written = windows.with_columns(pl.col(times).dt.to_string("%Y-%m-%d %H:%M").fill_null("at a time unknown"))
    return [
        [status, type_name(name), f"{by or 'by nobody named'}, {at}", f"{start} to {end}", f"{entities:,} {kind}"]
        for status, name, by, at, start, end, kind, entities in written.iter_rows()
    ]


def _by_hour(listeners: pl.DataFrame) -> list[int]:
    """Sum the plays of each hour of the day."""
    counted = dict(listeners.group_by("hour").agg(pl.col("plays").sum()).iter_rows())
    return [int(counted.get(hour, 0)) for hour in range(_HOURS)]


def _curve_of_hours(hours: list[int]) -> Curves:
    names = [f"{hour:02}:00" for hour in range(_HOURS)]
    ticks = [(hour, names[hour]) for hour in range(0, _HOURS, 3)]
    return Curves([Series("plays", hours, is_in_question=True)] if any(hours) else [], ticks, steps=names)


def _listeners(listeners: pl.DataFrame) -> Rows:
    """List the most active listeners by pseudonym, written as landed files can name it."""
    totals = listeners.group_by("listener_kind", "listener_key").agg(pl.col("plays").sum())
    ordered = totals.sort("plays", "listener_kind", "listener_key", descending=[True, True, False]).head(MOST_ROWS)
    most = max(ordered["plays"], default=0)
    return [
        [f"key:{key:016x}", kind, plays, stacked_bar({"held": plays}, most)] for kind, key, plays in ordered.iter_rows()
    ]


def _most(plays: pl.DataFrame, name: str) -> list[tuple[str, int, int]]:
    totals = plays.group_by(name).agg(pl.col("plays", "plays_without_spam").sum())
    return totals.sort("plays", name, descending=[True, False]).head(MOST_ROWS).rows()
