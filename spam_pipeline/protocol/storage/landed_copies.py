"""Copies of remote landed files between observing and decoding them, so that each is fetched once.

A copy is named by the digest of its bytes and gone once it was taken: landed files name people, and nobody else may read them here
or finds them later. Which files land, and whether they changed, is elsewhere.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.storage.cache_room import SCRATCH, CacheRoom

_ABANDONED_AFTER_SECONDS = 24 * 3600


class LandedCopies:
    """A folder of copies, closed to everybody but its owner. They are the first that go when the `room` is short."""

    def __init__(self, folder: Path, room: CacheRoom) -> None:
        self._folder = folder
        self._room = room

    def has_room_for(self, size: int) -> bool:
        """Return False for a file that would push all others out."""
        return size <= self._room.max_bytes // 10

    def add(self, fetch: Callable[[Path], None]) -> str:
        """Add the file that `fetch` writes to a path, and return its digest. Raises whatever `fetch` raises."""
        scratch = self._folder / SCRATCH
        for folder in (self._folder, scratch):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as unfinished:
            made = Path(unfinished, "landed")
            fetch(made)
            digest = digest_of_file(made)
            copy = made.replace(self._folder / digest)
        self._room.added(copy, is_handed_out=False)
        return digest

    def take(self, digest: str) -> BinaryIO | None:
        """Open the copy with these bytes, which nobody finds from then on; None when there is none."""
        copy = self._folder / digest
        try:
            file = copy.open("rb")
        except FileNotFoundError:
            return None
        copy.unlink(missing_ok=True)
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            file.close()
            return None
        file.seek(0)
        return file

    def sweep(self) -> None:
        """Remove what nobody took within a day."""
        for path in (*self._folder.glob("*"), *(self._folder / SCRATCH).glob("*")):
            if path.name == SCRATCH or time.time() - path.stat().st_mtime < _ABANDONED_AFTER_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
