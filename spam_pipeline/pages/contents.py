"""Contents: the records that pages of reports are made of, with the names that their templates use. Nothing in them is HTML."""

from collections.abc import Sequence
from typing import NamedTuple

from spam_pipeline.pages.plotter import Panel

Figures = Sequence[tuple[str, str]]
"""Headline numbers by name, written out."""


class Link(NamedTuple):
    """Words that lead to another page; `place` is its path seen from this one."""

    words: str
    place: str


Rows = Sequence[Sequence[str | int | Link]]
"""Rows of a table. Integers get their thousands apart; other numbers, such as amounts, are written out already."""


class MonthPage(NamedTuple):
    """A month. `lines`, `payees` and `withheld` have a currency, a name, and an amount for each of `rules`."""

    month: str
    all_months: Link
    figures: Figures
    days: int
    plays: int
    spam: int
    spam_share: str
    plays_by_day: Panel
    most_countries: int
    countries: Rows
    types: Panel
    spam_by_type: Rows
    spam_countries: Panel
    spam_by_country: Rows
    incidents: Rows
    rules: Sequence[str]
    lines: Rows
    most_payees: int
    payees: Rows
    withheld: Rows
    adjustments: Rows


class IncidentPage(NamedTuple):
    """An incident in a month."""

    month: str
    incident_id: str
    report: Link
    figures: Figures
    windows: Rows
    kinds: Rows
    plays: int
    plays_in_reports: int
    plays_by_day: Panel
    days: Rows
    worth: Rows
    most_rows: int
    countries: Rows
    tracks: Rows
    withheld: Rows


class IndexedMonth(NamedTuple):
    """A month in the index."""

    name: str
    report: Link
    figures: Figures
    incidents: Rows
