"""Observation of the landing zone: its files and the digests of their bytes.

What a source almost has, and what is ahead of the clock, is observed as passed over, with the reason: it is never read, but people
are told. A file is read again only when its size or its marker differ from the last observation. The caller maps paths to sources;
`looks` chooses where, `planning` decides what follows from an observation.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice

from spam_pipeline.protocol.foundation.errors import LandingVanished
from spam_pipeline.protocol.foundation.partition import WHOLE
from spam_pipeline.protocol.ledger.records import KnownState, Observation
from spam_pipeline.protocol.storage.landing_zone import FileState, LandingZone
from spam_pipeline.protocol.storage.looks import FILES_AT_ONCE, Choose, dated_folder, everything

Classify = Callable[[str], tuple[str, str] | None]
"""Maps a path below the landing zone's root to its source and partition, to `PASSED_OVER` and why it is, or to None."""

PASSED_OVER = "passed over"
"""The source of paths that no source has though somebody may have meant one; it stands in observations, and no stage reads it."""

NOT_READ = "not read"
"""In place of a digest, for a path that is passed over."""

_BATCH_FILES = 200
_BATCH_BYTES = 1_000_000_000
_FILES_AT_ONCE = 2


@dataclass(frozen=True)
class Known:
    """The files that are there by the last observations, as far as they fit into memory.

    `files` is the number of those that a source has, `folders` that of all in each dated folder. `undated` has the states of those that lie in
    none, by path; `below` reads those in a folder, or everywhere for no folder, and `last` the last observations of paths.
    """

    files: int
    folders: Mapping[str, int]
    undated: Mapping[str, KnownState]
    below: Callable[[str], Mapping[str, KnownState]]
    last: Callable[[Collection[str]], Mapping[str, Observation]]


def observe(
    zone: LandingZone, classify: Classify, known: Known, choose: Choose = everything
) -> Iterator[list[Observation]]:
    """Observe what has changed since the `known` observations, in batches to be recorded one by one.

    Only dated folders that are chosen are inspected, and whatever lies in none. New and replaced files come with their digests, those
    in no dated folder first, then folder by folder; after the last of them come paths that are passed over, and the files that have
    gone. A caller that stops early gets the rest when it observes again. Raises `LandingVanished` before the first batch when files are
    known and none is there.
    """
    inspection, scope = _Inspection(classify, known.last, datetime.now(UTC)), _scope(zone, known, choose)
    for batch in _batches(item for place in scope.places for item in inspection.changed(*place)):
        yield _with_digests(zone, batch, inspection.now)
    if known.files and not inspection.is_any_there and not any(inspection.has_source(item) for item in scope.elsewhere):
        raise LandingVanished(
            f"no landed file at {zone}, where {known.files} were known: mount it or make it readable again "
            "(nothing was recorded); to start over with nothing landed, use a new home"
        )
    yield from _batches(inspection.passed_over)
    yield from _batches(inspection.gone(chain(inspection.missing, *(known.below(folder) for folder in scope.lost))))


@dataclass(frozen=True)
class _Scope:
    """What is inspected: places, each with its files and those known there, and known folders that are no more.

    `elsewhere` are the files in all other folders, which are listed only if somebody asks.
    """

    places: Iterable[tuple[Iterable[FileState], Mapping[str, KnownState]]]
    lost: Collection[str] = ()
    elsewhere: Iterable[FileState] = ()


def _scope(zone: LandingZone, known: Known, choose: Choose) -> _Scope:
    if choose is everything and 0 < known.files <= FILES_AT_ONCE:  # one listing is cheaper than one for each folder
        return _Scope([(zone.files(), known.below(""))])
    outside, folders = _outside_of_dated_folders(zone)
    listed = set(folders)
    chosen = set(choose(listed, known.folders))
    # What is known is read before what is there: a file that lands and is recorded meanwhile has not gone.
    inside = ((zone.files(folder), known.below(folder)) for folder in sorted(chosen & listed))
    return _Scope(
        chain([(outside, known.undated)], inside),
        sorted(chosen - listed),
        (state for folder in sorted(listed - chosen) for state in zone.files(folder)),
    )


def _outside_of_dated_folders(zone: LandingZone) -> tuple[list[FileState], list[str]]:
    """The files that lie in no dated folder, and the dated folders."""
    files, dated, waiting = list[FileState](), list[str](), [""]
    while waiting:
        states, folders = zone.listing(waiting.pop())
        files += states
        for folder in folders:
            (dated if dated_folder(f"{folder}/") else waiting).append(folder)
    return files, dated


@dataclass
class _Inspection:
    """One inspection under way, and what it found so far besides what is new or replaced."""

    classify: Classify
    last: Callable[[Collection[str]], Mapping[str, Observation]]
    now: datetime
    is_any_there: bool = False
    passed_over: list[Observation] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def changed(self, files: Iterable[FileState], known: Mapping[str, KnownState]) -> list[Observation]:
        """The new and the replaced files of a place, those without a partition first, then by path; each with the digest that it had.

        With the same bytes as before it brings nothing new, whoever touched it.
        """
        there = self._placed(files)
        self.is_any_there |= any(state.source != PASSED_OVER for state in there.values())
        self.missing += sorted(known.keys() - there.keys())
        changed = {path: state for path, state in there.items() if known.get(path) != state}
        before = self.last(changed.keys() & known.keys())
        found = [self._observation(path, state, before.get(path)) for path, state in changed.items()]
        self.passed_over += [replace(item, digest=NOT_READ) for item in found if item.source == PASSED_OVER]
        return sorted(
            (item for item in found if item.source != PASSED_OVER),
            key=lambda item: (item.partition != WHOLE, item.path),
        )

    def gone(self, paths: Iterable[str]) -> Iterator[Observation]:
        """Observations that files have gone."""
        waiting = iter(paths)
        while some := list(islice(waiting, _BATCH_FILES)):
            for item in self.last(some).values():
                yield replace(item, digest=None, observed_at=self.now, id=0)

    def _observation(self, path: str, state: KnownState, last: Observation | None) -> Observation:
        if last is None or last.source != state.source:
            return Observation(state.source, state.partition, path, None, state.size, state.marker, self.now)
        return replace(last, partition=state.partition, size=state.size, marker=state.marker, id=0)

    def has_source(self, state: FileState) -> bool:
        """Return True if some source has the file."""
        place = self.classify(state.path)
        return place is not None and place[0] != PASSED_OVER

    def _placed(self, files: Iterable[FileState]) -> dict[str, KnownState]:
        found = {}
        for state in files:
            place = self.classify(state.path)
            if place is not None:
                path = _printable(state.path) if place[0] == PASSED_OVER else state.path
                found[path] = KnownState(*place, state.size, state.marker)
        return found


def _printable(path: str) -> str:
    """A path as messages and the ledger take it, whatever its bytes are."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in path)


def _batches(items: Iterable[Observation]) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item.size
        if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _with_digests(zone: LandingZone, batch: list[Observation], now: datetime) -> list[Observation]:
    """The batch without the files that vanished since they were listed; one with the digest that was expected is as old as before.

    A file that was replaced since then gets the new digest with the old marker: it cannot be read until it is
    observed again.
    """
    with ThreadPoolExecutor(_FILES_AT_ONCE) as readers:
        digests = readers.map(lambda item: _digest(zone, item), batch)
        return [
            item if found == item.digest else replace(item, digest=found, observed_at=now)
            for item, found in zip(batch, digests, strict=True)
            if found is not None
        ]


def _digest(zone: LandingZone, item: Observation) -> str | None:
    try:
        return zone.digest(item.path, item.size)
    except FileNotFoundError:
        return None
