"""Writing: a stage's result becomes immutable files, grouped in parts. Auditing and publishing come later.

The same frame gives the same bytes: the row groups have a stated size and the order of rows is the stage's own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from spam_pipeline.protocol.definition.contract import FRAME_SUFFIX, ArtifactContract
from spam_pipeline.protocol.fingerprint import Frame
from spam_pipeline.protocol.foundation.errors import WrongDefinition
from spam_pipeline.protocol.foundation.partition import WHOLE
from spam_pipeline.protocol.ledger.records import StoredFile
from spam_pipeline.protocol.storage.store import Store

_ROW_GROUP_ROWS = 250_000
"""Stated, because the streaming engine leaves ragged row groups otherwise, and so other bytes each time for the same frame."""

_BATCH_ROWS = 1_000_000
"""Rows of one part that are gathered before they are written; over all parts, at most twice as many."""

Files = dict[str, tuple[StoredFile, ...]]
"""Stored files by the part they belong to."""

Batches = Iterable[tuple[str, pl.DataFrame]]


def write_result(store: Store, folder: str, result: Any) -> Files:
    """Write the frame, or the frames by part, that a stage returned. Raises `WrongDefinition` for anything else."""
    frames = result if isinstance(result, Mapping) else {WHOLE: result}
    with store.scratch() as scratch:
        return {
            part: (_write_frame(store, folder, scratch, _checked(frame)),) for part, frame in sorted(frames.items())
        }


def write_artifact(store: Store, folder: str, value: Any, contract: ArtifactContract) -> Files:
    """Write a result that is no frame, as one row."""
    with store.scratch() as scratch:
        made = scratch / f"artifact{contract.suffix}"
        contract.write(value, made)
        size = made.stat().st_size
        return {WHOLE: (StoredFile(store.put(made, folder), 1, size),)}


def write_batches(store: Store, private: Store, folder: str, batches: Batches, private_parts: frozenset[str]) -> Files:
    """Write batches as they come, in bounded memory; private parts go to a store of their own. Of these every one is returned, written or not."""
    written: dict[str, list[StoredFile]] = defaultdict(list, {part: [] for part in private_parts})
    with private.scratch() as private_scratch, store.scratch() as scratch:
        for part, frame in _gathered(batches):
            place = (private, folder, private_scratch) if part in private_parts else (store, folder, scratch)
            written[part].append(_write_frame(*place, frame))
    return {part: tuple(files) for part, files in sorted(written.items())}


def _gathered(batches: Batches) -> Iterator[tuple[str, pl.DataFrame]]:
    """Join small batches of one part, so that a part has few files and memory stays bounded."""
    waiting: dict[str, list[pl.DataFrame]] = defaultdict(list)
    rows: dict[str, int] = defaultdict(int)
    for part, frame in batches:
        waiting[part].append(frame)
        rows[part] += frame.height
        if rows[part] >= _BATCH_ROWS:
            rows.pop(part)
            yield part, pl.concat(waiting.pop(part))
        elif sum(rows.values()) >= 2 * _BATCH_ROWS:
            largest = max(rows, key=lambda name: rows[name])
            rows.pop(largest)
            yield largest, pl.concat(waiting.pop(largest))
    for part, frames in waiting.items():
        yield part, pl.concat(frames)


def _checked(frame: Any) -> Frame:
    if not isinstance(frame, pl.LazyFrame | pl.DataFrame):
        raise WrongDefinition(f"a stage returns a Polars frame or a mapping of frames, got {type(frame).__name__}")
    return frame


def _write_frame(store: Store, folder: str, scratch: Path, frame: Frame) -> StoredFile:
    made = scratch / f"frame{FRAME_SUFFIX}"
    frame.lazy().sink_parquet(
        made, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP_ROWS, statistics=True
    )
    rows = frame.height if isinstance(frame, pl.DataFrame) else _rows_in(made)
    size = made.stat().st_size
    return StoredFile(store.put(made, folder), rows, size)


def _rows_in(made: Path) -> int:
    return int(pl.scan_parquet(made, glob=False).select(pl.len()).collect().item())
