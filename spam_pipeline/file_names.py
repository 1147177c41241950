"""File names: how any text that people chose, such as an id, names a file on any system. Where files lie is not known here."""

import hashlib
import re

_LONGEST_READABLE = 60


def named_after(text: str, otherwise: str) -> str:
    """A name without a suffix: what of the text can stand in one, or else a word, and 16 digits, which tell texts apart."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:_LONGEST_READABLE]
    return f"{readable or otherwise}-{digest[:16]}"
