"""The inputs of a published version: what it read of them is what it was computed from, whatever is published now."""

import polars as pl

from spam_pipeline.protocol import NotPublished, Version
from spam_pipeline.protocol.operating import Engine, InputRef

STATEMENTS = "royalty_statements"


def frame_read(engine: Engine, version: Version, stage: str) -> pl.LazyFrame:
    """All columns of a version's inputs from one stage. Raises `NotPublished` for a version that an earlier release made."""
    if any(not item.is_file and item.upstream not in engine.graph.stages for item in version.inputs):
        raise NotPublished(f"{version.stage} {version.partition} was computed by an earlier release: converge first")
    read = engine.planner.inputs_now(version)
    frame: pl.LazyFrame = engine.reader.load(stage, [item for item in read if item.upstream == stage])
    return frame


def statement_read(engine: Engine, month: str, version: Version) -> Version:
    """The version of a month's statement that a version read. Raises `NotPublished` when it read none that has a line."""
    read = {item.record for item in version.inputs if item.upstream == STATEMENTS}
    versions = engine.ledger.versions(STATEMENTS, month, engine.environment)
    found = next((known for known, _ in versions if known.id in read), None)
    if found is None:
        raise NotPublished(f"the statement of {month} has no lines")
    return found


def reads_the_same(engine: Engine, one: Version, other: Version, stage: str, partition: str) -> bool:
    """Return True if two versions read the same of a partition, whether or not of the same version of it.

    What the first one declares to read of it decides: what else there is may have changed since it was computed.
    """
    mine, theirs = (_read(version, stage, partition) for version in (one, other))
    if mine is None or theirs is None or mine.content == theirs.content:
        return mine is not None and theirs is not None
    columns = engine.graph.columns_read(engine.graph.stages[one.stage], stage, stage)
    versions = engine.ledger.made_by_id({mine.record, theirs.record})
    before, now = (versions[item.record].columns_of(item.part) for item in (mine, theirs))
    return bool(columns and before and now and not now.changed(before, columns))


def _read(version: Version, stage: str, partition: str) -> InputRef | None:
    return next((item for item in version.inputs if (item.upstream, item.partition) == (stage, partition)), None)
