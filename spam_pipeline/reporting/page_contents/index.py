"""The contents of the index page, which links to the pages of all months and their incidents."""

from collections.abc import Mapping, Sequence

import polars as pl

from spam_pipeline.pages.page_builder import Contents, Link
from spam_pipeline.reporting.month import COUNTS, WAITS
from spam_pipeline.reporting.page_contents.places import place_of

_OF_INCIDENT = ("status", "plays", "plays in reports")
"""The figures of an incident shown beside its name."""


def indexed_months(pages: pl.DataFrame) -> list[Contents]:
    """Group pages by month, the last month first; `pages` has `month`, `about` and `figures` of all pages."""
    months = sorted(pages["month"].unique(), reverse=True)
    return [_month(pages.filter(pl.col("month") == month)) for month in months]


def _month(pages: pl.DataFrame) -> Contents:
    ordered = pages.sort("about").select("month", "about", "figures").rows()
    month, _, figures = ordered[0]
    values = _values(figures)
    incidents = [(about, _values(figures)) for _, about, figures in ordered if about]
    return {
        "name": month,
        "report": Link(f"Report of {month}", place_of(month, "")),
        "figures": [(name, values[name]) for name in COUNTS if name in values],
        "incidents": [
            [Link(about, place_of(month, about)), *(figures.get(name, "") for name in _OF_INCIDENT)]
            for about, figures in sorted(incidents, key=_what_waits_first)
        ],
    }


def _what_waits_first(incident: tuple[str, Mapping[str, str]]) -> tuple[bool, int, str]:
    """Order incidents by whether they wait for a decision, most plays first."""
    about, figures = incident
    return figures.get("status") != WAITS, -int(figures.get("plays", "0").replace(",", "")), about


def _values(figures: Sequence[dict[str, str]]) -> dict[str, str]:
    return {figure["name"]: figure["value"] for figure in figures}
