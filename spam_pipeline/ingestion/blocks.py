"""Blocks: a stream of bytes cut at record boundaries, so that blocks can be decoded independently and in parallel.

Memory is bounded whatever the stream holds. Decoding and validation are elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from spam_pipeline.ingestion.compression import DamagedStream, Piece

BLOCK_BYTES = 16 * 1024 * 1024
LONGEST_RECORD_BYTES = 1024 * 1024

_PADDING = re.compile(rb"\x00+")
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
    """The remainder of a file behind its last readable record, as one record: its number, first bytes, and the reason.

    `read_bytes` of the landed bytes gave the records before it. `is_cut_off` says that the file ends too early, so that more than its
    unread bytes is missing.
    """

    line: int
    raw: bytes
    reason: str
    read_bytes: int
    is_cut_off: bool = False


@dataclass(frozen=True)
class _Filled:
    """How far a stream has been read when a block is full: whether it has ended, the damage that ended it, and its bytes so far."""

    is_last: bool
    damage: DamagedStream | None
    landed: int
    decompressed: int

    def tail(self, number: int, waiting: bytes | bytearray, damage: DamagedStream) -> UnreadableTail:
        """The tail of a file whose last bytes wait in vain; those before gave landed bytes in proportion where they are compressed."""
        read_bytes = self.landed * (self.decompressed - len(waiting)) // max(self.decompressed, 1)
        kept = bytes(waiting[: LONGEST_RECORD_BYTES + 1])
        return UnreadableTail(number, kept, str(damage), read_bytes, damage.is_cut_off)


def blocks_of_lines(pieces: Iterator[Piece], block_bytes: int = BLOCK_BYTES) -> Iterator[Block[bytes] | UnreadableTail]:
    """Cut a stream at line ends. A leading byte order mark is dropped.

    Lines end with LF or CRLF. Where a CR comes first and no LF in the same block, they end with CR, for which blocks have LF.
    A line longer than `LONGEST_RECORD_BYTES` may be truncated, but stays longer than the limit, so that it is rejected.
    """
    waiting, line, line_end = bytearray(), 1, b""
    before = b""  # its lines are counted when there is another block: counting takes as long as all else here
    for filled in _filled(waiting, pieces, block_bytes):
        if not before and waiting.startswith(_BYTE_ORDER_MARK):
            del waiting[: len(_BYTE_ORDER_MARK)]
        line_end = line_end or _line_end(waiting)
        end = len(waiting) if filled.is_last and not filled.damage else waiting.rfind(line_end or b"\n") + 1
        if end:
            data = bytes(memoryview(waiting)[:end])
            data = data.replace(b"\r", b"\n") if line_end == b"\r" else data
            del waiting[:end]
            line += before.count(b"\n")
            before = data
            yield Block(line, data, end)
        if filled.damage:
            yield filled.tail(line + before.count(b"\n"), waiting, filled.damage)
        del waiting[LONGEST_RECORD_BYTES + 1 :]


def _line_end(start: bytearray) -> bytes:
    """What ends the lines of a file that starts with these bytes; nothing as long as that cannot be told."""
    if b"\n" in start:
        return b"\n"
    return b"\r" if b"\r" in start[:-1] else b""  # an LF may still follow the last


def blocks_of_messages(
    pieces: Iterator[Piece], block_bytes: int = BLOCK_BYTES
) -> Iterator[Block[list[bytes]] | UnreadableTail]:
    """Cut a stream of length-delimited messages, each preceded by its length as a varint. Numbers count messages.

    NUL bytes in the place of a length are padding. A length that is no varint or exceeds `LONGEST_RECORD_BYTES` ends the file: no
    later message boundary can be found.
    """
    waiting, first = bytearray(), 1
    for filled in _filled(waiting, pieces, block_bytes):
        messages, end, broken = _messages(bytes(waiting))
        if messages:
            yield Block(first, messages, end)
            first += len(messages)
        del waiting[:end]
        damage = DamagedStream(broken) if broken else filled.damage
        if filled.is_last and waiting and not damage:
            damage = DamagedStream("the last message is cut off", is_cut_off=True)
        if damage:
            yield filled.tail(first, waiting, damage)
            return


def _filled(waiting: bytearray, pieces: Iterator[Piece], block_bytes: int) -> Iterator[_Filled]:
    """Fill `waiting` to the size of a block, again and again until the stream ends.

    A stream of nothing but padding is damaged too: such a file was made, and its content never reached the disk.
    """
    taken = landed = decompressed = 0
    damage: DamagedStream | None = None
    is_filled = False
    try:
        for piece in pieces:
            waiting += piece.data
            taken += piece.landed
            decompressed += len(piece.data)
            landed = taken if piece.data else landed
            is_filled = is_filled or bool(piece.data.strip(b"\x00"))
            if len(waiting) >= block_bytes:
                yield _Filled(is_last=False, damage=None, landed=landed, decompressed=decompressed)
    except DamagedStream as damaged:
        damage = damaged
    if decompressed and not is_filled and not damage:
        landed, damage = 0, DamagedStream("nothing but NUL bytes")
    yield _Filled(is_last=True, damage=damage, landed=landed, decompressed=decompressed)


def _messages(data: bytes) -> tuple[list[bytes], int, str | None]:
    """Return the whole messages at the start of `data`, the end of the last, and the problem with the next length, if any."""
    messages: list[bytes] = []
    position, stop = 0, len(data)
    while position < stop:
        length, start = data[position], position + 1
        if length == 0:
            position = _end_of_padding(data, position)
            continue
        if length >= _VARINT_MORE:
            # Two bytes, as nearly always: a call for each message takes as long as all else here.
            if start < stop and data[start] < _VARINT_MORE:
                length, start = length - _VARINT_MORE | data[start] << _VARINT_BITS, start + 1
            else:
                length, start = _varint(data, position)
        if length > LONGEST_RECORD_BYTES:
            return messages, position, "no readable message length: nothing after it can be found"
        end = start + length
        if end > stop:
            break
        messages.append(data[start:end])
        position = end
    return messages, position, None


def _end_of_padding(data: bytes, position: int) -> int:
    """The end of the NUL bytes at `position`, or `position` where there are none."""
    padding = _PADDING.match(data, position)
    return padding.end() if padding else position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode the varint at `position`; return it and its end.

    One that does not end in `data` is taken for more than is left, and one that does not end in ten bytes for more than a record has.
    """
    value = 0
    stop = min(position + _LONGEST_VARINT_BYTES, len(data))
    for index in range(position, stop):
        byte = data[index]
        value |= (byte & (_VARINT_MORE - 1)) << (_VARINT_BITS * (index - position))
        if byte < _VARINT_MORE:
            return value, index + 1
    is_cut_off = stop - position < _LONGEST_VARINT_BYTES
    return 1 if is_cut_off else LONGEST_RECORD_BYTES + 1, stop
