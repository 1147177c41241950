"""Compression: landed bytes as a stream of decompressed pieces of bounded size, whatever the file claims.

Damage ends a stream but does not undo it: the pieces before it have been handed over. The bytes are not interpreted here.
"""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

_PIECE_BYTES = 1024 * 1024

# One zstd block of four bytes may stand for 128 KiB, so a step of this many bytes gives at most 32 MiB.
_ZSTD_STEP_BYTES = 1024


class DamagedStream(Exception):
    """The remainder of a compressed stream cannot be read; the message gives the cause and never quotes the data."""


def decompressed(raw: BinaryIO, path: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, by the suffix of its `path`: .gz, .zst, or plain for any other.

    Pieces hold at most 32 MiB. Raises `DamagedStream` after the last readable piece of a truncated or corrupt file.
    """
    if path.endswith(".gz"):
        return _gunzipped(raw)
    if path.endswith(".zst"):
        return _unzstd(raw)
    return iter(lambda: raw.read(_PIECE_BYTES), b"")


def _gunzipped(raw: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=raw) as stream:
        try:
            while piece := stream.read1(_PIECE_BYTES):
                yield piece
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DamagedStream("the gzip stream is truncated or corrupt") from error


def _unzstd(raw: BinaryIO) -> Iterator[bytes]:
    """Decompress frame by frame: only then does the end of the file tell a finished frame from a truncated one."""
    frame = None
    for step in iter(lambda: raw.read(_ZSTD_STEP_BYTES), b""):
        rest = step
        while rest:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                piece = frame.decompress(rest)
            except zstandard.ZstdError as error:
                raise DamagedStream("the zstd stream is corrupt") from error
            if piece:
                yield piece
            rest = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise DamagedStream("the zstd stream is truncated")
