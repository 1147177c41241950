"""The page builder: a function for each page of reports, from its record to HTML that needs nothing else.

A page is text that depends on its record alone, so that equal data is equal bytes.
"""

from collections.abc import Sequence
from typing import Any

from spam_pipeline.pages.changes import CHANGES, MADE_OF
from spam_pipeline.pages.contents import IncidentPage, IndexedMonth, MonthPage
from spam_pipeline.pages.plotter import drawing
from spam_pipeline.pages.rendering import rendered


def month_page(page: MonthPage) -> str:
    """The page of a month."""
    return _bare_page("templates/month.html.j2", page=page)


def incident_page(page: IncidentPage) -> str:
    """The page of an incident in a month."""
    return _bare_page("templates/incident.html.j2", page=page)


def index_page(months: Sequence[IndexedMonth]) -> str:
    """The page that leads to those of all months and their incidents."""
    return _bare_page("templates/index.html.j2", months=months)


def _bare_page(template: str, **values: Any) -> str:
    """A page with a place for the version that it was made of, and one for what has changed."""
    return str(rendered(template, made_of=MADE_OF, changes=CHANGES, drawing=drawing, **values))
