"""Names that somebody may have meant who typed another one."""

from collections.abc import Iterable
from difflib import get_close_matches

_NEAR = 0.7
"""How alike two names have to be, of 1: `play` and `plays` are alike by 0.89, `plays` and `pools` by 0.6."""


def did_you_mean(name: str, known: Iterable[str], *, near: float = _NEAR) -> str:
    """Ask for the name that is nearest, as the end of a message; nothing where none is near.

    >>> did_you_mean("plyas", ["plays", "tracks"])
    '; did you mean plays?'
    >>> did_you_mean("x", ["plays", "tracks"])
    ''
    """
    found = get_close_matches(name, list(known), n=1, cutoff=near)
    return f"; did you mean {found[0]}?" if found else ""
