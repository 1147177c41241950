"""The warehouse: one DuckDB file over everything published, for questions that scan many days.

Small results of reporting and royalties are tables, so that a copy of the file is useful elsewhere too; everything else,
earlier publications included, is a view over the store's files, on a remote store by their URLs: of these the warehouse reads
nothing, and whoever asks reads the columns that they need, with credentials of their own. The file is built beside its place and
renamed, so it is never open for writing where readers find it, and no lock of a client is in the way; one at a URL is uploaded as a
whole. Its relations are defined in `stage_views` and `comparisons`.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import duckdb
import polars as pl
from upath import UPath

from spam_pipeline.protocol import Delivery, DescribedStage, Publications, StoredFiles, Version
from spam_pipeline.reporting.comparisons import create_comparisons
from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.replaced_file import replaced
from spam_pipeline.reporting.stage_views import (
    CONNECTION,
    PublishedStage,
    StageName,
    columns_alone,
    create_empty,
    literal,
    published_stages,
    rows_of,
    store_catalogue,
    store_history,
)
from spam_pipeline.reporting.targets import reaching
from spam_pipeline.reporting.warehouse_comments import create_comments

_logger = logging.getLogger(__name__)

_COPIED_CONTEXTS = ("reporting", "royalties")
_COPIED_ROWS = 10_000_000
"""A stage with more rows stays a view, because each delivery copies all rows of a table."""

_JOURNAL = ".wal"
"""The end of the name of a client's journal; beside a file that is not the one it belongs to, nobody can open that."""

_LOCKED = "Could not set lock"
"""Part of DuckDB's message for a file that a client has open for writing."""

_UNREADABLE = (
    "not a valid DuckDB database file",
    "Could not read enough bytes",
    "Corrupt database file",
    "with version number",
    "Failure while replaying WAL file",
)
"""Messages of DuckDB for a file that is damaged or of another release's format: its exceptions don't distinguish them. The last
one is of a journal that a client of an earlier file wrote after that was replaced; nobody can open the new file beside it."""


def delivered(target: str) -> str | None:
    """Return the recipe of the file at `target`; None when there is no file, or it is not as it was delivered.

    That is read from a note beside the file, which says which file it means: DuckDB locks what it opens, so that it cannot open a
    file while a client writes to it, and would shut out one that comes meanwhile. Only a file without a note of its own, such as
    one that was copied here, is opened. Raises `ForeignTarget` for a sound database that this pipeline did not build.
    """
    path = _place(target)
    if not isinstance(path, Path):
        return _delivered_remotely(path)
    if not path.exists():
        return None
    path.open("rb").close()  # raises what is in the way; DuckDB calls a folder a database that does not exist
    noted, found = _noted(path), _identity(path)
    if noted and noted[1] == found:
        return None if path.with_name(path.name + _JOURNAL).exists() else noted[0]
    is_changed = (
        noted is not None and noted[1][0] == found[0]
    )  # by a client in place, unless its inode was given to another file
    try:
        within = _recipe_within(path)
    except duckdb.IOException as error:
        if is_changed and _LOCKED in str(error):
            return None
        raise
    return None if is_changed else within


def _place(target: str) -> Path | UPath:
    return UPath(target).absolute()


def _delivered_remotely(place: UPath) -> str | None:
    """The recipe that the note beside a remote file gives it. Raises `ForeignTarget` for a file that no note speaks of."""
    place.fs.invalidate_cache()
    if not place.exists():
        return None
    noted = _noted(place)
    if noted is None:
        raise ForeignTarget(f"{place} is there, and no note beside it says that it is a warehouse: name another file")
    return noted[0] if noted[1] == [place.fs.checksum(place.path)] else None


def _recipe_within(path: Path) -> str | None:
    """The recipe that a database says it has, None for one that cannot be read. Raises `ForeignTarget`."""
    try:
        # Attached instead of connected to: connections of one process share a database by its path, and would see the file from
        # before a delivery as long as anybody in the process has that one open.
        with duckdb.connect(config=CONNECTION) as database:
            database.execute(f"ATTACH {literal(str(path))} AS target (TYPE duckdb, READ_ONLY)")
            found = database.execute("SELECT recipe FROM target._pipeline.delivered").fetchone()
    except duckdb.CatalogException as error:
        raise ForeignTarget(f"{path} is a database, but no warehouse: move it away, or name another file") from error
    except duckdb.Error as error:
        if any(sign in str(error) for sign in _UNREADABLE):
            return None
        raise
    return str(found[0]) if found else None


def _note(path: Path | UPath) -> Path | UPath:
    """The note beside a warehouse, or beside the file that a link leads to."""
    place = path.resolve()
    return place.with_name(f".delivered-{place.name}.json")


def _identity(path: Path) -> list[int]:
    """What tells a file from every other one, and from itself before somebody wrote to it: inode, size, time of modification."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _noted(path: Path | UPath) -> tuple[str, list[int]] | None:
    """The recipe and the file that the note speaks of; None where there is none that can be read."""
    try:
        noted = json.loads(_note(path).read_text(encoding="utf-8"))
        return str(noted["recipe"]), noted["file"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write_note(path: Path | UPath, recipe: str, file: list[int]) -> None:
    with replaced(_note(path)) as unfinished:
        unfinished.write_text(json.dumps({"recipe": recipe, "file": file}), encoding="utf-8")


def deliver(  # noqa: PLR0913, PLR0917 - what a warehouse is built from, and where
    target: str,
    recipe: str,
    catalogue: pl.LazyFrame,
    history: pl.LazyFrame,
    empty: Mapping[StageName, pl.LazyFrame],
    remote: StoredFiles | None = None,
    described: Mapping[StageName, DescribedStage] = MappingProxyType({}),
) -> None:
    """Replace the file at `target` by one over `catalogue`: a `Catalogue` frame with the `location` of each file.

    `history` has all files ever published until now, which may be more recent than the catalogue. Stages in `empty` have an
    empty table while nothing of them is published, or only partitions without rows. `remote` has the files of a store elsewhere.
    What is `described` of stages and their columns stands beside them as comments.
    """
    place = _place(target)
    if not isinstance(place, Path):
        # A file that no note speaks of, because this process was killed, would pass for somebody else's.
        _write_note(place, "", [])
    with replaced(place, leftovers=[_JOURNAL]) as building:
        past = history.collect() if remote else _still_there(history.collect())
        _build(building, recipe, catalogue.collect(), past, empty, remote, described)
        file = _identity(building)
    _write_note(place, recipe, file if isinstance(place, Path) else [place.fs.checksum(place.path)])


def _build(  # noqa: PLR0913, PLR0917 - what a warehouse is built from, each named
    file: Path,
    recipe: str,
    files: pl.DataFrame,
    history: pl.DataFrame,
    empty: Mapping[StageName, pl.LazyFrame],
    remote: StoredFiles | None,
    described: Mapping[StageName, DescribedStage],
) -> None:
    with duckdb.connect(file, config=CONNECTION) as database:
        if remote:
            database.register_filesystem(remote)
        store_catalogue(database, files)
        stages = list(published_stages(files))
        create_empty(database, stages, empty)
        for stage in stages:
            _create(database, stage, empty, remote)
        store_history(database, history)
        create_comparisons(database)
        create_comments(database, described)
        database.execute("CREATE TABLE _pipeline.delivered AS SELECT ?::VARCHAR AS recipe", [recipe])
        database.execute("CHECKPOINT")


def _create(
    database: duckdb.DuckDBPyConnection,
    stage: PublishedStage,
    empty: Mapping[StageName, pl.LazyFrame],
    remote: StoredFiles | None,
) -> None:
    """Create a stage's table or view. DuckDB opens a file to prepare a view, and needs its columns only: remote ones are not fetched."""
    is_copied = stage.context in _COPIED_CONTEXTS and stage.rows <= _COPIED_ROWS
    sql = f"CREATE {'TABLE' if is_copied else 'VIEW'} {stage.relation} AS {rows_of(database, stage, remote=remote)}"
    if remote is None or is_copied or not remote.have_present_columns(stage.locations):
        database.execute(sql)
        return
    with remote.showing({stage.locations[0]: columns_alone(empty[stage.context, stage.name])}):
        database.execute(sql)


def _still_there(history: pl.DataFrame) -> pl.DataFrame:
    """Drop files that the store has lost: a missing file of the past must not stop queries of the present."""
    lost = [location for location in history["location"].unique() if not Path(location).exists()]
    if lost:
        _logger.warning(
            "%d files of the past are not in the store: the warehouse leaves them out of what was", len(lost)
        )
    return history.filter(~pl.col("location").is_in(lost))


def _delivered(target: str) -> str | None:
    with reaching(target):
        return delivered(target)


def _deliver(target: str, version: Version, reader: Publications) -> None:
    """Deliver a version. Files that are copied are checked first, others when DuckDB cannot read them; later readers open those."""
    catalogue = reader.located(reader.rows(version))
    history, empty = reader.history(), reader.empty_frames(with_delivered=False)
    files = catalogue.collect()
    copied, remote = files.filter(pl.col("context").is_in(_COPIED_CONTEXTS)), reader.file_system(version.inputs)
    _check(copied, reader, remote)
    with reaching(target):
        try:
            deliver(target, version.recipe, catalogue, history, empty, remote, reader.described())
        except duckdb.Error:
            _check(files, reader, remote)
            raise


def _check(files: pl.DataFrame, reader: Publications, remote: StoredFiles | None) -> None:
    if remote:
        remote.require(files["location"].unique())
        return
    for file in files["file"].unique():
        reader.check(file)


warehouse_delivery = Delivery(target="warehouse_file", delivered=_delivered, deliver=_deliver, shows_past=True)
"""The delivery of `warehouse` to the file that the configuration entry `warehouse_file` names."""
