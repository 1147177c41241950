"""Observation of the landing zone: its files and the digests of their bytes.

What a source almost has, and what is ahead of the clock, is observed as passed over, with the reason: it is never read, but people
are told. A file is read again only when its size or its marker differ from the last observation. The caller maps paths to sources;
`planning` decides what follows from an observation.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from spam_pipeline.protocol.foundation.errors import LandingVanished
from spam_pipeline.protocol.foundation.partition import WHOLE
from spam_pipeline.protocol.ledger.records import Observation
from spam_pipeline.protocol.storage.landing_zone import LandingZone

Classify = Callable[[str], tuple[str, str] | None]
"""Maps a path below the landing zone's root to its source and partition, to `PASSED_OVER` and why it is, or to None."""

PASSED_OVER = "passed over"
"""The source of paths that no source has though somebody may have meant one; it stands in observations, and no stage reads it."""

NOT_READ = "not read"
"""In place of a digest, for a path that is passed over."""

_BATCH_FILES = 200
_BATCH_BYTES = 1_000_000_000
_FILES_AT_ONCE = 2


def observe(zone: LandingZone, classify: Classify, known: Iterable[Observation]) -> Iterator[list[Observation]]:
    """Observe what has changed since the `known` observations, in batches to be recorded one by one.

    New and replaced files come with their digests, those without a partition first, then oldest paths first; after the last
    of them come the files that have gone. A caller that stops early gets the rest when it observes again. Raises `LandingVanished`
    before the first batch when files are known and none is there.
    """
    before = {item.path: item for item in known}
    now = datetime.now(UTC)
    there = {item.path: item for item in _files(zone, classify, now)}
    remembered = {path: item for path, item in before.items() if item.digest is not None}
    if _read(remembered.values()) and not _read(there.values()):
        raise LandingVanished(
            f"no landed file at {zone}, where {len(_read(remembered.values()))} were known: mount it or make it readable again "
            "(nothing was recorded); to start over with nothing landed, use a new home"
        )
    changed = (item for path, item in there.items() if not _is_same(item, before.get(path)))
    for batch in _batches(sorted(changed, key=lambda item: (item.partition != WHOLE, item.path))):
        yield [_as_known(item, before.get(item.path)) for item in _with_digests(zone, batch)]
    gone = (remembered[path] for path in sorted(remembered.keys() - there.keys()))
    yield from _batches(replace(item, digest=None, observed_at=now, id=0) for item in gone)


def _files(zone: LandingZone, classify: Classify, now: datetime) -> Iterator[Observation]:
    for state in zone.files():
        found = classify(state.path)
        if found is not None:
            path = _printable(state.path) if found[0] == PASSED_OVER else state.path
            yield Observation(*found, path, None, state.size, state.marker, now)


def _printable(path: str) -> str:
    """A path as messages and the ledger take it, whatever its bytes are."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in path)


def _read(items: Iterable[Observation]) -> list[Observation]:
    return [item for item in items if item.source != PASSED_OVER]


def _as_known(item: Observation, before: Observation | None) -> Observation:
    """An observation of known bytes was made when they were first seen: a file that was copied or touched brings nothing new."""
    if before is None or (before.source, before.digest) != (item.source, item.digest):
        return item
    return replace(item, observed_at=before.observed_at)


def _is_same(item: Observation, before: Observation | None) -> bool:
    return before is not None and before.digest is not None and _state(before) == _state(item)


def _state(item: Observation) -> tuple[str, str, int, str]:
    return item.source, item.partition, item.size, item.marker


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


def _with_digests(zone: LandingZone, batch: list[Observation]) -> list[Observation]:
    """The batch without the files that vanished since they were listed.

    A file that was replaced since then gets the new digest with the old marker: it cannot be read until it is
    observed again.
    """
    with ThreadPoolExecutor(_FILES_AT_ONCE) as readers:
        digests = readers.map(lambda item: _digest(zone, item), batch)
        return [replace(item, digest=found) for item, found in zip(batch, digests, strict=True) if found is not None]


def _digest(zone: LandingZone, item: Observation) -> str | None:
    if item.source == PASSED_OVER:
        return NOT_READ
    try:
        return zone.digest(item.path, item.size)
    except FileNotFoundError:
        return None
