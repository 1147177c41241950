"""Paths of pages below their folder, and so the targets of links between them."""

from spam_pipeline.file_names import named_after

INDEX = "index.html"
"""The page that links to all others."""


def place_of(month: str, about: str) -> str:
    """Return the path of a month's page, or of the page of an incident in it, whose name can be any text."""
    if not about:
        return f"{month}.html"
    return f"{month}/{named_after(about, otherwise='incident')}.html"
