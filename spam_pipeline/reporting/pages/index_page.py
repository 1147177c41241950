"""The page that leads to the pages of all months and their incidents."""

from collections.abc import Sequence

import polars as pl

from spam_pipeline.reporting.month import COUNTS
from spam_pipeline.reporting.pages.changes import MADE_OF
from spam_pipeline.reporting.pages.markup import Cell, Link, Number, document, headline, paragraph, section, table
from spam_pipeline.reporting.pages.places import place_of

_OF_INCIDENT = ("plays", "plays in reports")
"""The figures of an incident that stand beside its name and its status."""


def index_page(pages: pl.DataFrame) -> str:
    """The page as HTML; `pages` has `month`, `about` and `figures` of all pages. The last month comes first."""
    months = sorted(pages["month"].unique(), reverse=True)
    sections = [_month(pages.filter(pl.col("month") == month)) for month in months]
    return document("Reports", sections or ["<p>No month is published yet.</p>"], head=MADE_OF)


def _month(pages: pl.DataFrame) -> str:
    ordered = pages.sort("about").select("month", "about", "figures").rows()
    month, _, figures = ordered[0]
    incidents = [(month, about, _values(figures)) for month, about, figures in ordered if about]
    rows: list[Sequence[Cell]] = [
        [
            Link(about, place_of(month, about)),
            values.get("status", ""),
            *(Number(values.get(name, "")) for name in _OF_INCIDENT),
        ]
        for month, about, values in incidents
    ]
    values = _values(figures)
    shown = [(name, values[name]) for name in COUNTS if name in values]
    body = paragraph(Link(f"Report of {month}", place_of(month, ""))) + headline(shown)
    return section(month, "", body + (table(("incident", "status", *_OF_INCIDENT), rows) if rows else ""))


def _values(figures: Sequence[dict[str, str]]) -> dict[str, str]:
    return {figure["name"]: figure["value"] for figure in figures}
