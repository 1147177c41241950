"""The page builder: a function for each page of reports, from what stands on it to HTML that needs nothing else.

A page is text that depends on its contents alone, so that equal data is equal bytes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spam_pipeline.pages.plotter import PHONE, drawing
from spam_pipeline.pages.rendering import rendered

Figures = Sequence[tuple[str, str]]
"""Headline numbers by name, written out."""


class Link(NamedTuple):
    """Words that lead to another page; `place` is its path seen from this one."""

    words: str
    place: str


class StackedBar(NamedTuple):
    """A bar in a cell, of parts that follow each other: the `kind` of each, its start and its width in percent."""

    parts: Sequence[tuple[str, float, float]]


Rows = Sequence[Sequence[str | int | Link | StackedBar]]
"""Rows of a table. Integers get their thousands apart; other numbers, such as amounts, are written out already."""

Contents = Mapping[str, object]
"""What stands on a page, by the names that its template uses; nothing in it is HTML."""


def stacked_bar(parts: Mapping[str, int], whole: int) -> StackedBar:
    """Build a bar of parts of a whole: `kept`, `held` and `spam` have colours.

    >>> stacked_bar({"kept": 3, "spam": 1}, 5)
    StackedBar(parts=[('kept', 0.0, 60.0), ('spam', 60.0, 20.0)])
    """
    shares, start = [], 0
    for kind, part in parts.items():
        shares.append((kind, round(100 * start / (whole or 1), 1), round(100 * part / (whole or 1), 1)))
        start += part
    return StackedBar(shares)


def month_page(contents: Contents) -> str:
    """The page of a month."""
    return _page("templates/month.html.j2", contents)


def incident_page(contents: Contents) -> str:
    """The page of an incident in a month."""
    return _page("templates/incident.html.j2", contents)


def index_page(months: Sequence[Contents]) -> str:
    """The page that leads to those of all months and their incidents."""
    return str(rendered("templates/index.html.j2", months=months))


def _page(template: str, contents: Contents) -> str:
    return str(rendered(template, drawing=drawing, phone=PHONE, **contents))
