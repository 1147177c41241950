"""The tables of a small pipeline as another engine reads them: Polars, which plans and reads with code of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from spam_pipeline.operations.open_tables.catalogue import opened
from spam_pipeline.operations.open_tables.export import Exported, export
from spam_pipeline.protocol import NotPublished
from spam_pipeline.protocol.operating import Engine


@contextmanager
def catalogue_in(place: Path) -> Iterator[Catalog]:
    place.mkdir(exist_ok=True)
    with opened(f"sqlite:///{place / 'catalogue.db'}", str(place)) as catalogue:
        yield catalogue


def exported(engine: Engine, place: Path, since: datetime | None = None) -> Exported:
    with catalogue_in(place) as catalogue:
        return export(engine, catalogue, since)


def table(place: Path, context: str, stage: str) -> Table:
    with catalogue_in(place) as catalogue:
        return catalogue.load_table((context, stage))


def rows(found: Table, snapshot_id: int | None = None) -> pl.DataFrame:
    return pl.scan_iceberg(found, snapshot_id=snapshot_id, reader_override="native").collect()


def published(engine: Engine, name: str, as_of: datetime | None = None) -> pl.DataFrame:
    """What readers of the pipeline see of a stage, or saw."""
    keys = {item.partition for item in engine.ledger.publications(engine.environment, [name])}
    frames = []
    for key in sorted(keys):
        try:
            frame = engine.reader.read(name, [key], as_of)
        except NotPublished:
            continue
        frames.append(frame.select(pl.lit(key).alias("partition_key"), pl.all()))
    return pl.concat(frames).collect() if frames else pl.DataFrame()


def moments(found: Table) -> dict[datetime, int]:
    """The times of a table's snapshots, each with the last snapshot of that time."""
    return {
        datetime.fromtimestamp(item.timestamp_ms / 1000, UTC): item.snapshot_id for item in found.metadata.snapshots
    }


def same(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Return True if frames have the same rows, in any order; an empty frame has no columns to compare."""
    if left.is_empty() or right.is_empty():
        return left.height == right.height
    left = left.select(sorted(left.columns))
    return left.sort(pl.all()).equals(right.select(sorted(right.columns)).sort(pl.all()))
