"""The warehouse: one DuckDB file over everything published, for questions that scan many days.

Small results of reporting and royalties are tables, so that a copy of the file is useful elsewhere too; everything else,
earlier publications included, is a view over the store's files. The file is built beside its place and renamed, so it is
never open for writing where readers find it, and no lock of a client is in the way. Its relations are defined in `stage_views` and `comparisons`.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]  # it ships no types

from spam_pipeline.protocol import Delivery, Publications, Version
from spam_pipeline.reporting.comparisons import create_comparisons
from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.replaced_file import replaced
from spam_pipeline.reporting.stage_views import (
    CONNECTION,
    StageName,
    create_empty,
    literal,
    published_stages,
    rows_of,
    store_catalogue,
    store_history,
)
from spam_pipeline.reporting.targets import reaching

_logger = logging.getLogger(__name__)

_COPIED_CONTEXTS = ("reporting", "royalties")
_COPIED_ROWS = 10_000_000
"""A stage with more rows stays a view, because each delivery copies all rows of a table."""

_UNREADABLE = (
    "not a valid DuckDB database file",
    "Failed to read",
    "Corrupt database file",
    "with version number",
    "Failure while replaying WAL file",
)
"""Messages of DuckDB for a file that is damaged or of another release's format: its exceptions don't distinguish them. The last
one is of a journal that a client of an earlier file wrote after that was replaced; nobody can open the new file beside it."""


def delivered(target: str) -> str | None:
    """Return the recipe of the file at `target`; None when there is no file, or it is damaged or of another format.

    Raises `ForeignTarget` for a sound database that this pipeline did not build.
    """
    path = Path(target).absolute()
    if not path.exists():
        return None
    try:
        with attached(path) as database:
            found = database.execute("SELECT recipe FROM target._pipeline.delivered").fetchone()
    except duckdb.CatalogException as error:
        raise ForeignTarget(f"{path} is a database, but no warehouse: move it away, or name another file") from error
    except duckdb.Error as error:
        if any(sign in str(error) for sign in _UNREADABLE):
            return None
        raise
    return str(found[0]) if found else None


def deliver(
    target: str,
    recipe: str,
    catalogue: pl.LazyFrame,
    history: pl.LazyFrame,
    empty: Mapping[StageName, pl.LazyFrame],
) -> None:
    """Replace the file at `target` by one over `catalogue`: a `Catalogue` frame with the `location` of each file.

    `history` has all files ever published until now, which may be more recent than the catalogue. Stages in `empty` have an
    empty table while nothing of them is published, or only partitions without rows.
    """
    files = catalogue.collect()
    place = Path(target).absolute()
    with replaced(place, leftovers=[".wal"]) as building, duckdb.connect(building, config=CONNECTION) as database:
        store_catalogue(database, files)
        stages = list(published_stages(files))
        create_empty(database, stages, empty)
        for stage in stages:
            is_copied = stage.context in _COPIED_CONTEXTS and stage.rows <= _COPIED_ROWS
            kind = "TABLE" if is_copied else "VIEW"
            database.execute(f"CREATE {kind} {stage.relation} AS {rows_of(database, stage)}")
        store_history(database, _still_there(history.collect()))
        create_comparisons(database)
        database.execute("CREATE TABLE _pipeline.delivered AS SELECT ?::VARCHAR AS recipe", [recipe])
        database.execute("CHECKPOINT")


def _still_there(history: pl.DataFrame) -> pl.DataFrame:
    """Drop files that the store has lost: a missing file of the past must not stop queries of the present."""
    lost = [location for location in history["location"].unique() if not Path(location).exists()]
    if lost:
        _logger.warning(
            "%d files of the past are not in the store: the warehouse leaves them out of what was", len(lost)
        )
    return history.filter(~pl.col("location").is_in(lost))


@contextmanager
def attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database file as `target`, to read it.

    Attached instead of connected to, because connections of one process share a database by its path, and would see the
    file from before a delivery as long as anybody in the process has that one open. Through fsspec, because DuckDB's own
    file system locks the file: that fails while a client has it open for writing, as clients do by default, and would shut
    out one that opens it meanwhile.
    """
    path.open("rb").close()  # raises what is in the way; DuckDB calls a folder a database that does not exist
    with duckdb.connect(config=CONNECTION) as database:
        database.register_filesystem(LocalFileSystem())
        database.execute(f"ATTACH {literal(f'local://{path}')} AS target (TYPE duckdb, READ_ONLY)")
        yield database


def _delivered(target: str) -> str | None:
    with reaching(target):
        return delivered(target)


def _deliver(target: str, version: Version, reader: Publications) -> None:
    """Deliver a version. Files that are copied are checked first, others when DuckDB cannot read them; later readers open those."""
    catalogue = reader.located(reader.rows(version))
    history, empty = reader.history(), reader.empty_frames(with_delivered=False)
    files = catalogue.collect()
    for file in files.filter(pl.col("context").is_in(_COPIED_CONTEXTS))["file"].unique():
        reader.check(file)
    with reaching(target):
        try:
            deliver(target, version.recipe, catalogue, history, empty)
        except duckdb.Error:
            for file in files["file"].unique():
                reader.check(file)
            raise


warehouse_delivery = Delivery(target="warehouse_file", delivered=_delivered, deliver=_deliver)
"""The delivery of `warehouse` to the file that the configuration entry `warehouse_file` names."""
