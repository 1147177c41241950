"""The rows of `reports`: every page of a month, with its headline numbers. What stands on a page is in `pages`."""

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.contracts import ReportPages, Reports
from spam_pipeline.reporting.month import Figures, Month
from spam_pipeline.reporting.pages.incident_page import incident_page
from spam_pipeline.reporting.pages.month_page import month_page
from spam_pipeline.reporting.pages.places import place_of
from spam_pipeline.reporting.pages.preview import preview


def pages_of(month: Month) -> pl.LazyFrame:
    """`Reports` of a month."""
    incidents = list(month.incidents_in_it())
    own = (month.name, "", month_page(month, incidents), _structs(month.figures()), preview(month, incidents))
    others = [(month.name, item.incident_id, incident_page(item), _structs(item.figures()), "") for item in incidents]
    return pl.LazyFrame([own, *others], schema=column_types(Reports), orient="row").sort("month", "about")


def places_of(reports: pl.LazyFrame) -> pl.LazyFrame:
    """`ReportPages` of the `month` and `about` of any pages."""
    rows = [
        (month, about, place_of(month, about)) for month, about in reports.select("month", "about").collect().rows()
    ]
    return pl.LazyFrame(rows, schema=column_types(ReportPages), orient="row").sort("month", "about")


def _structs(figures: Figures) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in figures]
