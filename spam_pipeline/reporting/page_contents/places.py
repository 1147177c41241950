"""Where pages lie below their folder, and how one leads to another."""

from spam_pipeline.file_names import named_after

INDEX = "index.html"
"""The page that leads to all others."""


def place_of(month: str, about: str) -> str:
    """The path of a month's page, or of the page of an incident in it, whose name can be any text."""
    if not about:
        return f"{month}.html"
    return f"{month}/{named_after(about, otherwise='incident')}.html"
