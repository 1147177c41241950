"""What a page says of its own past: the version that it was made of, and what has changed since the one before.

A page of a version is bare: it has places for both, which are filled when it is delivered. So a version is a function of what
it was computed from, and a delivered page can be told apart from another by what stands in it besides.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from markupsafe import Markup

from spam_pipeline.pages.page_builder import Figures
from spam_pipeline.pages.rendering import rendered

CHANGES = "<!--changes--><!--/changes-->"
"""The place for what has changed. No text of a page can look like it, because what begins a tag is escaped in text."""

_RECIPE = '<meta name="spam-pipeline-version" content="'
MADE_OF = f'{_RECIPE}">'
"""The place for the version that a page was made of."""

_PLACES = re.compile(r"<!--(changes|change\d+|state)-->.*?<!--/\1-->", re.DOTALL)
_MADE_OF = re.compile(re.escape(_RECIPE) + r'([\w-]*)">')

_NONE = "—"
_AMOUNT = re.compile(r"(.+) \(([A-Z]{3})\)")
"""The name of an amount of money: what it is, and its currency."""


class Change(NamedTuple):
    """A headline number before and now."""

    name: str
    before: str
    now: str

    @property
    def difference(self) -> str:
        """The difference, with its sign and the decimals of both; empty where one of them is no number.

        >>> Change("plays", "1,010", "9").difference, Change("spam", "5.0%", "5.5%").difference
        ('-1,001', '+0.5 points')
        """
        try:
            before, now = (Decimal(text.replace(",", "").removesuffix("%")) for text in (self.before, self.now))
        except InvalidOperation:
            return ""
        unit = " points" if self.now.endswith("%") else ""
        return f"{now - before:+,}{unit}"


class Changes(NamedTuple):
    """What separates a page from the one that was published before it, and why."""

    month: str
    since: datetime
    before: Figures
    now: Figures
    root_causes: Sequence[str]

    def moved(self) -> list[Change]:
        """The headline numbers that differ, in the order of the page."""
        was, is_ = dict(self.before), dict(self.now)
        names = [name for name in dict.fromkeys([*is_, *was]) if was.get(name) != is_.get(name)]
        return [Change(name, was.get(name, _NONE), is_.get(name, _NONE)) for name in names]


def delivered_page(bare: str, recipe: str, changes: Changes | None = None) -> str:
    """A bare page of the version of `recipe` as it is delivered, with what has changed."""
    page = bare.replace(MADE_OF, f'{_RECIPE}{recipe}">', 1)
    if changes is None:
        return page
    texts = {"changes": _section(changes)} | _beside_figures(changes)
    return _PLACES.sub(lambda place: f"<!--{place[1]}-->{texts.get(place[1], '')}<!--/{place[1]}-->", page)


def bare_page(page: str) -> str:
    """The bare page that a delivered one was made of."""
    return _PLACES.sub(r"<!--\1--><!--/\1-->", _MADE_OF.sub(MADE_OF, page, count=1))


def page_with(page: str, place: str, text: str) -> str:
    """A page with a text in one of its places, whatever stood there."""
    return _PLACES.sub(lambda found: f"<!--{place}-->{text}<!--/{place}-->" if found[1] == place else found[0], page)


def recipe_of(page: str) -> str | None:
    """The recipe of the version that a delivered page was made of; None for anything else."""
    found = _MADE_OF.search(page)
    return found[1] if found else None


def _section(changes: Changes) -> str:
    """What has changed and why, for people who know nothing of versions."""
    moved = [
        (_AMOUNT.fullmatch(change.name), [change.name, change.before, change.now, change.difference])
        for change in changes.moved()
    ]
    values = {
        "month": changes.month,
        "since": changes.since,
        "root_causes": changes.root_causes,
        "numbers": [row for amount, row in moved if amount is None],
        "amounts": [[amount[2], amount[1], *row[1:]] for amount, row in moved if amount],
    }
    return str(rendered("templates/changes.html.j2", **values))


def _beside_figures(changes: Changes) -> dict[str, str]:
    """What each headline number that moved has changed by, or what it was, by its place."""
    moved = {change.name: change.difference or f"was {change.before}" for change in changes.moved()}
    words = Markup('<span class="change">{}</span>')
    return {
        f"change{place}": str(words.format(moved[name])) for place, (name, _) in enumerate(changes.now) if name in moved
    }
