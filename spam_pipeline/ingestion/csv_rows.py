"""Rows of a CSV file: which of its lines are a row, and which ones cannot be one. No line is lost, and none is guessed at.

RFC 4180, strictly where quotes are concerned, because a quote that is misunderstood swallows the rows behind it. What the values
mean is decided in `csv_tables`.
"""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from spam_pipeline.ingestion.records import Rejection

_BLANK = "\x00 \t\r\n"
_WIDE_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_PROBLEMS = {
    "unexpected end of data": "a quote that is not closed on its line, nor on lines behind it that are no rows",
    "expected after": "text behind a closing quote; a quote within quotes is doubled",
    "field larger": "a value longer than 128 KiB in quotes",
}
"""What the parser says of a row that it cannot read, and what that means for whoever wrote it."""


@dataclass(frozen=True)
class Header:
    """The names of the columns, the line where they are, and why they cannot be read if they cannot."""

    names: Sequence[str]
    line: int
    problem: Rejection | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of a file by the line where they begin: their cells, as many as the header has or fewer, or why they are none.

    Bytes that are no UTF-8 are lone surrogates in the cells.
    """

    cells: dict[int, list[str]]
    broken: dict[int, Rejection]


def lines_of(content: bytes) -> list[str]:
    """Split a file at LF, CRLF and CR, without a byte order mark and NUL bytes around a line."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    lines = list(io.StringIO(text, newline=""))
    return list(map(_unpadded, lines)) if "\x00" in text else lines


def _unpadded(line: str) -> str:
    text = line.rstrip("\r\n")
    return text.strip("\x00") + line[len(text) :]


def header_of(content: bytes, lines: Sequence[str]) -> Header | None:
    """Read the first line that is not blank; None when there is none."""
    if content.startswith(_WIDE_ENCODINGS):
        return Header((), 1, Rejection("encoded in UTF-16 or UTF-32, expected UTF-8"))
    at = next((number for number, line in enumerate(lines) if line.strip(_BLANK)), None)
    if at is None:
        return None
    names, _ = _row(lines[: at + 1], at, 0)
    return Header((), at + 1, names) if isinstance(names, Rejection) else Header(names, at + 1)


def rows_of(lines: Sequence[str], header: Header, required: Collection[str]) -> Rows:
    """Read the lines behind the header. Blank lines, and those without any value, are nothing.

    A value in quotes goes on to the next lines only if none of these could be a row itself, having a cell for each `required` column;
    otherwise the line with the quote is broken, and the others are read on their own.
    """
    enough = 1 + max(header.names.index(name) for name in required)
    cells: dict[int, list[str]] = {}
    broken: dict[int, Rejection] = {}
    at = header.line
    while at < len(lines):
        row, taken = _row(lines, at, enough)
        if isinstance(row, Rejection):
            broken[at + 1] = row
        elif len(row) > len(header.names):
            broken[at + 1] = Rejection(f"{len(row)} values, the header has {len(header.names)}")
        elif any(row) and lines[at].strip(_BLANK):
            cells[at + 1] = row
        at += taken
    return Rows(cells, broken)


def _row(lines: Sequence[str], at: int, enough: int) -> tuple[list[str] | Rejection, int]:
    """The cells of the row that begins at an index, or the reason why there is none; and how many lines it takes."""
    if '"' not in lines[at]:
        return lines[at].rstrip("\r\n").split(","), 1
    reader = csv.reader(_lines_of_row(lines, at, enough), strict=True)
    try:
        return next(reader), reader.line_num
    except csv.Error as error:
        return Rejection(next((problem for words, problem in _PROBLEMS.items() if words in str(error)), "not CSV")), 1


def _lines_of_row(lines: Sequence[str], at: int, enough: int) -> Iterator[str]:
    """The line at an index, and those behind it up to one that could be a row itself."""
    yield lines[at]
    for number in range(at + 1, len(lines)):
        if lines[number].count(",") + 1 >= enough:
            return
        yield lines[number]
