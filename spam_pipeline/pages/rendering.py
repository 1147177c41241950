"""Rendering: the Jinja2 environment of every page and drawing. What a template is given belongs to the module that names it.

A template is named by its path seen from here, and so is all that templates share: by these strings an edited file makes the
stages stale that render it. Jinja2 is loaded with the first page, because most commands of the terminal render none.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment

_BASE, _PARTS, _STYLE = "templates/base.html.j2", "templates/parts.html.j2", "style.css"

_NO_TEXT = re.compile("[^\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold, and control characters: a drawing is XML, and one such name would make all of it unreadable."""


def rendered(template: str, **values: Any) -> Markup:
    """A template filled with values. Every text among them is escaped unless a template made it; one that is missing is an error."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - the one place where text becomes markup


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - see the module's docstring

    environment = Environment(
        loader=PackageLoader("spam_pipeline.pages", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_readable,
    )
    style = Markup(environment.get_template(_STYLE).render())  # noqa: S704 - a file of this package, with nothing filled in
    digest = b64encode(sha256(style.encode()).digest()).decode()
    environment.globals |= {"base": _BASE, "parts": _PARTS, "style": style, "style_digest": digest}
    return environment


def _readable(value: Any) -> Any:
    """A value as it is, but for characters that no page can show."""
    if isinstance(value, str) and _NO_TEXT.search(value):
        return _NO_TEXT.sub("\ufffd", value)
    return value
