"""Verifying the store: the bytes of every file that a version has are digested, wherever they are kept and whatever was read before.

A convergence checks only what it reads; this is for the rest, and for after a disk gave trouble. `repairing` puts files back.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import Irreparable, StoreDamaged
from spam_pipeline.protocol.foundation.progress import OnProgress, no_progress

_FILES_AT_ONCE = 2
_FILES_PER_STEP = 1_000


@dataclass(frozen=True)
class Verified:
    """The number of files that were digested, those that were put back, and those that are damaged or missing, each with what to do."""

    files: int
    repaired: tuple[str, ...]
    damaged: Mapping[str, str]


def verify(engine: Engine, *, repair: bool, on_progress: OnProgress = no_progress) -> Verified:
    """Digest every file that the ledger refers to; with `repair`, compute what is damaged or missing again and put it back.

    Shards that no version has are not among them: they are decoded again when one is damaged.
    """
    paths = sorted(engine.ledger.stored_files())
    problems = dict(_problems(engine, paths, on_progress))
    repaired, damaged = [], {}
    for path, problem in problems.items():
        if not repair:
            damaged[path] = f"{problem}. {engine.repairs.concerned(path)}"
            continue
        on_progress(f"computing {path} again")
        try:
            engine.repairs.repair(path)
            repaired.append(path)
        except Irreparable as reason:
            damaged[path] = str(reason)
    return Verified(len(paths), tuple(repaired), damaged)


def _problems(engine: Engine, paths: list[str], on_progress: OnProgress) -> Iterator[tuple[str, str]]:
    store, _ = engine.stores

    def problem(path: str) -> str | None:
        try:
            store.verify(path)
        except StoreDamaged as damage:
            return str(damage)
        return None

    with ThreadPoolExecutor(_FILES_AT_ONCE) as readers:
        for number, (path, found) in enumerate(zip(paths, readers.map(problem, paths), strict=True)):
            step = f"verifying {len(paths):,} files" if not number else f"verified {number:,} of {len(paths):,} files"
            on_progress("" if number % _FILES_PER_STEP else step, number, len(paths))
            if found is not None:
                yield path, found
