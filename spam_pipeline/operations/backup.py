"""Backup and restore: the store with the ledger's journal, the bytes of rejected records and the landing zone, copied to one place and back.

A backup may be taken while the pipeline runs. The ledger goes first, as the journal beside the store; whatever it names was there before, and files
only ever come to that. A restored ledger is filled from the journal. Nothing that is in a backup is copied there again.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

from upath import UPath

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import JOURNAL, FileState, LandingZone, Ledger, OnProgress, no_progress
from spam_pipeline.settings import Settings

STORE, REJECTED, LANDING = "store", "rejected", "landing"
"""The folders of a backup, one for each place."""

LISTING = "landing.json"
"""The last file of a backup that is written: size, change marker and digest of every landed file, by path."""

_STORED = re.compile(r"(?:[^/]+/)*([0-9a-f]{64})\.[a-z]+")
_HIDDEN = re.compile(r"(?:^|/)\.")
_PROGRESS_FILES = 500


class NoBackup(PipelineError):
    """A place without a backup, or with one that was never finished."""


class NotEmpty(PipelineError):
    """A place that a backup cannot be restored to, because something else is there."""


class WithinItself(PipelineError):
    """A backup that was to be written into what it is a backup of."""


class Landed(NamedTuple):
    """A landed file in a backup. `marker` is that of the original, by which the next backup knows it."""

    size: int
    marker: str
    digest: str


class BackedUp(NamedTuple):
    """What a backup has, and how much of it was copied now."""

    files: int
    copied: int
    copied_bytes: int


class Restored(NamedTuple):
    """What was restored, and the files of the backup that are damaged, which were left out."""

    files: int
    bytes: int
    versions: int
    publications: int
    damaged: tuple[str, ...]


def backup(pipeline: Pipeline, to: str, on_progress: OnProgress = no_progress) -> BackedUp:
    """Copy to a path or URL whatever is not there yet. Killed at any point, the backup before this one is still whole, and the next one goes on.

    Raises `WithinItself`, and `PlaceUnusable`.
    """
    settings = pipeline.settings
    for place in (settings.store, settings.rejected, settings.landing_zone):
        if f"{_absolute(to)}/".startswith(f"{_absolute(place)}/"):
            raise WithinItself(
                f"{LandingZone(to)} lies in {LandingZone(place)}, which is to be backed up: name another place"
            )
    pipeline.engine.journal.export()
    _close_to_others(f"{to}/{REJECTED}")
    counts = _Counts(on_progress, "copied")
    # The journal before the files that it names: what is recorded meanwhile is the next backup's.
    store = LandingZone(settings.store)
    for source, name, folder in (
        (store, STORE, JOURNAL),
        (store, STORE, ""),
        (LandingZone(settings.rejected), REJECTED, ""),
    ):
        _add_missing(source, LandingZone(f"{to}/{name}"), folder, counts)
    listing = dict(_copy_landed(pipeline.landing_zone, LandingZone(f"{to}/{LANDING}"), _listing(to) or {}, counts))
    LandingZone(to).replace(LISTING, io.BytesIO(json.dumps(listing).encode()))
    return BackedUp(counts.files, counts.copied, counts.bytes)


def restore(settings: Settings, source: str, on_progress: OnProgress = no_progress) -> Restored:
    """Copy a backup to the places that the settings name, and fill the ledger from its journal.

    One that was interrupted goes on. Raises `NoBackup`, and `NotEmpty` where a place has anything that is not in the backup.
    """
    listing = _listing(source)
    if listing is None:
        raise NoBackup(f"no finished backup at {LandingZone(source)}: expected a file {LISTING} there")
    settings.home.mkdir(parents=True, exist_ok=True)
    _require_no_record(settings)
    pipeline = Pipeline(settings, from_landing=True)
    stored = [(LandingZone(f"{source}/{name}"), LandingZone(url)) for name, url in _immutable(settings)]
    named = [{state.path: state for state in _stored_files(place, "")} for place, _ in stored]
    for (_, target), files in zip(stored, named, strict=True):
        _require_only(target, files)
    _require_only(pipeline.landing_zone, listing)
    _close_to_others(settings.rejected)
    counts = _Counts(on_progress, "restored")
    damaged = list[str]()
    for (place, target), files in zip(stored, named, strict=True):
        digests = {path: _digest_in(path) for path in files}
        damaged += _put_back(place, digests, {state.path for state in target.files()}, target.add, counts)
    landing, landed = LandingZone(f"{source}/{LANDING}"), pipeline.landing_zone
    digests = {path: item.digest for path, item in listing.items()}
    damaged += _put_back(landing, digests, {state.path for state in landed.files()}, landed.replace, counts)
    versions, publications = pipeline.engine.ledger.exports.counts()
    return Restored(counts.copied, counts.bytes, versions, publications, tuple(damaged))


class _Counts:
    """Files and bytes so far, told now and then."""

    def __init__(self, on_progress: OnProgress, done: str) -> None:
        self.files = self.copied = self.bytes = 0
        self._on_progress = on_progress
        self._done = done

    def met(self) -> None:
        """Count a file that belongs to the backup."""
        self.files += 1

    def did(self, size: int) -> None:
        """Count a file that was copied."""
        self.copied += 1
        self.bytes += size
        if self.copied % _PROGRESS_FILES == 1:
            self._on_progress(f"{self._done} {self.copied:,} files")


def _add_missing(source: LandingZone, target: LandingZone, folder: str, counts: _Counts) -> None:
    """Copy the immutable files below a folder that are not there."""
    there = {state.path: state.size for state in target.files(folder)}
    for state in _stored_files(source, folder):
        if folder or not state.path.startswith(f"{JOURNAL}/"):
            counts.met()
            if there.get(state.path) != state.size:
                with source.open(state.path) as content:
                    target.replace(state.path, content)
                counts.did(state.size)


def _copy_landed(
    source: LandingZone, target: LandingZone, before: Mapping[str, Landed], counts: _Counts
) -> Iterator[tuple[str, Landed]]:
    """Copy the landed files that are new or were replaced since the last backup; yield what the backup then has."""
    there = {state.path: state.size for state in target.files()}
    for state in source.files():
        if _HIDDEN.search(state.path):
            continue
        known = before.get(state.path)
        if known is None or (known.size, known.marker) != (state.size, state.marker) or state.path not in there:
            try:
                with source.open(state.path) as content:
                    digesting = _Digesting(content)
                    target.replace(state.path, digesting)  # type: ignore[arg-type]  # all that is asked of it is to be read
            except FileNotFoundError:  # whoever lands files may take them away meanwhile
                continue
            known = Landed(state.size, state.marker, digesting.digest())
            counts.did(state.size)
        counts.met()
        yield state.path, known


class _Digesting:
    """Bytes that are digested while they are read."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        read = self._content.read(size)
        self._digest.update(read)
        return read

    def digest(self) -> str:
        """The digest of what was read."""
        return self._digest.hexdigest()


def _put_back(
    source: LandingZone,
    digests: Mapping[str, str],
    there: Collection[str],
    put: Callable[[str, BinaryIO], None],
    counts: _Counts,
) -> Iterator[str]:
    """Copy files whose bytes have the digest that they should have; yield the others."""
    for path, digest in digests.items():
        if path in there:
            continue
        try:
            is_right = source.digest(path) == digest
        except FileNotFoundError:
            is_right = False
        if not is_right:
            yield f"{source}/{path}"
            continue
        state = source.state(path)
        with source.open(path) as content:
            put(path, content)
        counts.did(state.size if state else 0)


def _immutable(settings: Settings) -> tuple[tuple[str, str], ...]:
    return ((STORE, settings.store), (REJECTED, settings.rejected))


def _stored_files(place: LandingZone, folder: str) -> Iterator[FileState]:
    """The files whose names are digests; what else is there is in the making."""
    return (state for state in place.files(folder) if _STORED.fullmatch(state.path) and not _HIDDEN.search(state.path))


def _digest_in(path: str) -> str:
    return path.rpartition("/")[2].split(".", 1)[0]


def _listing(backup_url: str) -> dict[str, Landed] | None:
    try:
        with LandingZone(backup_url).open(LISTING) as file:
            listed = {path: Landed(*item) for path, item in json.load(file).items()}
    except FileNotFoundError:
        return None
    if outside := next((path for path in listed if {"", ".", ".."} & set(path.split("/"))), None):
        raise NoBackup(f"{LISTING} names {outside!r}, which is no file below a landing zone")
    return listed


def _require_no_record(settings: Settings) -> None:
    with closing(Ledger(settings.ledger)) as ledger:
        if not ledger.is_empty():
            raise NotEmpty(f"the ledger {ledger} has records: a backup is only restored to places where nothing is")


def _require_only(target: LandingZone, files: Collection[str]) -> None:
    """Raise `NotEmpty` when a place has a file that is not one of these; the others are those of a restore that was interrupted."""
    strange = next(
        (state.path for state in target.files() if state.path not in files and not _HIDDEN.search(state.path)), None
    )
    if strange is not None:
        raise NotEmpty(
            f"{target} has {strange}, which is not in the backup: a backup is only restored to places where nothing is"
        )


def _close_to_others(url: str) -> None:
    """Make a local folder that its owner alone can enter."""
    if (folder := _local(url)) is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _absolute(url: str) -> str:
    return str(_local(url) or url).rstrip("/")


def _local(url: str) -> Path | None:
    place = UPath(url)
    return Path(place.path).resolve() if place.protocol in {"", "file", "local"} else None
