"""The rows of `reports`: every page of a month, with its headline numbers. The contents of pages are in `page_contents`."""

import polars as pl

from spam_pipeline.pages.page_builder import Figures, incident_page, month_page
from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import ReportPages, Reports
from spam_pipeline.reporting.month import Month
from spam_pipeline.reporting.page_contents.incident import contents_of_incident, most_played
from spam_pipeline.reporting.page_contents.month import contents_of_month
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.reporting.page_contents.preview import preview


def pages_of(month: Month) -> pl.LazyFrame:
    """Build the `Reports` of a month."""
    incidents = list(month.incidents_in_it())
    page = month_page(contents_of_month(month, incidents))
    own = (month.name, "", page, _structs(month.figures()), preview(month, incidents))
    titles = month.titles({track for item in incidents for track, *_ in most_played(item)})
    others = [
        (month.name, item.incident_id, incident_page(contents_of_incident(item, titles)), _structs(item.figures()), "")
        for item in incidents
    ]
    return pl.LazyFrame([own, *others], schema=column_types(Reports), orient="row").sort("month", "about")


def places_of(reports: pl.LazyFrame) -> pl.LazyFrame:
    """Build `ReportPages` from the `month` and `about` of any pages."""
    rows = [
        (month, about, place_of(month, about)) for month, about in reports.select("month", "about").collect().rows()
    ]
    return pl.LazyFrame(rows, schema=column_types(ReportPages), orient="row").sort("month", "about")


def _structs(figures: Figures) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in figures]
