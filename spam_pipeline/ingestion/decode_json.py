"""Decoding JSON lines into records; a malformed line costs no other line.

Polars and DuckDB fail a whole read on one bad line, and the lenient modes of both lose its text. So lines whose syntax and
types are proved by a regular expression go through Polars' parser in one call; the others, few in practice, through Python's,
one by one. Both keep the first of repeated names. Values are validated in `event_rules`.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from spam_pipeline.ingestion.blocks import LONGEST_RECORD_BYTES, Block
from spam_pipeline.ingestion.json_grammar import (
    INTEGER_FIELDS,
    flat_object,
    known_fields_only,
    unknown_members,
)
from spam_pipeline.ingestion.records import (
    FIELD_TYPES,
    RECORD_TYPES,
    Decoded,
    Rejection,
    rejection_of,
    rejections_frame,
)

_BLANK = r"^[ \t\r\x0b\x0c]*$"
_PADDING = "\x00 \t\r\x0b\x0c"
_WIDEST = 2**63
_SAMPLE_LINES = 100
_MOST_DIGITS = 100  # Python refuses to convert thousands, and nobody needs more than 19
_UTF8_STEP_BYTES = 64 * 1024

_Members = tuple[tuple[str, Any], ...]
_Lost = tuple[int, Rejection, bytes]


def decode_lines(block: Block[bytes]) -> Decoded:
    """Decode the lines of a block. Blank lines are skipped; numbers are those of physical lines. NUL bytes around a line are padding.

    Unknown fields are counted per record and otherwise ignored.
    """
    lines, lost = _lines(block)
    known, others = _split(lines, known_fields_only()) if _has_no_others(lines) else (lines.clear(), lines)
    flat, others = _split(others, flat_object())
    reparsed, rejections = _reparsed(others.filter(~pl.col("text").str.contains(_BLANK)))
    parsed = [_parsed(known, has_others=False), _parsed(flat, has_others=True), reparsed]
    return Decoded(_in_order_of_lines(parsed), rejections_frame(lost + rejections))


def _has_no_others(lines: pl.DataFrame) -> bool:
    """Whether a client seems to send known fields alone, whose lines match the smaller grammar and need no count of other members."""
    sample = lines.head(_SAMPLE_LINES).select(pl.col("text").str.contains(known_fields_only()))
    return sample.to_series().all()


def _split(lines: pl.DataFrame, grammar: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines that match a grammar, and the others."""
    text = pl.col("text")
    if lines.is_empty():
        return lines, lines
    matches = lines.select(text.str.contains(grammar) & (text.str.len_bytes() <= LONGEST_RECORD_BYTES)).to_series()
    return (lines, lines.clear()) if matches.all() else (lines.filter(matches), lines.filter(~matches))


def _lines(block: Block[bytes]) -> tuple[pl.DataFrame, list[_Lost]]:
    """Split a block into `line` and `text` of its lines, blank ones included, and the lines that are not UTF-8."""
    readable: list[bytes | memoryview] = []
    view, done = memoryview(block.data), 0
    unreadable: list[_Lost] = []
    for line, start, end in _lines_not_utf8(block):
        unreadable.append((line, Rejection("not valid UTF-8"), block.data[start:end].removesuffix(b"\n")))
        readable += [view[done:start], b"\n"]
        done = end
    data = b"".join([*readable, view[done:]]) if readable else block.data
    numbered = pl.read_lines(data, name="text").with_columns(
        line=pl.int_range(block.first, block.first + pl.len(), dtype=pl.Int64)
    )
    if b"\x00" in data:
        numbered = numbered.with_columns(pl.col("text").str.strip_chars(_PADDING))
    return numbered, unreadable


def _lines_not_utf8(block: Block[bytes]) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each line that is not UTF-8. Valid stretches are only scanned."""
    data, view = block.data, memoryview(block.data)
    line, counted, start = block.first, 0, 0
    while start < len(data):
        end = data.find(b"\n", start + _UTF8_STEP_BYTES) + 1 or len(data)
        try:
            str(view[start:end], "utf-8")
        except UnicodeDecodeError as error:
            wrong = data.rfind(b"\n", 0, start + error.start) + 1
            end = data.find(b"\n", wrong) + 1 or len(data)
            line, counted = line + data.count(b"\n", counted, wrong), wrong
            yield line, wrong, end
        start = end


def _in_order_of_lines(frames: list[pl.DataFrame]) -> pl.DataFrame:
    filled = [frame for frame in frames if frame.height]
    return filled[0] if len(filled) == 1 else pl.concat(frames).sort("line")


def _parsed(lines: pl.DataFrame, *, has_others: bool) -> pl.DataFrame:
    """Parse lines that match a grammar."""
    if lines.is_empty():
        return pl.DataFrame(schema=RECORD_TYPES)
    text = lines["text"]
    fields = pl.read_ndjson(text.str.join("\n").cast(pl.Binary).item(), schema=FIELD_TYPES)
    unknown = pl.zeros(lines.height, pl.Int64, eager=True)
    if has_others:
        unknown = unknown_members(text, fields.select(pl.sum_horizontal(pl.all().is_not_null())).to_series())
    return lines.hstack([*fields, unknown.alias("unknown_fields")]).select(
        pl.col("text").cast(pl.Binary).alias(name) if name == "raw" else name for name in RECORD_TYPES
    )


def _reparsed(lines: pl.DataFrame) -> tuple[pl.DataFrame, list[_Lost]]:
    """Parse lines beyond the grammar one by one, into records and rejections."""
    rows: list[tuple[Any, ...]] = []
    rejections: list[_Lost] = []
    for line, text in lines.select("line", "text").iter_rows():
        raw = text.encode()
        found = Rejection("longer than 1 MiB") if len(raw) > LONGEST_RECORD_BYTES else _read(text)
        if isinstance(found, Rejection):
            rejections.append((line, found, raw))
        else:
            rows.append((line, raw, *found))
    columns = zip(*rows, strict=True) if rows else [()] * len(RECORD_TYPES)
    return pl.DataFrame(dict(zip(RECORD_TYPES, columns, strict=True)), schema=RECORD_TYPES), rejections


def _read(text: str) -> Rejection | Sequence[str | int | None]:
    """Return the values of a line in field order and its number of unknown fields, or the reason to reject it."""
    try:
        members = json.loads(text, object_pairs_hook=tuple, parse_int=_integer, parse_constant=_refuse_constant)
    except ValueError:
        return Rejection("not valid JSON")
    except RecursionError:
        return Rejection("nested too deeply")
    if not isinstance(members, tuple):
        return Rejection("expected a JSON object")
    return _values(members)


def _integer(text: str) -> int:
    """An integer; one that is far too large for any field is `_WIDEST`."""
    return int(text) if len(text) <= _MOST_DIGITS else _WIDEST


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _values(members: _Members) -> Rejection | Sequence[str | int | None]:
    found = dict(reversed(members))
    values: list[str | int | None] = []
    for name in FIELD_TYPES:
        value = found.get(name)
        problem = None if value is None else _problem(name, value)
        if problem:
            return rejection_of(name, problem)
        values.append(str(value) if name == "occurred_at" and value is not None else value)
    return [*values, sum(name not in FIELD_TYPES for name, _ in members)]


def _problem(name: str, value: Any) -> str | None:
    """Return the problem with the type of a value, if any."""
    if name == "occurred_at":
        is_text = isinstance(value, str) and not value.lstrip("-").isdecimal() and _is_unicode(value)
        return None if is_text or type(value) is int else "expected RFC 3339 with offset, or integer milliseconds"
    if name not in INTEGER_FIELDS:
        if not isinstance(value, str):
            return "expected a string"
        return None if _is_unicode(value) else "expected a string without lone surrogates"
    if type(value) is not int:  # bool is an int to isinstance
        return "expected an integer"
    return None if -_WIDEST <= value < _WIDEST else "expected an integer of at most 64 bits"


def _is_unicode(value: str) -> bool:
    """Return true unless a string holds lone surrogates, which have no encoding."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
