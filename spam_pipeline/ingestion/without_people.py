"""Landed files without the records of erased people: which records those are, and the file without them.

Records are found as ingestion decodes them, before any rule, so that one that is rejected is found too. All others keep their bytes.
Files are read from streams and written to streams; nothing here knows the landing zone.
"""

import gzip
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any, BinaryIO, Final

import polars as pl
import zstandard

from spam_pipeline.ingestion.blocks import Block, UnreadableTail, blocks_of_lines, blocks_of_messages
from spam_pipeline.ingestion.compression import decompressed
from spam_pipeline.ingestion.csv_rows import Header, Rows, header_of, lines_of, rows_of
from spam_pipeline.ingestion.decode_json import decode_lines
from spam_pipeline.ingestion.decode_protobuf import decode_messages
from spam_pipeline.ingestion.erased_people import ADDRESS, DEVICE, USER, ErasedPeople
from spam_pipeline.ingestion.incidents_file import INCIDENTS_PATH
from spam_pipeline.ingestion.pseudonyms import key_in_text
from spam_pipeline.ingestion.records import Rejection
from spam_pipeline.ingestion.sources import holds_json
from spam_pipeline.ingestion.times import iso_date, rfc_3339_ms

ACCOUNTS_PATH = "reference/accounts.csv"

AnyBlock = Block[bytes] | Block[list[bytes]] | UnreadableTail

_FIELDS: Final = {USER: "user_id", DEVICE: "device_id", ADDRESS: "ip"}
_COLUMNS: Final = {
    ACCOUNTS_PATH: ("user_id", "country", "tier", "created_on"),
    INCIDENTS_PATH: ("incident_id", "status", "attack_type", "entity_type", "entity_id", "starts_at", "ends_at"),
}
"""The required columns of the reference files that name people."""

_VARINT_BITS, _VARINT_MORE = 7, 0x80
_MILLISECONDS = r"^-?[0-9]+$"


def records_of_people(raw: BinaryIO, path: str, people: ErasedPeople) -> frozenset[int]:
    """The numbers of the records (lines, or messages) of a file of plays that are those of erased people.

    Of a damaged file that has any, the remainder that cannot be read is one of them: nobody can tell who is in it.
    """
    found: set[int] = set()
    for block in _blocks(raw, path):
        if not isinstance(block, UnreadableTail):
            found.update(_in_block(block, people))
        elif found or people.in_texts([_text(block.raw)])[0]:
            found.add(block.line)
    return frozenset(found)


def write_without(raw: BinaryIO, path: str, records: Collection[int], to: BinaryIO) -> None:
    """Write a file of plays without some records, compressed as its path says, and without a remainder that cannot be read."""
    with _compressed(to, path) as packed:
        for block in _blocks(raw, path):
            if isinstance(block, UnreadableTail):
                continue
            if isinstance(block.data, bytes):
                packed.write(_lines_without(block.data, block.first, records))
            else:
                messages = enumerate(block.data, start=block.first)
                packed.write(b"".join(_varint(len(one)) + one for number, one in messages if number not in records))


def rows_without_people(content: bytes, path: str, people: ErasedPeople) -> tuple[bytes, int]:
    """A reference file without the rows of erased people, and how many rows those were.

    A line that is no row, and each line of a file whose header cannot be used, goes when a word in it is somebody's id.
    """
    lines = lines_of(content)
    header = header_of(content, lines)
    if header is None:
        return content, 0
    rows = _rows(lines, header, path)
    broken = sorted(rows.broken)
    named = people.in_texts([lines[number - 1] for number in broken])
    erased = {number for number, is_named in zip(broken, named, strict=True) if is_named}
    if rows.cells:
        erased |= _rows_of_people(rows, header, path, people)
    spans = pairwise(sorted({*rows.cells, *rows.broken, len(lines) + 1}))
    gone = {number for first, after in spans if first in erased for number in range(first, after)}
    kept = (line for number, line in enumerate(content.splitlines(keepends=True), start=1) if number not in gone)
    return b"".join(kept) if erased else content, len(erased)


def _blocks(raw: BinaryIO, path: str) -> Iterator[AnyBlock]:
    pieces = decompressed(raw, path)
    yield from blocks_of_lines(pieces) if holds_json(path) else blocks_of_messages(pieces)


def _in_block(block: Block[bytes] | Block[list[bytes]], people: ErasedPeople) -> list[int]:
    decoded = decode_messages(block) if isinstance(block.data, list) else decode_lines(block)
    records, unreadable = decoded.records, decoded.rejections["line"].to_list()
    at_ms = records.select(_occurred_ms()).to_series()
    hits = [people.of_ids(records[field], kind, at_ms) for kind, field in _FIELDS.items()]
    found: list[int] = records.filter(pl.any_horizontal(hits))["line"].to_list()
    if unreadable:
        whole = block.data.split(b"\n") if isinstance(block.data, bytes) else block.data
        named = people.in_texts([_text(whole[line - block.first]) for line in unreadable])
        found += [line for line, is_named in zip(unreadable, named, strict=True) if is_named]
    return found


def _occurred_ms() -> pl.Expr:
    text = pl.col("occurred_at")
    in_milliseconds = pl.when(text.str.contains(_MILLISECONDS)).then(text.cast(pl.Int64, strict=False))
    return pl.coalesce(in_milliseconds, rfc_3339_ms(text))


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _compressed(to: BinaryIO, path: str) -> AbstractContextManager[Any]:
    """A stream that compresses what is written to it; the same bytes each time."""
    if path.endswith(".gz"):
        return gzip.GzipFile(filename="", mode="wb", fileobj=to, mtime=0)
    if path.endswith(".zst"):
        return zstandard.ZstdCompressor().stream_writer(to, closefd=False)
    return nullcontext(to)


def _lines_without(data: bytes, first: int, records: Collection[int]) -> bytes:
    lines = data.split(b"\n")
    if not any(first <= number < first + len(lines) for number in records):
        return data
    kept = [line for number, line in enumerate(lines, start=first) if number not in records]
    return b"\n".join(kept)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= _VARINT_MORE:
        encoded.append(number & (_VARINT_MORE - 1) | _VARINT_MORE)
        number >>= _VARINT_BITS
    return bytes([*encoded, number])


def _rows(lines: list[str], header: Header, path: str) -> Rows:
    """The rows of a file; where its header cannot be used, every line is broken."""
    columns = _COLUMNS[path]
    if header.problem is None and all(header.names.count(name) == 1 for name in columns):
        return rows_of(lines, header, columns)
    return Rows(
        {}, dict.fromkeys(range(header.line, len(lines) + 1), Rejection("of a file whose header cannot be used"))
    )


def _rows_of_people(rows: Rows, header: Header, path: str, people: ErasedPeople) -> set[int]:
    def cells(name: str) -> list[str | None]:
        at = header.names.index(name)
        return [row[at] or None if at < len(row) else None for row in rows.cells.values()]

    is_of_accounts = path == ACCOUNTS_PATH
    ids, starts = ("user_id", "created_on") if is_of_accounts else ("entity_id", "starts_at")
    kinds = [USER] * len(rows.cells) if is_of_accounts else cells("entity_type")
    columns = {"line": list(rows.cells), "kind": kinds, "id": cells(ids), "at": cells(starts)}
    texts = dict.fromkeys(("kind", "id", "at"), pl.String())
    named = pl.DataFrame(columns, schema={"line": pl.Int64(), **texts}).with_columns(at=_ms_of(pl.col("at")))
    found: set[int] = set()
    for kind in _FIELDS:
        some = named.filter(kind=kind)
        keys, at_ms = some.select(key_in_text(pl.col("id"))).to_series(), some["at"]
        hits = people.of_ids(some["id"], kind, at_ms) | people.of_keys(keys, kind, at_ms)
        found.update(some.filter(hits)["line"])
    return found


def _ms_of(text: pl.Expr) -> pl.Expr:
    return pl.coalesce(rfc_3339_ms(text), iso_date(text).cast(pl.Datetime("ms")).dt.epoch("ms"))
