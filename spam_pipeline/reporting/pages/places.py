"""Where pages lie below their folder, and how one leads to another."""

import hashlib
import re

INDEX = "index.html"
"""The page that leads to all others."""

_LONGEST_READABLE = 60


def place_of(month: str, about: str) -> str:
    """The path of a month's page, or of the page of an incident in it.

    An incident's name can be any text. Its file is named by what of it can stand in a file name on any system, and by a digest,
    which tells names apart.
    """
    if not about:
        return f"{month}.html"
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", about).strip("-")[:_LONGEST_READABLE]
    return f"{month}/{readable or 'incident'}-{digest[:16]}.html"
