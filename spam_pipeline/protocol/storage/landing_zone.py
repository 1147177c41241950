"""The landing zone: its files, the markers that show that one was replaced, and their bytes.

It is a local folder or any fsspec URL. Others land its files; the pipeline only ever writes down people's decisions, each time a
file that appears whole. Sources, and the consequences of a change, are not known here.
"""

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from upath import UPath

from spam_pipeline.protocol.foundation.flushing import flush
from spam_pipeline.protocol.foundation.shown_url import without_credentials
from spam_pipeline.protocol.storage.landed_copies import LandedCopies

_MARKERS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "modified",
    "created",
)
"""Fields of file systems that change when a file is replaced, strongest first: an identifier of the bytes, then a time."""

_BUFFER_BYTES = 1024 * 1024
"""Readers take steps of a kilobyte; a buffer spares a call into the remote file's own cache for each."""


@dataclass(frozen=True)
class FileState:
    """A file as the landing zone has it now. `marker` differs once the file was replaced, even by one of the same size.

    Locally it is the times of modification and of change in nanoseconds, and the inode: a file that is renamed over another one
    may have its size and its time of modification. Remotely it is the strongest one that the file system offers: an ETag rather
    than a time. Where it offers none the marker is empty, and only a change of size is noticed.
    """

    path: str
    size: int
    marker: str


class LandingZone:
    """The files below `url`, a local path or any fsspec URL. Paths are POSIX paths below it.

    With `copies`, remote files that were digested are kept there until they are read.
    """

    def __init__(self, url: str, copies: LandedCopies | None = None) -> None:
        self._root = UPath(url)
        self._copies = copies
        self._is_local = self._root.protocol in ("", "file", "local")

    def __str__(self) -> str:
        """The place as messages name it: without the user and the password that a URL may hold."""
        place = str(self._root.path)
        if self._is_local:
            return place
        return without_credentials(place if "://" in place else f"{self._root.protocol}://{place.lstrip('/')}")

    def exists(self) -> bool:
        """Return True if there is such a folder; a bucket's folder is there while it holds a file."""
        self._root.fs.invalidate_cache()
        return self._root.is_dir()

    def files(self, folder: str = "") -> Iterator[FileState]:
        """Every file below a folder, however deep, in no order, without links; none when there is no such folder."""
        if self._is_local:
            return _local_files(self._location(folder), f"{folder}/" if folder else "")
        return self._remote_files(folder)

    def listing(self, folder: str = "") -> tuple[list[FileState], list[str]]:
        """The files that lie directly in a folder, and the paths of the folders in it; nothing when there is no such folder."""
        below = f"{folder}/" if folder else ""
        if self._is_local:
            return _local_listing(self._location(folder), below)
        start = self._location(below)
        self._root.fs.invalidate_cache()
        try:
            listed = self._root.fs.ls(start.rstrip("/"), detail=True)
        except FileNotFoundError:
            return [], []
        # A folder made by hand is an object of its own in its own listing.
        found = [(name, info) for info in listed if (name := info["name"].rstrip("/")).startswith(start)]
        states = (_remote_state(below + name.removeprefix(start), info) for name, info in found)
        folders = [below + name.removeprefix(start) for name, info in found if info["type"] == "directory"]
        return [state for state in states if state is not None], folders

    def state(self, path: str) -> FileState | None:
        """The file's state at this moment; None when it is not there."""
        try:
            if self._is_local:
                return _local_state(path, os.lstat(self._location(path)))
            self._root.fs.invalidate_cache(self._location(path))
            return _remote_state(path, self._root.fs.info(self._location(path)))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> io.BufferedReader:
        """Open the file's bytes as a stream; a remote file is fetched piece by piece. Raises `FileNotFoundError`."""
        if self._is_local:
            return Path(self._location(path)).open("rb")
        self._root.fs.invalidate_cache(self._location(path))
        return io.BufferedReader(self._root.fs.open(self._location(path), "rb"), _BUFFER_BYTES)

    def digest(self, path: str, size: int | None = None) -> str:
        """The SHA-256 of the file's bytes, of which a copy is kept if there is room for the `size`. Raises `FileNotFoundError`."""
        if self._copies and not self._is_local and size is not None and self._copies.has_room_for(size):
            return self._copies.add(lambda to: self._root.fs.get_file(self._location(path), str(to)))
        with self.open(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def take(self, path: str, digest: str, size: int) -> BinaryIO | None:
        """Open a remote file as it was when it had this digest and size: the kept copy, for the last time, or fetched now as a whole.

        Returns None where no copies are kept, or when the file is gone or another one.
        """
        if self._copies is None or self._is_local:
            return None
        kept = self._copies.take(digest)
        if kept is not None or not self._copies.has_room_for(size):
            return kept
        with suppress(FileNotFoundError):
            self.digest(path, size)
        return self._copies.take(digest)

    def sweep(self) -> None:
        """Remove copies that nobody read within a day."""
        if self._copies:
            self._copies.sweep()

    def names_in(self, folder: str) -> list[str]:
        """The names of the files that lie directly in a folder, in order; hidden ones are left out."""
        location = self._location(folder)
        self._root.fs.invalidate_cache(location)
        try:
            listed = self._root.fs.ls(location, detail=True)
        except FileNotFoundError:
            return []
        names = [info["name"].rpartition("/")[2] for info in listed if info["type"] == "file"]
        return sorted(name for name in names if name and not name.startswith("."))

    def add(self, path: str, content: BinaryIO) -> None:
        """Land a file: after a crash at any point it is there as a whole or not at all.

        Raises `FileExistsError` when something lies there already. Of two that add the same path at once, both may succeed
        where the file system cannot tell, so callers that need to know hold a claim.
        """
        if self.state(path) is not None:
            raise FileExistsError(f"{path} has landed already, and is never replaced")
        if self._is_local:
            _add_locally(Path(self._location(path)), content)
        else:
            self._write_remotely(path, content)

    def replace(self, path: str, content: BinaryIO) -> None:
        """Land a file in the place of the one there, if any: at any point, also after a crash, either of them is there as a whole.

        Of two that replace it at once the last one wins, so callers that build on what was there hold a claim. Raises
        `FileExistsError` when something else lies there, such as a link.
        """
        if self._is_local:
            _replace_locally(Path(self._location(path)), content)
        else:
            self._write_remotely(path, content)

    def _write_remotely(self, path: str, content: BinaryIO) -> None:
        final = self._location(path)
        unfinished = _unfinished(final)
        self._root.fs.makedirs(final.rpartition("/")[0], exist_ok=True)
        with self._root.fs.open(unfinished, "wb") as file:
            shutil.copyfileobj(content, file, _BUFFER_BYTES)
        self._root.fs.mv(unfinished, final)

    def _location(self, path: str) -> str:
        return f"{self._root.path.rstrip('/')}/{path}"

    def _remote_files(self, folder: str) -> Iterator[FileState]:
        file_system = self._root.fs
        file_system.invalidate_cache()
        start = self._location("")
        try:
            listed = file_system.find(self._location(folder).rstrip("/"), detail=True)
        except FileNotFoundError:
            return
        for name, info in listed.items():
            state = _remote_state(name.removeprefix(start), info)
            if state is not None and name.startswith(start):
                yield state


def _unfinished(path: str) -> str:
    """The hidden path beside a file where it is written until it is whole; it belongs to no source and to no other writer."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{uuid4().hex}.{name}"


def _add_locally(path: Path, content: BinaryIO) -> None:
    """Write a file beside its place, flush and link it; a link, unlike a rename, does not replace an existing file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _written_beside(path, content) as unfinished:
        unfinished.chmod(0o444)
        os.link(unfinished, path)
    flush(path.parent)


def _replace_locally(path: Path, content: BinaryIO) -> None:
    """Write a file beside its place, flush and rename it; whoever could edit the old file can edit the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _written_beside(path, content) as unfinished:
        if os.path.lexists(path):
            if not stat.S_ISREG(path.lstat().st_mode):
                raise FileExistsError(f"{path} is there, and is no file")
            shutil.copymode(path, unfinished)
        unfinished.replace(path)
    flush(path.parent)


@contextmanager
def _written_beside(path: Path, content: BinaryIO) -> Iterator[Path]:
    unfinished = Path(_unfinished(str(path)))
    try:
        with unfinished.open("xb") as file:
            shutil.copyfileobj(content, file, _BUFFER_BYTES)
            file.flush()
            os.fsync(file.fileno())
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def _local_files(folder: str, below: str) -> Iterator[FileState]:
    """Walk a folder."""
    files, folders = _local_listing(folder, below)
    yield from files
    for path in folders:
        yield from _local_files(f"{folder}/{path[len(below) :]}", f"{path}/")


def _local_listing(folder: str, below: str) -> tuple[list[FileState], list[str]]:
    """Files and folders in a folder. Only what vanishes meanwhile is skipped: a folder that cannot be read is an error, not an empty one."""
    files, folders = list[FileState](), list[str]()
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except FileNotFoundError:
        return files, folders
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            folders.append(below + entry.name)
            continue
        with suppress(FileNotFoundError):
            state = _local_state(below + entry.name, entry.stat(follow_symlinks=False))
            if state is not None:
                files.append(state)
    return files, folders


def _local_state(path: str, found: os.stat_result) -> FileState | None:
    if not stat.S_ISREG(found.st_mode):
        return None
    return FileState(path, found.st_size, f"{found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}")


def _remote_state(path: str, info: Mapping[str, Any]) -> FileState | None:
    return FileState(path, info["size"], _marker(info)) if info["type"] == "file" else None


def _marker(info: Mapping[str, Any]) -> str:
    """The marker in one spelling: a listing and a query of one file may differ, such as in the quotes around an ETag."""
    value = next((info[name] for name in _MARKERS if info.get(name)), "")
    return str(value.timestamp() if isinstance(value, datetime) else value).strip('"')
