"""Tables of any data that are no wider than a terminal: long values are cut, and columns left out that do not fit.

A row stays on one line, so that rows can be counted and compared by eye.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size

_GAP = "  "
_NULL = "NULL"
_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?( %)?")
_LEAST = 12
"""Characters that a column keeps: enough to tell most values apart. Columns are left out before others are cut below it."""


class NarrowTable(NamedTuple):
    """A table as lines that fit; `shortened` says what was left out of it, if anything was."""

    head: str
    lines: list[str]
    shortened: str


def narrow_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> NarrowTable:
    r"""Lay out a table in at most `width` characters.

    >>> table = narrow_table(["track", "title"], [("t1", "A title of many words"), ("t2", None)], 20)
    >>> print(table.head, *table.lines, table.shortened, sep="\n")
    track  title
    t1     A title of m…
    t2     NULL
    1 value is cut
    """
    cells = [[_text(value) for value in row] for row in rows]
    natural = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    widths = _widths(natural, width)
    are_numbers = [all(map(_is_number, column)) for column in zip(*cells, strict=True)] or [False] * len(widths)

    def line(texts: Sequence[str]) -> str:
        placed = zip(texts, widths, are_numbers, strict=False)
        return _GAP.join(_placed(text, room, is_number=is_number) for text, room, is_number in placed).rstrip()

    cut = sum(cell_len(text) > room for row in cells for text, room in zip(row, widths, strict=False))
    return NarrowTable(line(columns), [line(row) for row in cells], _shortened(cut, len(widths), len(columns)))


def _widths(natural: Sequence[int], width: int) -> list[int]:
    """The width of each column that is shown: the widest are cut first, then columns are left out from the end."""
    shown = len(natural)
    while shown > 1 and _total([min(size, _LEAST) for size in natural[:shown]]) > width:
        shown -= 1
    widths = list(natural[:shown])
    while _total(widths) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _shortened(cut: int, shown: int, columns: int) -> str:
    parts = [f"{shown} of {columns} columns are shown"] if shown < columns else []
    if cut:
        parts.append("1 value is cut" if cut == 1 else f"{cut:,} values are cut")
    return ", ".join(parts)


def _placed(text: str, room: int, *, is_number: bool) -> str:
    if cell_len(text) > room:
        return set_cell_size(text, room - 1) + "…"
    return text.rjust(room) if is_number else set_cell_size(text, room)


def _is_number(text: str) -> bool:
    return text == _NULL or _NUMBER.fullmatch(text) is not None


def _text(value: Any) -> str:
    """A value on one line, without what would steer a terminal: strangers wrote some of it."""
    if value is None:
        return _NULL
    return "".join(character if character.isprintable() else " " for character in str(value))
