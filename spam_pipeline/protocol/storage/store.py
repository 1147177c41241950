"""The store: immutable files, named by the digest of their bytes.

A file is written under a scratch name, flushed, and put in place only if what lies there has not the same bytes; it is never
modified. Bytes are believed only when they match their name: they are digested when a process first reads a file, and again once
it has changed. The ledger knows which files a version has, `repairing` computes them again.

A remote store keeps local copies in a cache folder, which may be deleted at any time: a copy is as immutable as the original.
A remote file is fetched as a whole and digested, unless it is large and object storage vouches that it is the one that was put
under its name: then ranges are read where it lies. `remote_files` has the requests, `cache_room` the size of the cache.
"""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import polars as pl
from upath import UPath

from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.foundation.errors import PlaceUnusable, StoreDamaged
from spam_pipeline.protocol.foundation.flushing import flush
from spam_pipeline.protocol.ledger.records import StoredFile
from spam_pipeline.protocol.storage.cache_room import SCRATCH, CacheRoom
from spam_pipeline.protocol.storage.remote_files import RemoteFiles, modified_at

_ABANDONED_AFTER_SECONDS = 24 * 3600

_LARGE_BYTES = 4 * 1024 * 1024
"""A remote file up to this size is fetched whole: the two to five requests that it takes to read some of its columns take longer."""

_FETCHED_AT_ONCE = 8
"""Remote files that are fetched side by side: a small one is all waiting."""

_DIGEST_NAME = re.compile(r"[0-9a-f]{64}\.")
"""The names of stored files; others are those of scratch folders, and of file managers."""

_STORED_NAME = re.compile(r"(\.[0-9a-f]{32}\.)?[0-9a-f]{64}\.")
"""The names of stored files, and of those that are being uploaded to take such a name."""

_LEVELS = 3
"""Folders above a stored file: context, stage and partition."""

_Identity = tuple[int, int, int, int]


class ListedFile(NamedTuple):
    """A file as a listing of the store has it: its path below the root, and when it was written."""

    path: str
    bytes: int
    modified_at: datetime


class Store:
    """Immutable files below `url`, a local path or any fsspec URL; `cache` holds local copies of remote files, in a `room`.

    With `owner_only`, nobody but the owner of the files on this machine reaches them, whatever the umask is.
    """

    def __init__(self, url: str, cache: Path, *, owner_only: bool = False, room: CacheRoom | None = None) -> None:
        self._root = UPath(url)
        is_local = self._root.protocol in ("", "file", "local")
        self._remote = None if is_local else RemoteFiles(self._root)
        self._local_root = Path(self._root.path) if is_local else cache
        self._room = room or CacheRoom(cache)
        self._scratch = self._local_root / SCRATCH
        self._owner_only = owner_only
        self._believed: dict[str, _Identity] = {}
        if owner_only:
            _close_to_others(self._local_root)

    def __str__(self) -> str:
        """The place as messages name it."""
        return str(self._root)

    @property
    def remote(self) -> RemoteFiles | None:
        """The files where they are kept, unless that is on this machine."""
        return self._remote

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder on the same file system as the store, so that a rename puts a file in place.

        Raises `PlaceUnusable` when the disk is full by then, or becomes full inside the block.
        """
        try:
            if self._owner_only:
                self._local_root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
                yield Path(folder)
        except (OSError, pl.exceptions.ComputeError) as error:
            if not _is_for_want_of_room(error):
                raise
            raise PlaceUnusable(
                f"the store {self._local_root} is on a disk that is full: make room, and go on where it was; nothing was lost ({error})"
            ) from error

    def is_empty(self) -> bool:
        """Return True if no file was ever put in place here."""
        return not any(_DIGEST_NAME.match(name) for *_, files in self._root.fs.walk(self._root.path) for name in files)

    def put(self, made: Path, folder: str) -> str:
        """Move a finished file into `folder` under its digest; return its path below the root. The same bytes are kept once.

        Damaged bytes in its place are replaced, in one step.
        """
        found = digest_of_file(made)
        path = f"{folder}/{found}{made.suffix}"
        final = self._local_root / path
        if self._remote:
            self._upload(self._remote, made, path)
        if not final.exists() or not _matches(path, digest_of_file(final)):
            final.parent.mkdir(parents=True, exist_ok=True)
            flush(made)  # before the rename: after a loss of power a name must not lead to missing bytes
            made.chmod(0o400 if self._owner_only else 0o444)
            made.replace(final)
            flush(final.parent)
        if self._remote:
            self._room.added(final, is_handed_out=not self._owner_only)
        self._believed[path] = _identity(final)
        return path

    def locate(self, path: str) -> Path:
        """The file's path on this machine, with the bytes that its name promises; a remote file is copied into the cache first.

        Raises `StoreDamaged` when the store does not have it, or has other bytes.
        """
        local = self._local_root / path
        if not local.exists():
            self._download(path, local)
        elif self._believed.get(path) != _identity(local):
            self._believe(path, local)
        if self._remote and self._room.used(local):
            self._believed[path] = _identity(local)
        return local

    def find(self, files: Sequence[StoredFile], *, repeatedly: bool = False) -> list[Path | None]:
        """The paths of files as `locate` has them; None for a large one on object storage that vouches for it, to be read where it lies.

        Of what is read `repeatedly` more is fetched whole: up to a hundredth of the cache's size. Raises like `locate`.
        """
        if self._remote is None:
            return [self.locate(file.path) for file in files]
        most = max(_LARGE_BYTES, self._room.max_bytes // 100) if repeatedly else _LARGE_BYTES
        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as fetchers:
            return list(fetchers.map(lambda file: self._find(file, most), files))

    def has(self, file: StoredFile) -> bool:
        """Return True if a file is there undamaged, without fetching one that object storage vouches for."""
        if not (self._local_root / file.path).exists() and self._is_kept(file.path):
            return True
        try:
            self.locate(file.path)
        except StoreDamaged:
            return False
        return True

    def scan(self, files: Sequence[StoredFile], *, repeatedly: bool = False) -> pl.LazyFrame:
        """Scan the rows of some files of frames, at least one, one after the other; see `find`. Raises like `locate`."""
        places = zip(files, self.find(files, repeatedly=repeatedly), strict=True)
        frames = [self._scan(list(some)) for _, some in groupby(places, key=lambda placed: placed[1] is None)]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def location(self, path: str) -> str:
        """The place of a file for those who hand it on: a path on this machine, or a URL. It may be damaged or missing."""
        return self._remote.url(path) if self._remote else str(self._local_root / path)

    def original(self, path: str) -> str:
        """The place of a file as people find it, to restore it there."""
        return str(self._root / path)

    def verify(self, path: str) -> None:
        """Digest a file's bytes where they are kept, not a copy, whatever is known of them. Raises like `locate`."""
        try:
            found = self._remote.digest(path) if self._remote else digest_of_file(self._local_root / path)
        except FileNotFoundError:
            raise StoreDamaged(path, "is missing") from None
        _check(path, found)

    def restore(self, path: str) -> bool:
        """Put a remote file back from the copy on this machine; return False if there is none with the right bytes."""
        local = self._local_root / path
        if self._remote is None or not local.exists() or not _matches(path, digest_of_file(local)):
            return False
        self._upload(self._remote, local, path)
        return True

    def listing(self, folder: str = "") -> Iterator[ListedFile]:
        """The files that were put in place below a folder such as `<context>/<stage>`, or at all, and what killed uploads left there; no other file of somebody's."""
        root, file_system = f"{self._root.path.rstrip('/')}/", self._root.fs
        file_system.invalidate_cache()
        with suppress(FileNotFoundError):
            for place, found in file_system.find(f"{root}{folder}".rstrip("/"), detail=True).items():
                path = str(place).removeprefix(root)
                if path.count("/") == _LEVELS and _STORED_NAME.match(path.rsplit("/", 1)[1]):
                    yield ListedFile(path, int(found["size"] or 0), modified_at(found))

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files, and their copies on this machine. Who does knows that nobody has them; those that are gone are no error."""
        if self._remote and paths:
            self._remote.delete(paths)
        for path in paths:
            (self._local_root / path).unlink(missing_ok=True)
            self._believed.pop(path, None)

    def sweep(self) -> None:
        """Remove scratch folders that a killed process left behind a day ago or earlier."""
        for folder in self._scratch.glob("*"):
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _find(self, file: StoredFile, most_bytes: int) -> Path | None:
        is_whole = file.bytes <= most_bytes or (self._local_root / file.path).exists()
        return self.locate(file.path) if is_whole or not self._is_vouched_for(file.path) else None

    def _scan(self, placed: list[tuple[StoredFile, Path | None]]) -> pl.LazyFrame:
        """Scan files that are all on this machine, or none of them."""
        if self._remote and placed[0][1] is None:
            return self._remote.scan([file.path for file, _ in placed])
        return pl.scan_parquet([local for _, local in placed if local], glob=False)

    def _believe(self, path: str, local: Path) -> None:
        """Check the bytes of a file that was not read before or has changed since; a damaged copy is fetched anew."""
        identity = _identity(local)
        found = digest_of_file(local)
        if self._remote and not _matches(path, found):
            self._download(path, local)
            return
        _check(path, found)
        self._believed[path] = identity

    def _is_vouched_for(self, path: str) -> bool:
        try:
            return self._remote is not None and self._remote.vouches_for(path, _digest_in(path))
        except FileNotFoundError:
            raise StoreDamaged(path, "is missing") from None

    def _upload(self, remote: RemoteFiles, made: Path, path: str) -> None:
        """Put a file in its remote place, unless the same bytes are there."""
        if made.stat().st_size > _LARGE_BYTES and self._is_kept(path):
            return  # a large file is refused only once all of it was sent
        try:
            remote.put(made, path, _digest_in(path))
        except FileExistsError:
            if not self._is_kept(path) and not self._has_right_bytes(path):
                remote.put(made, path, _digest_in(path), replacing=True)

    def _is_kept(self, path: str) -> bool:
        try:
            return self._is_vouched_for(path)
        except StoreDamaged:
            return False

    def _has_right_bytes(self, path: str) -> bool:
        try:
            self.verify(path)
        except StoreDamaged:
            return False
        return True

    def _download(self, path: str, local: Path) -> None:
        if self._remote is None:
            raise StoreDamaged(path, "is missing")
        local.parent.mkdir(parents=True, exist_ok=True)
        with self.scratch() as folder:
            copy = folder / local.name
            try:
                self._remote.fetch(path, copy)
            except FileNotFoundError:
                raise StoreDamaged(path, "is missing") from None
            _check(path, digest_of_file(copy))
            copy.replace(local)
        self._believed[path] = _identity(local)
        self._room.added(local)


def _is_for_want_of_room(error: Exception) -> bool:
    """Return True for an error of a full disk, or of a used up quota; Polars tells it in words only."""
    return getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or f"os error {errno.ENOSPC}" in str(error)


def _identity(file: Path) -> _Identity:
    """Whatever of a file changes with its bytes, as far as a file system says."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _check(path: str, found: str) -> None:
    if not _matches(path, found):
        raise StoreDamaged(path, f"has bytes with the digest {found}")


def _matches(path: str, found: str) -> bool:
    return _digest_in(path) == found


def _digest_in(path: str) -> str:
    return Path(path).name.split(".", 1)[0]


def _close_to_others(folder: Path) -> None:
    """Take a folder of ours away from everybody else: earlier releases left it open to all."""
    if folder.exists() and folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)
