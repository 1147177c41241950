"""Published stages as DuckDB relations: one `<context>.<stage>` over the stage's immutable Parquet files.

Shared by the warehouse file and by ad-hoc queries. A catalogue here is a `Catalogue` frame with one more column, `location`:
the absolute path of each file, or its URL in a remote store; a history also has the span of time in which readers saw the file. Each relation has the
columns of its stage after `partition_key`, the key of a row's partition. Paths and names are hostile until quoted.
"""

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path

import duckdb
import polars as pl

from spam_pipeline.protocol import StoredFiles

CONNECTION: dict[str, str | bool | int | float | list[str]] = {"python_enable_replacements": False}
"""Options for opening DuckDB: by default an unknown relation is looked up among the Python variables of the caller."""

_CATALOGUE_TYPES = {
    "context": "VARCHAR",
    "stage": "VARCHAR",
    "partition": "VARCHAR",
    "part": "VARCHAR",
    "file": "VARCHAR",
    "rows": "BIGINT",
    "content": "VARCHAR",
    "location": "VARCHAR",
}
_HISTORY_TYPES = {**_CATALOGUE_TYPES, "published_at": "TIMESTAMPTZ", "superseded_at": "TIMESTAMPTZ"}


StageName = tuple[str, str]
"""A context and the name of one of its stages."""


@dataclass(frozen=True)
class PublishedStage:
    """A stage with at least one published file; `files` has each once, by its path in the store, `locations` by that on this machine."""

    context: str
    name: str
    rows: int
    files: tuple[str, ...]
    locations: tuple[str, ...]

    @property
    def relation(self) -> str:
        """The stage's name in SQL."""
        return f"{identifier(self.context)}.{identifier(self.name)}"


def identifier(name: str) -> str:
    """`name` quoted as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """`value` quoted as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def published_stages(catalogue: pl.DataFrame) -> Iterator[PublishedStage]:
    """Yield the stages of a catalogue, in its order."""
    for (context, name), files in catalogue.group_by("context", "stage", maintain_order=True):
        paths, locations = (tuple(files[column].unique(maintain_order=True)) for column in ("file", "location"))
        yield PublishedStage(str(context), str(name), int(files["rows"].sum()), paths, locations)


def store_catalogue(database: duckdb.DuckDBPyConnection, catalogue: pl.DataFrame) -> None:
    """Create the schema of every context, and `_pipeline.catalogue`, in which the relations look up partitions."""
    _store(database, "_pipeline.catalogue", _CATALOGUE_TYPES, catalogue)


def create_empty(
    database: duckdb.DuckDBPyConnection, published: Iterable[PublishedStage], empty: Mapping[StageName, pl.LazyFrame]
) -> None:
    """Create an empty table for every stage of `empty` without published files, so that queries of it never fail."""
    missing = empty.keys() - {(stage.context, stage.name) for stage in published}
    with tempfile.TemporaryDirectory() as folder:
        for context, name in sorted(missing):
            columns = Path(folder) / f"{context}.{name}.parquet"
            empty[context, name].sink_parquet(columns)
            database.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(context)}")
            rows = f"SELECT ''::VARCHAR AS partition_key, * FROM read_parquet({literal(str(columns))})"  # noqa: S608 - quoted
            database.execute(f"CREATE TABLE {identifier(context)}.{identifier(name)} AS {rows}")


def create_unreadable(
    database: duckdb.DuckDBPyConnection, stage: PublishedStage, columns: pl.LazyFrame, problem: str
) -> None:
    """Create the view of a stage with a file that cannot be read: it has its columns, and every query of it raises the problem."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "columns.parquet"
        columns.sink_parquet(place)
        described = database.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(place))})").fetchall()  # noqa: S608 - quoted
    names = [("partition_key", "VARCHAR"), *((name, kind) for name, kind, *_ in described)]
    # Each column raises, because a filter on one that is constant would leave nothing to raise.
    listed = ", ".join(f"error(problem)::{kind} AS {identifier(name)}" for name, kind in names)
    row = f"(SELECT unnest([{literal(problem)}]) AS problem)"
    database.execute(
        f"CREATE VIEW {stage.relation} AS SELECT {listed} FROM {row} WHERE error(problem) IS NULL"  # noqa: S608 - quoted
    )


def store_history(database: duckdb.DuckDBPyConnection, history: pl.DataFrame) -> None:
    """Create `_pipeline.history`, and for each stage the macro `<context>.<stage>_as_of(moment)`: its rows as of that time.

    The macro takes a time, or a date, which means its end in UTC; either is a constant. Files that lack a column of the stage's
    newest file have nulls in it.
    """
    _store(database, "_pipeline.history", _HISTORY_TYPES, history)
    for (context, name), files in history.group_by("context", "stage", maintain_order=True):
        macro = f"{identifier(str(context))}.{identifier(f'{name}_as_of')}"
        database.execute(f"CREATE MACRO {macro}(moment) AS TABLE {_rows_as_of(str(context), str(name), files)}")


def _store(database: duckdb.DuckDBPyConnection, table: str, types: Mapping[str, str], files: pl.DataFrame) -> None:
    for context in ("_pipeline", *files["context"].unique().sort()):
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(context)}")
    columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in types.items())
    database.execute(f"CREATE TABLE {table} ({columns})")
    with tempfile.TemporaryDirectory() as folder:  # as parameters, 34,000 files took eight times as long
        place = Path(folder) / "files.parquet"
        files.select(*types).write_parquet(place)
        database.execute(f"INSERT INTO {table} SELECT * FROM read_parquet({literal(str(place))})")  # noqa: S608 - quoted


def columns_alone(columns: pl.LazyFrame, rows: int = 0) -> bytes:
    """The bytes of a Parquet file of some columns and of rows that are null: DuckDB opens a file to prepare a statement."""
    content = io.BytesIO()
    columns.collect().clear(rows).write_parquet(content)
    return content.getvalue()


def rows_of(
    database: duckdb.DuckDBPyConnection,
    stage: PublishedStage,
    condition: str = "true",
    remote: StoredFiles | None = None,
) -> str:
    """Build the SELECT over all files of a stage. `store_catalogue` comes first.

    Which columns the files have, `remote` ones say without being read. DuckDB evaluates the `condition`, an expression of constants, whenever it prepares a statement that reads the stage.
    """
    have_same = remote.have_present_columns(stage.locations) if remote else _have_same_columns(database, stage)
    by_name = "false" if have_same else "true"
    return _rows_listed_in("_pipeline.catalogue", stage, by_name, condition)


_MOMENT = """
    CASE WHEN length(moment::VARCHAR) = length('YYYY-MM-DD') THEN concat(moment, ' 23:59:59.999999+00')::TIMESTAMPTZ
         ELSE moment::TIMESTAMPTZ END
"""


def _rows_as_of(context: str, stage: str, history: pl.DataFrame) -> str:
    """Build the SELECT over the files of a stage as of `moment`."""
    rows = _rows_joined("_pipeline.history", (context, stage), _files_as_of(history), "true")
    return f"""
        {rows}
         AND published.published_at <= {_MOMENT}
         AND (published.superseded_at IS NULL OR published.superseded_at > {_MOMENT})
    """


def _files_as_of(history: pl.DataFrame) -> str:
    """Build the list of a stage's files as of `moment`, and its newest one, whose columns the rows have.

    DuckDB evaluates it when it prepares a query, and opens no other files; nor can it open any when the macro is created, before it
    knows the moment. With the list of all files it took 7.7 s to create the macros of 100,000.
    """
    newest = history.sort("published_at", maintain_order=True)["location"][-1]
    start = commonprefix(history["location"].to_list())  # noqa: RUF071 - of characters, as a location may be a URL
    times = [history[column].dt.epoch("us").to_list() for column in ("published_at", "superseded_at")]
    files = [list(file) for file in zip(history["location"].str.slice(len(start)), *times, strict=True)]
    listed = literal(json.dumps(files, separators=(",", ":")))
    return f"""
        list_distinct(list_append(
            list_transform(
                list_filter(
                    from_json({listed}, '[["VARCHAR"]]'),
                    lambda file: file[2]::BIGINT <= epoch_us({_MOMENT})
                        AND (file[3] IS NULL OR file[3]::BIGINT > epoch_us({_MOMENT}))
                ),
                lambda file: {literal(start)} || file[1]
            ),
            {literal(newest)}
        ))
    """


def _rows_listed_in(table: str, stage: PublishedStage, by_name: str, condition: str = "true") -> str:
    files = f"CASE WHEN {condition} THEN {_file_list(stage)} END"
    return _rows_joined(table, (stage.context, stage.name), files, by_name)


def _rows_joined(table: str, stage: StageName, files: str, by_name: str) -> str:
    return f"""
        SELECT published.partition AS partition_key, data.* EXCLUDE (_location)
        FROM read_parquet({files}, filename = '_location', union_by_name = {by_name}) AS data
        JOIN {table} AS published
          ON published.location = data._location
         AND published.context = {literal(stage[0])} AND published.stage = {literal(stage[1])}
    """  # noqa: S608 - every name and path is quoted


def _file_list(stage: PublishedStage) -> str:
    # One long string: DuckDB's parser takes ten times as long for a list of as many short ones.
    return f"from_json({literal(json.dumps(stage.locations))}, '[\"VARCHAR\"]')"


def _have_same_columns(database: duckdb.DuckDBPyConnection, stage: PublishedStage) -> bool:
    """Return true if all files of a stage have the same columns.

    Files older than a contract's new column lack it until they are recomputed. DuckDB handles that on request, but then opens
    every file for every query, so it is requested only where needed.
    """
    differing = f"""
        SELECT count(*) FROM (
            SELECT name FROM parquet_schema({_file_list(stage)})
            GROUP BY name, type, logical_type HAVING count(DISTINCT file_name) <> {len(stage.locations)}
        )
    """  # noqa: S608 - every path is quoted
    return database.execute(differing).fetchall() == [(0,)]
