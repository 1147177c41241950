"""The inputs of a published version, as it read them, whatever is published of them now."""

import polars as pl

from spam_pipeline.protocol import NotPublished, Version
from spam_pipeline.protocol.operating import Engine

STATEMENTS = "royalty_statements"


def frame_read(engine: Engine, version: Version, stage: str) -> pl.LazyFrame:
    """All columns of a version's inputs from one stage. Raises `NotPublished` for a version that an earlier release made."""
    if any(not item.is_file and item.upstream not in engine.graph.stages for item in version.inputs):
        raise NotPublished(f"{version.stage} {version.partition} was computed by an earlier release: converge first")
    frame: pl.LazyFrame = engine.reader.load(stage, [item for item in version.inputs if item.upstream == stage])
    return frame


def statement_read(engine: Engine, month: str, version: Version) -> Version:
    """The version of a month's statement that a version read. Raises `NotPublished` when it read none that has a line."""
    read = {item.record for item in version.inputs if item.upstream == STATEMENTS}
    versions = engine.ledger.versions(STATEMENTS, month, engine.environment)
    found = next((known for known, _ in versions if known.id in read), None)
    if found is None:
        raise NotPublished(f"the statement of {month} has no lines")
    return found
