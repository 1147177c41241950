"""The page of an incident: what was declared, its plays as reports and royalties count them, and the money that waits for it."""

from typing import NamedTuple

import polars as pl

from spam_pipeline.reporting.pages.markup import Cell, curves, document, listed, section, table
from spam_pipeline.royalties.contracts import EARNING, SHORT, SPAM, WITHHELD

_MOST_ROWS = 20
"""Countries and tracks that a page lists; the rest is in the stages."""

_NOT_YET = "not yet"

_STATUSES = (EARNING, WITHHELD, SPAM, SHORT)


class IncidentFacts(NamedTuple):
    """What is known of an incident, in any order of rows.

    `declared` has the columns of `Incidents`, one row for each entity and window. `plays` has `event_day`, `country`,
    `track_id`, `plays` and `plays_without_spam`; `usage` has `event_day`, `status` and `plays`; `withheld` has `month`,
    `currency` and `amount_minor`, as agreed.
    """

    incident_id: str
    declared: pl.DataFrame
    plays: pl.DataFrame
    usage: pl.DataFrame
    withheld: pl.DataFrame


def incident_page(facts: IncidentFacts) -> str:
    """The page of an incident as HTML. Amounts are minor units of their currency."""
    return document(
        f"Incident {facts.incident_id}",
        [
            _declared(facts.declared),
            _days(facts.plays, facts.usage),
            _most(facts.plays, "country", "Countries", "The countries with the most plays; ZZ is the unknown one."),
            _most(facts.plays, "track_id", "Tracks", "The tracks with the most plays."),
            _withheld(facts.withheld),
        ],
    )


def _declared(declared: pl.DataFrame) -> str:
    kinds = declared.group_by("entity_type").agg(entities=pl.col("entity_key").n_unique().cast(pl.Int64))
    windows = (
        declared.group_by("attack_type", "status", "starts_at", "ends_at")
        .agg(entities=pl.struct("entity_type", "entity_key").n_unique().cast(pl.Int64))
        .sort("starts_at", "ends_at", "attack_type", "status")
        .with_columns(pl.col("starts_at", "ends_at").dt.to_string("%Y-%m-%d %H:%M:%S"))
    )
    note = "What experts declared: each window in UTC, without its end, and how many entities it holds for."
    head = ("type", "status", "from", "until", "entities")
    body = table(head, listed(windows)) + table(("kind of entity", "number"), listed(kinds.sort("entity_type")))
    return section("Declared", note, body)


def _days(plays: pl.DataFrame, usage: pl.DataFrame) -> str:
    statuses = [pl.col("plays").filter(pl.col("status") == status).sum().alias(status) for status in _STATUSES]
    days = (
        plays.group_by("event_day")
        .agg(pl.col("plays", "plays_without_spam").sum())
        .join(usage.group_by("event_day").agg(statuses), on="event_day", how="full", coalesce=True)
        .with_columns(pl.col("plays", "plays_without_spam").fill_null(0))
        .sort("event_day")
    )
    series = {"all plays": days["plays"].to_list(), "in reports": days["plays_without_spam"].to_list()}
    named = days.with_columns(pl.col("event_day").dt.to_string("%Y-%m-%d"))
    rows: list[list[Cell]] = [[_NOT_YET if cell is None else cell for cell in row] for row in named.iter_rows()]
    head = ("day", "plays", "in reports", *(f"royalties: {status}" for status in _STATUSES))
    note = (
        f"{sum(series['all plays']):,} plays belong to this incident, {sum(series['in reports']):,} of them count in reports. "
        "Royalties pay the earning ones, and count a day once it has settled."
    )
    return section("Plays", note, curves(days["event_day"].to_list(), series) + table(head, rows))


def _most(plays: pl.DataFrame, name: str, title: str, note: str) -> str:
    totals = plays.group_by(name).agg(pl.col("plays", "plays_without_spam").sum())
    rows = listed(totals.sort("plays", name, descending=[True, False]).head(_MOST_ROWS))
    return section(title, f"{note} {_MOST_ROWS} at most.", table((name, "plays", "in reports"), rows))


def _withheld(withheld: pl.DataFrame) -> str:
    amounts = withheld.select("month", "currency", "amount_minor").sort("month", "currency")
    rows = listed(amounts)
    note = "What statements withhold for this incident under the rule agreed, in minor units."
    return section("Withheld", note, table(("month", "currency", "amount"), rows))
