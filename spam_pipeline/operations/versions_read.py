"""What a published version was made from: other versions, as it read them, whatever is published of them now."""

import polars as pl

from spam_pipeline.protocol import NotPublished, Version
from spam_pipeline.protocol.operating import Engine

STATEMENTS = "royalty_statements"


def frame_read(engine: Engine, version: Version, stage: str) -> pl.LazyFrame:
    """All columns of what a version was made from, of one stage."""
    frame: pl.LazyFrame = engine.reader.load(stage, [item for item in version.inputs if item.upstream == stage])
    return frame


def statement_read(engine: Engine, month: str, version: Version) -> Version:
    """The version of a month's statement that a version was made from. Raises `NotPublished` when it read none with a line."""
    read = {item.record for item in version.inputs if item.upstream == STATEMENTS}
    versions = engine.ledger.versions(STATEMENTS, month, engine.environment)
    found = next((known for known, _ in versions if known.id in read), None)
    if found is None:
        raise NotPublished(f"{month} has no statement with a line")
    return found
