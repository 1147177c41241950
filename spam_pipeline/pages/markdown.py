"""Markdown: text, tables and pictures for places that read it, such as the orchestrator. What is written there does not belong here."""

import re
from base64 import b64encode
from collections.abc import Sequence

_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#!|~&$]")
"""What a picture, a link, emphasis, code or a tag begins with."""


def as_text(words: str) -> str:
    """Words that would be taken for Markdown, such that they are shown as they are: they can hold what people wrote."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(words.split()))


def as_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of plain text under a head."""
    lines = [head, ["---"] * len(head), *([as_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_image(name: str, svg: str) -> str:
    """A drawing with all of it in its address, so that nothing is loaded from anywhere."""
    return f"![{as_text(name)}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
