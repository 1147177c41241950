"""File names: any text that people chose, such as an id, as a file name valid on every system. Folders are chosen elsewhere."""

import hashlib
import re

_LONGEST_READABLE = 60


def named_after(text: str, otherwise: str) -> str:
    """Build a name without a suffix: the portable characters of the text, or `otherwise`, and 16 digits of its SHA-256."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:_LONGEST_READABLE]
    return f"{readable or otherwise}-{digest[:16]}"
