"""Observing the landing zone: which files are there, and the digest of what is in them.

A file is read again only when its size or its time of change differ from the last observation; which source a path belongs
to is told by the caller. Nothing here decides what follows from an observation.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from spam_pipeline.protocol.digest import digest_of_file
from spam_pipeline.protocol.records import Observation

Classify = Callable[[str], tuple[str, str] | None]
"""Tells the source and the partition of a path below the landing zone's root, or None for a path of no source."""


def observe(landing: Path, classify: Classify, known: Iterable[Observation]) -> list[Observation]:
    """What has changed since the `known` observations: new and replaced files with their digests, and files that have gone."""
    before = {item.path: item for item in known}
    now = datetime.now(UTC)
    there = list(_files(landing, classify, now))
    changed = [item for item in there if not _is_same(item, before.get(item.path))]
    gone = before.keys() - {item.path for item in there}
    with ThreadPoolExecutor(max_workers=2) as readers:
        digests = readers.map(lambda item: digest_of_file(landing / item.path), changed)
        seen = [replace(item, digest=digest) for item, digest in zip(changed, digests, strict=True)]
    return seen + [
        replace(before[path], digest=None, observed_at=now, id=0) for path in sorted(gone) if before[path].digest
    ]


def _files(landing: Path, classify: Classify, now: datetime) -> Iterator[Observation]:
    for location in sorted(landing.rglob("*")):
        path = location.relative_to(landing).as_posix()
        found = classify(path)
        if found is not None and location.is_file() and not location.is_symlink():
            state = location.stat()
            yield Observation(*found, path, None, state.st_size, state.st_mtime_ns, now)


def _is_same(item: Observation, before: Observation | None) -> bool:
    return (
        before is not None
        and before.digest is not None
        and (before.size, before.modified) == (item.size, item.modified)
    )
