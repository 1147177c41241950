"""Blocks: a stream of bytes cut at record boundaries, so that blocks can be decoded independently and in parallel.

Memory is bounded whatever the stream holds. Decoding and validation are elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from spam_pipeline.ingestion.compression import DamagedStream

BLOCK_BYTES = 16 * 1024 * 1024
LONGEST_RECORD_BYTES = 1024 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_VARINT_BITS = 7
_VARINT_MORE = 1 << _VARINT_BITS
_LONGEST_VARINT_BYTES = 10

Data = TypeVar("Data", bytes, list[bytes])


@dataclass(frozen=True)
class Block(Generic[Data]):
    """Whole records and the 1-based number of the first: lines as bytes, messages as a list. `size` is in bytes."""

    first: int
    data: Data
    size: int


@dataclass(frozen=True)
class UnreadableTail:
    """The remainder of a file behind its last readable record, as one record: its number, first bytes, and the reason."""

    line: int
    raw: bytes
    reason: str


def blocks_of_lines(pieces: Iterator[bytes], block_bytes: int = BLOCK_BYTES) -> Iterator[Block[bytes] | UnreadableTail]:
    """Cut a stream at line ends. A leading byte order mark is dropped.

    A line longer than `LONGEST_RECORD_BYTES` may be truncated, but stays longer than the limit, so that it is rejected.
    """
    waiting, line = bytearray(), 1
    for is_last, damage in _filled(waiting, pieces, block_bytes):
        if line == 1 and waiting.startswith(_BYTE_ORDER_MARK):
            del waiting[: len(_BYTE_ORDER_MARK)]
        end = len(waiting) if is_last and not damage else waiting.rfind(b"\n") + 1
        if end:
            data = bytes(memoryview(waiting)[:end])
            del waiting[:end]
            yield Block(line, data, end)
            line += data.count(b"\n")
        del waiting[LONGEST_RECORD_BYTES + 1 :]
        if damage:
            yield UnreadableTail(line, bytes(waiting), damage)


def blocks_of_messages(
    pieces: Iterator[bytes], block_bytes: int = BLOCK_BYTES
) -> Iterator[Block[list[bytes]] | UnreadableTail]:
    """Cut a stream of length-delimited messages, each preceded by its length as a varint. Numbers count messages.

    A length that is no varint or exceeds `LONGEST_RECORD_BYTES` ends the file: no later message boundary can be found.
    """
    waiting, first = bytearray(), 1
    for is_last, damage in _filled(waiting, pieces, block_bytes):
        messages, end, broken = _messages(bytes(waiting))
        if messages:
            yield Block(first, messages, end)
            first += len(messages)
        del waiting[:end]
        lost = broken or damage or ("the last message is cut off" if is_last and waiting else None)
        if lost:
            yield UnreadableTail(first, bytes(waiting[:LONGEST_RECORD_BYTES]), lost)
            return


def _filled(waiting: bytearray, pieces: Iterator[bytes], block_bytes: int) -> Iterator[tuple[bool, str | None]]:
    """Fill `waiting` to the size of a block; yield whether the stream has ended, and the damage that ended it."""
    try:
        for piece in pieces:
            waiting += piece
            if len(waiting) >= block_bytes:
                yield False, None
    except DamagedStream as damage:
        yield True, str(damage)
    else:
        yield True, None


def _messages(data: bytes) -> tuple[list[bytes], int, str | None]:
    """Return the whole messages at the start of `data`, the end of the last, and the problem with the next length, if any."""
    messages: list[bytes] = []
    position = 0
    while position < len(data):
        length, start = _varint(data, position)
        if length is None and start - position < _LONGEST_VARINT_BYTES:
            break
        if length is None or length > LONGEST_RECORD_BYTES:
            return messages, position, "no readable message length: nothing after it can be found"
        if start + length > len(data):
            break
        messages.append(data[start : start + length])
        position = start + length
    return messages, position, None


def _varint(data: bytes, position: int) -> tuple[int | None, int]:
    """Decode the varint at `position`; return it and its end, or None when it ends neither in `data` nor in ten bytes."""
    value = 0
    stop = min(position + _LONGEST_VARINT_BYTES, len(data))
    for index in range(position, stop):
        byte = data[index]
        value |= (byte & (_VARINT_MORE - 1)) << (_VARINT_BITS * (index - position))
        if byte < _VARINT_MORE:
            return value, index + 1
    return None, stop
