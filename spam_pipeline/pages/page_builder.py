"""The page builder: a function for each page of reports, from what stands on it to HTML that needs nothing else.

A page is text that depends on its contents alone, so that equal data is equal bytes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spam_pipeline.pages.plotter import Panel, drawing
from spam_pipeline.pages.rendering import rendered

Figures = Sequence[tuple[str, str]]
"""Headline numbers by name, written out."""


class Link(NamedTuple):
    """Words that lead to another page; `place` is its path seen from this one."""

    words: str
    place: str


Rows = Sequence[Sequence[str | int | Link]]
"""Rows of a table. Integers get their thousands apart; other numbers, such as amounts, are written out already."""

Contents = Mapping[str, str | int | Link | Figures | Rows | Panel | Sequence[str]]
"""What stands on a page, by the names that its template uses; nothing in it is HTML."""


def month_page(contents: Contents) -> str:
    """The page of a month."""
    return str(rendered("templates/month.html.j2", drawing=drawing, **contents))


def incident_page(contents: Contents) -> str:
    """The page of an incident in a month."""
    return str(rendered("templates/incident.html.j2", drawing=drawing, **contents))


def index_page(months: Sequence[Contents]) -> str:
    """The page that leads to those of all months and their incidents."""
    return str(rendered("templates/index.html.j2", months=months))
