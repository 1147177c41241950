"""A landed file: one observed item of a source, as a stage receives it, with the bytes that were observed or none."""

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from typing_extensions import Buffer, override

from spam_pipeline.protocol.foundation.errors import LandingChanged

_BUFFER_BYTES = 1024 * 1024


class State(Protocol):
    """The present state of a file."""

    @property
    def size(self) -> int:
        """Bytes."""


class Zone(Protocol):
    """The part of a landing zone that a landed file uses."""

    def open(self, path: str) -> io.BufferedReader:
        """Open the bytes of a path. Raises `FileNotFoundError`."""

    def take(self, path: str, digest: str, size: int) -> BinaryIO | None:
        """Open a remote file as it was when it had this digest and size; None when that is not to be had as a whole."""

    def state(self, path: str) -> State | None:
        """The file at a path; None when there is none."""


@dataclass(frozen=True)
class LandedFile:
    """A file of the landing zone, named by its path below the zone's root and by the digest of its bytes when observed.

    `size` (bytes) is that of that moment.
    """

    source: str
    partition: str
    path: str
    digest: str
    size: int
    zone: Zone

    def open(self) -> BinaryIO:
        """Open the raw bytes as a stream, which has to be closed; what was read until then was observed.

        Raises `LandingChanged` when the file is gone or has another size; closing raises it when the bytes have another digest.
        Times alone say nothing: a backup that makes hard links changes them, and some mounts never tell the same ones twice.
        """
        kept = self.zone.take(self.path, self.digest, self.size)
        if kept is not None:
            return kept
        state = self.zone.state(self.path)
        if state is None:
            raise LandingChanged(self.path, "was observed, but is gone")
        if state.size != self.size:
            raise LandingChanged(self.path, "was replaced since it was observed; observe again")
        try:
            return io.BufferedReader(_ObservedBytes(self.zone.open(self.path), self), _BUFFER_BYTES)
        except FileNotFoundError as gone:
            raise LandingChanged(self.path, "was observed, but is gone") from gone


class _ObservedBytes(io.RawIOBase):
    """The bytes of a landed file, digested while they are read: size and time of a file can be kept while its bytes change."""

    def __init__(self, raw: io.BufferedReader, file: LandedFile) -> None:
        super().__init__()
        self._raw = raw
        self._file = file
        self._digest = hashlib.sha256()

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        count = self._raw.readinto(view)
        self._digest.update(view[:count])
        return count

    @override
    def close(self) -> None:
        if self.closed:
            return
        try:
            while rest := self._raw.read(_BUFFER_BYTES):
                self._digest.update(rest)
        finally:
            self._raw.close()
            super().close()
        found = self._digest.hexdigest()
        if found != self._file.digest:
            raise LandingChanged(self._file.path, "has other bytes than those that were observed", found)
