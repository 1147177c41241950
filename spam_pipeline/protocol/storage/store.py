"""The store: immutable files, named by the digest of their bytes.

A file is written under a scratch name, flushed, and put in place only if absent; it is never modified. The ledger
knows which files a version has. A store on object storage keeps local copies in a cache folder,
which may be deleted at any time: a copy is as immutable as the original.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upath import UPath

from spam_pipeline.protocol.foundation.digest import digest_of_file
from spam_pipeline.protocol.foundation.errors import StoreDamaged
from spam_pipeline.protocol.foundation.flushing import flush

_ABANDONED_AFTER_SECONDS = 24 * 3600


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
        if owner_only:
            _close_to_others(self._local_root)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder on the same file system as the store, so that a rename puts a file in place."""
        if self._owner_only:
            self._local_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            yield Path(folder)

    def put(self, made: Path, folder: str) -> str:
        """Move a finished file into `folder` under its digest; return its path below the root. The same bytes are kept once."""
        path = f"{folder}/{digest_of_file(made)}{made.suffix}"
        final = self._local_root / path
        if not self._is_local:
            self._upload(made, path)
        if not final.exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            flush(made)  # before the rename: after a loss of power a name must not lead to missing bytes
            made.chmod(0o400 if self._owner_only else 0o444)
            made.replace(final)
            flush(final.parent)
        return path

    def locate(self, path: str) -> Path:
        """The file's path on this machine; a remote file is copied into the cache first.

        Raises `StoreDamaged` when the store does not have it.
        """
        local = self._local_root / path
        if not local.exists():
            self._download(path, local)
        return local

    def verify(self, path: str) -> None:
        """Raise `StoreDamaged` unless the file's bytes have the digest in its name."""
        found = digest_of_file(self.locate(path))
        if not Path(path).name.startswith(found):
            raise StoreDamaged(f"{path}: its bytes have the digest {found}; restore the file from a copy of the store")

    def sweep(self) -> None:
        """Remove scratch folders that a killed process left behind a day ago or earlier."""
        for folder in self._scratch.glob("*"):
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _upload(self, made: Path, path: str) -> None:
        target = self._root / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{os.getpid()}-{target.name}")
            target.fs.put_file(str(made), unfinished.path)
            target.fs.mv(unfinished.path, target.path)

    def _download(self, path: str, local: Path) -> None:
        remote = self._root / path
        if self._is_local or not remote.exists():
            raise StoreDamaged(f"{path} is missing: restore the file from a copy of the store")
        local.parent.mkdir(parents=True, exist_ok=True)
        with self.scratch() as folder:
            copy = folder / local.name
            remote.fs.get_file(remote.path, str(copy))
            copy.replace(local)


def _close_to_others(folder: Path) -> None:
    """Take a folder of ours away from everybody else: earlier releases left it open to all."""
    if folder.exists() and folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)
