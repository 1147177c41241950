"""The store: immutable files, named by the digest of their bytes.

A file is written under a scratch name, flushed, and put in place only if what lies there has not the same bytes; it is never
modified. Bytes are believed only when they match their name: they are digested when a process first reads a file, and again once
it has changed. The ledger knows which files a version has, `repairing` computes them again. A store on object storage keeps local
copies in a cache folder, which may be deleted at any time: a copy is as immutable as the original.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
from upath import UPath

from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.foundation.errors import PlaceUnusable, StoreDamaged
from spam_pipeline.protocol.foundation.flushing import flush

_ABANDONED_AFTER_SECONDS = 24 * 3600

_DIGEST_NAME = re.compile(r"[0-9a-f]{64}\.")
"""The names of stored files; others are those of scratch folders, and of file managers."""

_Identity = tuple[int, int, int, int]


class Store:
    """Immutable files below `url`, a local path or any fsspec URL; `cache` holds local copies of remote files.

    With `owner_only`, nobody but the owner of the files on this machine reaches them, whatever the umask is.
    """

    def __init__(self, url: str, cache: Path, *, owner_only: bool = False) -> None:
        self._root = UPath(url)
        self._is_local = self._root.protocol in ("", "file", "local")
        self._local_root = Path(self._root.path) if self._is_local else cache
        self._scratch = self._local_root / ".scratch"
        self._owner_only = owner_only
        self._believed: dict[str, _Identity] = {}
        if owner_only:
            _close_to_others(self._local_root)

    def __str__(self) -> str:
        """The place as messages name it."""
        return str(self._root)

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
        path = f"{folder}/{digest_of_file(made)}{made.suffix}"
        final = self._local_root / path
        if not self._is_local:
            self._upload(made, path)
        if not final.exists() or not _matches(path, digest_of_file(final)):
            final.parent.mkdir(parents=True, exist_ok=True)
            flush(made)  # before the rename: after a loss of power a name must not lead to missing bytes
            made.chmod(0o400 if self._owner_only else 0o444)
            made.replace(final)
            flush(final.parent)
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
        return local

    def place(self, path: str) -> Path:
        """The path that a file has on this machine, copied there if it is remote; it may be damaged or missing.

        For those who hand paths on: whoever reads the file asks `locate` first.
        """
        local = self._local_root / path
        if not self._is_local and not local.exists():
            with suppress(StoreDamaged):
                self._download(path, local)
        return local

    def original(self, path: str) -> str:
        """The place of a file as people find it, to restore it there."""
        return str(self._root / path)

    def verify(self, path: str) -> None:
        """Digest a file's bytes where they are kept, not a copy, whatever is known of them. Raises like `locate`."""
        try:
            with self._root.fs.open((self._root / path).path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise StoreDamaged(path, "is missing") from None
        _check(path, found)

    def sweep(self) -> None:
        """Remove scratch folders that a killed process left behind a day ago or earlier."""
        for folder in self._scratch.glob("*"):
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _believe(self, path: str, local: Path) -> None:
        """Check the bytes of a file that was not read before or has changed since; a damaged copy is fetched anew."""
        identity = _identity(local)
        found = digest_of_file(local)
        if not self._is_local and not _matches(path, found):
            self._download(path, local)
            return
        _check(path, found)
        self._believed[path] = identity

    def _upload(self, made: Path, path: str) -> None:
        target = self._root / path
        if not self._has_original(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{os.getpid()}-{target.name}")
            target.fs.put_file(str(made), unfinished.path)
            target.fs.mv(unfinished.path, target.path)

    def _has_original(self, path: str) -> bool:
        try:
            self.verify(path)
        except StoreDamaged:
            return False
        return True

    def _download(self, path: str, local: Path) -> None:
        remote = self._root / path
        if self._is_local or not remote.exists():
            raise StoreDamaged(path, "is missing")
        local.parent.mkdir(parents=True, exist_ok=True)
        with self.scratch() as folder:
            copy = folder / local.name
            remote.fs.get_file(remote.path, str(copy))
            _check(path, digest_of_file(copy))
            copy.replace(local)
        self._believed[path] = _identity(local)


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
    return Path(path).name.split(".", 1)[0] == found


def _close_to_others(folder: Path) -> None:
    """Take a folder of ours away from everybody else: earlier releases left it open to all."""
    if folder.exists() and folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)
