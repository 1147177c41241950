"""Lists of what versions were computed from, cut into chunks that lists share. The caller has begun the transaction.

A version of the warehouse reads every file of years, and so does the next one, with a day more: kept whole, lists grow with
the square of history. So a long list is cut where its own entries say so, which makes equal runs of entries equal chunks wherever
they lie; a list of chunks is cut in the same way, until one chunk holds the rest. What one more day adds is the chunks
around it: with 17 stages of 1,000 days, about 60 of 2,600. How rows become records is in `versions`.
"""

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.engine import Connection

from spam_pipeline.protocol.ledger.shared_values import digest_of_value, values_of

_UNCUT = 32
"""The most entries of a list that is kept whole: nearly all versions read fewer."""

_CHUNK = 8
"""Entries of a chunk on average. Larger ones repeat more around a change, smaller ones need more levels and more digests."""

_ENTRIES, _CHUNKS = "entries", "chunks"

T = TypeVar("T")


class Entry(NamedTuple):
    """One input as a list keeps it: a part of the version `record`, or the file of the observation `record` if `part` is None."""

    parameter: str
    part: str | None
    record: int


def chunks_of(entries: Sequence[Entry]) -> tuple[bytes, dict[bytes, Any]]:
    """Cut a list; return the digest that names it, and the values of all chunks by their digests.

    >>> days = [Entry("plays", "all", day) for day in range(1000)]
    >>> (_, before), (_, after) = chunks_of(days), chunks_of([*days, Entry("plays", "all", 1000)])
    >>> len(before) > 100, len(after.keys() - before.keys()) < 10
    (True, True)
    """
    chunks: dict[bytes, Any] = {}
    level = _keep(
        chunks,
        _ENTRIES,
        _cut(entries, lambda entry: zlib.crc32(f"{entry.parameter} {entry.part} {entry.record}".encode())),
    )
    while len(level) > 1:
        level = _keep(chunks, _CHUNKS, _cut([key.hex() for key in level], lambda key: int(key[-8:], 16)))
    return level[0], chunks


def _keep(chunks: dict[bytes, Any], kind: str, groups: Iterable[Sequence[Any]]) -> list[bytes]:
    values = [{kind: group} for group in groups]
    found = [digest_of_value(value) for value in values]
    chunks.update(zip(found, values, strict=True))
    return found


def _cut(items: Sequence[T], number: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut after each item whose number is a multiple of `_CHUNK`. A group has at least two items, so that levels get shorter."""
    group: list[T] = []
    for item in items:
        group.append(item)
        if len(items) > _UNCUT and len(group) > 1 and number(item) % _CHUNK == 0:
            yield group
            group = []
    if group or not items:
        yield group


def lists_of(connection: Connection, names: Collection[bytes]) -> dict[bytes, list[Entry]]:
    """The entries of some lists, by the digests that name them."""
    chunks = chunks_below(connection, names)
    return {name: list(_entries(name, chunks)) for name in names}


def chunks_below(connection: Connection, names: Iterable[bytes], known: Collection[bytes] = ()) -> dict[bytes, Any]:
    """The chunks of some lists, by their digests, without `known` ones and what these hold."""
    found: dict[bytes, Any] = {}
    missing = set(names).difference(known)
    while missing:
        level = values_of(connection, missing)
        found |= level
        missing = {key for value in level.values() for key in held(value)}.difference(known, found)
    return found


def held(chunk: Mapping[str, Any]) -> list[bytes]:
    """The digests of the chunks that a chunk holds."""
    return [bytes.fromhex(key) for key in chunk.get(_CHUNKS, ())]


def own_entries(chunk: Mapping[str, Any]) -> list[Entry]:
    """The entries that a chunk holds itself."""
    return [Entry(*entry) for entry in chunk.get(_ENTRIES, ())]


def _entries(name: bytes, chunks: Mapping[bytes, Any]) -> Iterator[Entry]:
    yield from own_entries(chunks[name])
    for key in held(chunks[name]):
        yield from _entries(key, chunks)
