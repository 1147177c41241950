"""Room for local copies of remote files: a folder that keeps to a size, from which the least recently used copies go.

Every copy can be fetched again, so that nothing is lost with one. Who makes copies, and checks them, is elsewhere.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

CACHE_BYTES = 5_000_000_000
"""The size that a folder of copies keeps to unless another one is set."""

SCRATCH = ".scratch"
"""The name of folders whose files are being written: they are nobody's copies yet."""

_IN_USE_SECONDS = 3600
"""A copy that was handed out this recently stays, whatever the size: a lazy frame opens its files when it is collected."""

_NOTED_EVERY_SECONDS = 600
"""A use is noted at most this often: noting it changes the times of the file, so that other processes digest it again."""

_NEVER_NS = 0


class _Copy(NamedTuple):
    used_at: float
    bytes: int
    path: Path


class CacheRoom:
    """A folder of copies, shared by processes. It looks at itself again after each tenth of its size was added.

    So N processes may exceed the size by N tenths, and by what was handed out within the last hour.
    """

    def __init__(self, folder: Path, max_bytes: int = CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._folder = folder
        self._added: int | None = None
        self._lock = Lock()

    def added(self, file: Path, *, is_handed_out: bool = True) -> None:
        """Make room after a copy was added. One that nobody was handed yet is the first to go."""
        found = file.stat()
        if not is_handed_out:
            os.utime(file, ns=(_NEVER_NS, found.st_mtime_ns))
        with self._lock:
            is_first = self._added is None
            self._added = (self._added or 0) + found.st_size
            if not is_first and self._added <= self.max_bytes // 10:
                return
            self._added = 0
        self._make_room()

    def used(self, file: Path) -> bool:
        """Note that a copy is handed out; return True if that changed the file's times."""
        found, now = file.stat(), time.time_ns()
        if now - found.st_atime_ns < _NOTED_EVERY_SECONDS * 1_000_000_000:
            return False
        os.utime(file, ns=(now, found.st_mtime_ns))
        return True

    def _make_room(self) -> None:
        copies = sorted(_copies(self._folder))
        total = sum(copy.bytes for copy in copies)
        if total <= self.max_bytes:
            return
        for copy in copies:
            if total <= self.max_bytes * 9 // 10 or copy.used_at > time.time() - _IN_USE_SECONDS:
                break
            copy.path.unlink(missing_ok=True)
            total -= copy.bytes


def _copies(folder: Path) -> Iterator[_Copy]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != SCRATCH]
        for name in names:
            with suppress(FileNotFoundError):
                found = os.stat(os.path.join(path, name), follow_symlinks=False)  # noqa: PTH116, PTH118 - as fast as it gets
                yield _Copy(found.st_atime, found.st_size, Path(path, name))
