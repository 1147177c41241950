"""Stored files as a file system of fsspec, for DuckDB: it opens the files that it was given, for reading, and nothing else.

DuckDB's own extension for S3 is downloaded when it is first used, which a closed network refuses, and knows neither what was
checked nor which sizes the ledger has. Here nothing is asked twice: stored files do not change. What is small comes whole from the
store's cache, checked; of the rest, ranges.
"""

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # it ships no types
from typing_extensions import Buffer, override

from spam_pipeline.protocol.ledger.records import StoredFile

ReadRange = Callable[[str, int, int], bytes]
"""Reads the bytes of a stored file, by its path in the store, from a start to an end."""

_WRITTEN_AT = datetime(2000, 1, 1, tzinfo=UTC)
_SHOWN_AT = datetime(2001, 1, 1, tzinfo=UTC)
"""Another time, because DuckDB keeps blocks of a file by its path and time."""


class StoredFileSystem(AbstractFileSystem):  # type: ignore[misc]  # the same
    """The files of some versions by their URLs.

    `find` returns each file on this machine, or None when ranges of it are to be read where it lies; it raises `StoreDamaged`.
    `outdated` are those that were written with other columns than their stage has today.
    """

    cachable = False

    def __init__(
        self,
        protocol: str,
        files: Mapping[str, StoredFile],
        outdated: Collection[str],
        find: Callable[[Sequence[StoredFile]], list[Path | None]],
        read_range: ReadRange,
    ) -> None:
        super().__init__()
        self.protocol = protocol
        self._files = files
        self._outdated = frozenset(outdated)
        self._find_files = find
        self._read_range = read_range
        self._read_in_place: set[str] = set()
        self._shown: dict[str, bytes] = {}
        self.added: tuple[str, ...] = ()

    def require(self, urls: Iterable[str]) -> None:
        """Raise `StoreDamaged` unless all of these files are there and right; small ones are fetched, side by side."""
        self._find([url for url in urls if url not in self._read_in_place])

    def have_present_columns(self, urls: Collection[str]) -> bool:
        """Return True if all of these files were written with the columns that their stage has today."""
        return self._outdated.isdisjoint(urls)

    def add(self, name: str, content: bytes) -> str:
        """Add a file of one's own that is in memory, beside the stored ones; return its URL."""
        url = f"{self.protocol}://.added/{name}"  # no bucket has such a name
        self._shown[url] = content
        self.added += (url,)
        return url

    @contextmanager
    def showing(self, contents: Mapping[str, bytes]) -> Iterator[None]:
        """Show other contents meanwhile, without asking the store for any: DuckDB opens files for their columns alone."""
        before = self._shown
        self._shown = {**before, **contents}
        try:
            yield
        finally:
            self._shown = before

    @override
    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> io.IOBase | mmap:
        if mode != "rb":
            raise PermissionError(f"{path} is a stored file, which is never written")
        if path in self._shown:
            return io.BytesIO(self._shown[path])
        [local] = [None] if path in self._read_in_place else self._find([path])
        return _Ranges(self._file(path), self._read_range) if local is None else _mapped(local)

    @override
    def glob(self, path: str, **_: Any) -> list[str]:
        return [path] if self.exists(path) else []

    @override
    def exists(self, path: str, **_: Any) -> bool:
        return path in self._shown or path in self._files

    @override
    def isfile(self, path: str) -> bool:
        return self.exists(path)

    @override
    def size(self, path: str) -> int:
        return len(self._shown[path]) if path in self._shown else self._file(path).bytes

    @override
    def modified(self, path: str) -> datetime:
        return _SHOWN_AT if path in self._shown else _WRITTEN_AT

    def _find(self, urls: Sequence[str]) -> list[Path | None]:
        found = self._find_files([self._file(url) for url in urls])
        self._read_in_place |= {url for url, place in zip(urls, found, strict=True) if place is None}
        return found

    def _file(self, path: str) -> StoredFile:
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(path) from None


def _mapped(file: Path) -> mmap:
    """A file in memory: DuckDB drops what it opened without closing it. It can be read to its end though it is removed meanwhile."""
    with file.open("rb") as opened:
        return mmap(opened.fileno(), 0, access=ACCESS_READ)


class _Ranges(io.RawIOBase):
    """A file of which each read is a request of its own: DuckDB asks for a footer, then for the column chunks that it needs."""

    def __init__(self, file: StoredFile, read_range: ReadRange) -> None:
        super().__init__()
        self._file = file
        self._read_range = read_range
        self._position = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.bytes}[whence]
        self._position = start + offset
        return self._position

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        end = min(self._position + len(view), self._file.bytes)
        found = self._read_range(self._file.path, self._position, end) if end > self._position else b""
        view[: len(found)] = found
        self._position += len(found)
        return len(found)
