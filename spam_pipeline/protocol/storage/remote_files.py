"""Remote files: an fsspec file system as the store uses it, with as few requests as it takes.

What object storage offers is used where it is there: a conditional PUT that appears as a whole, a note beside the bytes, scans of
columns and row groups. Other file systems are written beside and moved. Digests of what was fetched, and local copies, are the
store's matter.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
from fsspec.asyn import sync  # type: ignore[import-untyped]  # it ships no types
from upath import UPath

_PUT_IS_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
"""File systems on which a PUT appears as a whole and can be refused when there is something (`mode="create"`)."""

_S3 = frozenset({"s3", "s3a"})

_NOTE = "sha256"
"""The metadata of an object in which its digest was noted when it was put. An object that takes its place does not have it."""

_CREDENTIALS_LAST_SECONDS = 300
"""Time after which Polars asks again for credentials that expire; botocore renews them a quarter of an hour before."""


class RemoteFiles:
    """Immutable files below a root of some fsspec file system, each named by a path below it and the digest of its bytes."""

    def __init__(self, root: UPath) -> None:
        self._root = root
        self._is_s3 = root.protocol in _S3

    @property
    def protocol(self) -> str:
        """The scheme of the files' URLs."""
        return str(self._root.protocol)

    def url(self, path: str) -> str:
        """The URL of a file."""
        return f"{str(self._root).rstrip('/')}/{path}"

    def put(self, made: Path, path: str, digest: str, *, replacing: bool = False) -> None:
        """Write a file; it appears as a whole. Raises `FileExistsError` when something is there, unless that is to be replaced."""
        target, file_system = self._location(path), self._root.fs
        if self._root.protocol in _PUT_IS_WHOLE:
            noted = {"Metadata": {_NOTE: digest}} if self._is_s3 else {}
            file_system.put_file(str(made), target, mode="overwrite" if replacing else "create", **noted)
            return
        if not replacing and file_system.exists(target):
            raise FileExistsError(target)
        folder, _, name = target.rpartition("/")
        unfinished = f"{folder}/.{uuid4().hex}.{name}"
        file_system.makedirs(folder, exist_ok=True)
        file_system.put_file(str(made), unfinished)
        file_system.mv(unfinished, target)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files, many in one request where the file system can; those that are gone are no error."""
        if self._is_s3:
            self._root.fs.rm([self._location(path) for path in paths])
            return
        for path in paths:
            with suppress(FileNotFoundError):
                self._root.fs.rm_file(self._location(path))

    def fetch(self, path: str, to: Path) -> None:
        """Copy a whole file to this machine. Raises `FileNotFoundError`."""
        self._root.fs.get_file(self._location(path), str(to))

    def read(self, path: str, start: int, end: int) -> bytes:
        """Read some bytes of a file."""
        found: bytes = self._root.fs.cat_file(self._location(path), start=start, end=end)
        return found

    def digest(self, path: str) -> str:
        """Digest the bytes of a file where it lies. Raises `FileNotFoundError`."""
        with self._root.fs.open(self._location(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def vouches_for(self, path: str, digest: str) -> bool:
        """Return True if the object there is the one that was put with this digest; one request. Raises `FileNotFoundError`.

        Only S3 is asked. It keeps the note as long as the object, and checks by itself that bytes stay what they were; whoever
        puts others in their place puts no such note.
        """
        return self._is_s3 and self._root.fs.metadata(self._location(path), refresh=True).get(_NOTE) == digest

    def scan(self, paths: Sequence[str]) -> pl.LazyFrame:
        """Scan Parquet files on S3 where they lie: of each the columns and row groups that the frame turns out to need."""
        return pl.scan_parquet(
            [self.url(path) for path in paths],
            glob=False,
            storage_options=self._polars_options(),
            credential_provider=None if self._root.fs.anon else self._credentials,
        )

    def _location(self, path: str) -> str:
        return f"{self._root.path.rstrip('/')}/{path}"

    def _polars_options(self) -> dict[str, str]:
        """The place of the buckets as Polars names it, from the client that fsspec uses; a region that is not set is found out."""
        self._root.fs.connect()
        client = self._root.fs.s3.meta
        options = {"aws_skip_signature": "true"} if self._root.fs.anon else {}
        if client.region_name and client.region_name != "aws-global":
            options["aws_region"] = client.region_name
        if not client.endpoint_url.endswith(".amazonaws.com"):
            options |= {"aws_endpoint_url": client.endpoint_url, "aws_allow_http": "true"}
        return options

    def _credentials(self) -> tuple[dict[str, str], int | None]:
        """The credentials that fsspec uses, whether it was given them or botocore found them."""
        file_system: Any = self._root.fs
        if file_system.key:
            return _named(file_system.key, file_system.secret, file_system.token), None
        found = sync(file_system.loop, file_system.session.get_credentials)
        frozen = sync(file_system.loop, found.get_frozen_credentials)
        expires = int(time.time()) + _CREDENTIALS_LAST_SECONDS if frozen.token else None
        return _named(frozen.access_key, frozen.secret_key, frozen.token), expires


def modified_at(found: Mapping[str, Any]) -> datetime:
    """The time at which a listed file was written, as its file system says; now, if it does not."""
    said = next((found[name] for name in _TIMES if found.get(name)), datetime.now(UTC))
    if isinstance(said, int | float):
        return datetime.fromtimestamp(said, UTC)
    moment = datetime.fromisoformat(said) if isinstance(said, str) else said
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
"""The names under which file systems list that time, as S3, Azure, local disks, Google Cloud, HTTP and memory do."""


def _named(key: str, secret: str, token: str | None) -> dict[str, str]:
    named = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return {**named, "aws_session_token": token} if token else named
