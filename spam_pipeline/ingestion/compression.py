"""Compression: landed bytes as a stream of decompressed pieces of bounded size, whatever the file claims.

Damage ends a stream but does not undo it: the pieces before it have been handed over. The bytes are not interpreted here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import zstandard
from zlib_ng import zlib_ng

_PIECE_BYTES = 1024 * 1024
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
_PADDING = b"\x00"

_NO_SUCH_STREAM = ("incorrect header check", "Unknown frame descriptor")
_PROBLEMS = {
    "too much memory": "has a window larger than 128 MiB (compress with --long=27 or less)",
    "Dictionary": "needs a dictionary (compress without one)",
}
"""What the libraries say of bytes that are no stream, and of whole frames that are not read; anything else is corrupt."""


class Piece(NamedTuple):
    """Decompressed bytes, and the number of landed bytes that gave them."""

    data: bytes
    landed: int


class DamagedStream(Exception):
    """The remainder of a compressed stream cannot be read; the message gives the cause and never quotes the data.

    `is_cut_off` says that the remainder never landed.
    """

    def __init__(self, reason: str, *, is_cut_off: bool = False) -> None:
        super().__init__(reason)
        self.is_cut_off = is_cut_off


def decompressed(raw: BinaryIO, path: str) -> Iterator[Piece]:
    """Yield the decompressed bytes of a file, by the suffix of its `path`: .gz, .zst, or plain for any other.

    Pieces hold at most 32 MiB. NUL bytes behind a finished stream are padding. Raises `DamagedStream` after the last readable piece
    of a truncated or corrupt file, and for one without any stream: nothing was compressed to nothing, so the upload was cut off.
    """
    if path.endswith(".gz"):
        return _unpacked(raw, _GZIP)
    if path.endswith(".zst"):
        return _unpacked(raw, _ZSTD)
    return (Piece(data, len(data)) for data in iter(lambda: raw.read(_PIECE_BYTES), b""))


@dataclass(frozen=True)
class _Format:
    """A compressed format: its name, a new decompressor, and how many landed bytes to decompress at once."""

    name: str
    decompressor: Callable[[], Any]
    step_bytes: int


# Deflate expands at most 1032 times, and one zstd block of four bytes may stand for 128 KiB: a step gives at most 32 MiB.
# zlib-ng takes 0.6 of the time of zlib. isal takes half of it, but accepts reserved flags, and of a cut stream gives less.
_GZIP = _Format("gzip", lambda: zlib_ng.decompressobj(16 + zlib_ng.MAX_WBITS), 16 * 1024)
_ZSTD = _Format("zstd", lambda: zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj(), 1024)


def _unpacked(raw: BinaryIO, packed: _Format) -> Iterator[Piece]:
    """Decompress stream by stream: only then does the end of the file tell a finished one from a truncated one."""
    stream, finished = None, 0
    for step in iter(lambda: raw.read(packed.step_bytes), b""):
        rest = step
        while rest := rest.lstrip(_PADDING) if finished and stream is None else rest:
            stream = stream or packed.decompressor()
            try:
                data = stream.decompress(rest)
            except (zlib_ng.error, zstandard.ZstdError) as error:  # type: ignore[misc]  # zlib-ng declares the class as an instance
                raise DamagedStream(_problem(packed.name, str(error), finished)) from error
            yield Piece(data, len(rest) - len(stream.unused_data))
            rest = stream.unused_data
            if stream.eof:
                stream, finished = None, finished + 1
    if stream is not None or not finished:
        raise DamagedStream(f"the {packed.name} stream is {'truncated' if stream else 'empty'}", is_cut_off=True)


def _problem(name: str, message: str, finished: int) -> str:
    if any(words in message for words in _NO_SUCH_STREAM):
        other = f"the {name} stream is followed by something else"
        return other if finished else f"not a {name} stream, though the file is named like one"
    known = next((problem for words, problem in _PROBLEMS.items() if words in message), "is corrupt")
    return f"the {name} stream {known}"
