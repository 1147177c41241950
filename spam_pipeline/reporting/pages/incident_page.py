"""The page of an incident in a month: what was declared, its plays as reports and royalties count them, and the money that waits for it."""

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.reporting.month import IncidentInMonth
from spam_pipeline.reporting.pages.changes import CHANGES, MADE_OF
from spam_pipeline.reporting.pages.markup import (
    Link,
    Number,
    curves,
    document,
    headline,
    listed,
    paragraph,
    section,
    table,
)
from spam_pipeline.reporting.pages.places import place_of
from spam_pipeline.royalties.contracts import PLAY_STATUSES

_MOST_ROWS = 20
"""Countries and tracks that a page lists; the rest is in the stages."""


def incident_page(incident: IncidentInMonth) -> str:
    """The page of an incident as HTML."""
    return document(
        f"Incident {incident.incident_id} in {incident.month}",
        [
            paragraph(Link(f"Report of {incident.month}", f"../{place_of(incident.month, '')}")),
            CHANGES,
            headline(incident.figures()),
            _declared(incident.declared),
            _days(incident),
            _worth(incident),
            _most(incident.plays, "country", "Countries", "The countries with the most plays; ZZ is the unknown one."),
            _most(incident.plays, "track_id", "Tracks", "The tracks with the most plays."),
            _withheld(incident.withheld),
        ],
        head=MADE_OF,
    )


def plays_of_incident(incident: IncidentInMonth) -> str:
    """The plays of each day as SVG: all of them, and those that reports count."""
    days = _by_day(incident.plays)
    series = {"all plays": days["plays"].to_list(), "in reports": days["plays_without_spam"].to_list()}
    return curves(days["event_day"].to_list(), series)


def _by_day(plays: pl.DataFrame) -> pl.DataFrame:
    return plays.group_by("event_day").agg(pl.col("plays", "plays_without_spam").sum()).sort("event_day")


def _declared(declared: pl.DataFrame) -> str:
    kinds = declared.group_by("entity_type").agg(entities=pl.col("entity_key").n_unique().cast(pl.Int64))
    windows = (
        declared.group_by("attack_type", "status", "starts_at", "ends_at")
        .agg(entities=pl.struct("entity_type", "entity_key").n_unique().cast(pl.Int64))
        .sort("starts_at", "ends_at", "attack_type", "status")
        .with_columns(pl.col("starts_at", "ends_at").dt.to_string("%Y-%m-%d %H:%M:%S"))
    )
    note = "What experts declared about days of the month: each window in UTC, without its end, and how many entities it holds for."
    head = ("type", "status", "from", "until", "entities")
    body = table(head, listed(windows)) + table(("kind of entity", "number"), listed(kinds.sort("entity_type")))
    return section("Declared", note, body)


def _days(incident: IncidentInMonth) -> str:
    named = _by_day(incident.plays).with_columns(pl.col("event_day").dt.to_string("%Y-%m-%d"))
    note = (
        f"{incident.play_count:,} plays belong to this incident, {incident.play_count_in_reports:,} of them count in reports. "
        "A play belongs to one incident, the most decided of those that it fits."
    )
    body = plays_of_incident(incident) + table(("day", "plays", "in reports"), listed(named))
    return section("Plays", note, body)


def _worth(incident: IncidentInMonth) -> str:
    note = (
        "What these plays are worth to royalties, which count a day once it has settled: earning plays are paid, withheld ones "
        "wait for the incident to be decided, spam and plays of less than 30 seconds are never paid."
    )
    return section(
        "Royalties", note, table(("worth", "plays"), [[name, incident.plays_worth(name)] for name in PLAY_STATUSES])
    )


def _most(plays: pl.DataFrame, name: str, title: str, note: str) -> str:
    totals = plays.group_by(name).agg(pl.col("plays", "plays_without_spam").sum())
    rows = listed(totals.sort("plays", name, descending=[True, False]).head(_MOST_ROWS))
    return section(title, f"{note} {_MOST_ROWS} at most.", table((name, "plays", "in reports"), rows))


def _withheld(withheld: pl.DataFrame) -> str:
    amounts = withheld.sort("currency").iter_rows()
    note = "What the month's statement withholds for this incident under the rule agreed."
    rows = [[currency, Number(as_amount(amount, currency))] for currency, amount in amounts]
    return section("Withheld", note, table(("currency", "amount"), rows))
