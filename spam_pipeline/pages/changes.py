"""What a page says of its own past: the version that it was made of, and what has changed since the one before.

A page of a version is bare: it has places for both, which are filled when it is delivered. So a version is a function of what
it was computed from, and a delivered page can be told apart from another by what stands in it besides.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from spam_pipeline.pages.page_builder import Figures
from spam_pipeline.pages.rendering import rendered

CHANGES = "<!--changes--><!--/changes-->"
"""The place for what has changed. No text of a page can look like it, because what begins a tag is escaped in text."""

_RECIPE = '<meta name="spam-pipeline-version" content="'
MADE_OF = f'{_RECIPE}">'
"""The place for the version that a page was made of."""

_CHANGES = re.compile(r"<!--changes-->.*?<!--/changes-->", re.DOTALL)
_MADE_OF = re.compile(re.escape(_RECIPE) + r'([\w-]*)">')

_NONE = "—"


def delivered_page(bare: str, recipe: str, changes: str = "") -> str:
    """A bare page of the version of `recipe` as it is delivered, with what has changed."""
    made_of = bare.replace(MADE_OF, f'{_RECIPE}{recipe}">', 1)
    return made_of.replace(CHANGES, f"<!--changes-->{changes}<!--/changes-->", 1)


def bare_page(page: str) -> str:
    """The bare page that a delivered one was made of."""
    return _CHANGES.sub(CHANGES, _MADE_OF.sub(MADE_OF, page, count=1), count=1)


def recipe_of(page: str) -> str | None:
    """The recipe of the version that a delivered page was made of; None for anything else."""
    found = _MADE_OF.search(page)
    return found[1] if found else None


def changes_section(month: str, since: datetime, before: Figures, now: Figures, root_causes: Sequence[str]) -> str:
    """What has changed since a page of a month was published, and why, for people who know nothing of versions."""
    was, is_ = dict(before), dict(now)
    rows = [
        [name, was.get(name, _NONE), is_.get(name, _NONE)]
        for name in dict.fromkeys([*is_, *was])
        if was.get(name) != is_.get(name)
    ]
    return str(rendered("templates/changes.html.j2", month=month, since=since, figures=rows, root_causes=root_causes))
