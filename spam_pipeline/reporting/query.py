"""Ad-hoc SQL over what is published: a DuckDB in memory that can read the published files and nothing else."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from spam_pipeline.reporting.comparisons import create_reports
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.stage_views import (
    CONNECTION,
    PublishedStage,
    identifier,
    literal,
    published_stages,
    rows_of,
    store_catalogue,
)

StageName = tuple[str, str]
"""A context and the name of one of its stages."""


@dataclass(frozen=True)
class Answer:
    """What a query returned, as plain values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def connect(
    catalogue: pl.DataFrame, empty: Mapping[StageName, pl.LazyFrame] | None = None
) -> duckdb.DuckDBPyConnection:
    """A database in memory with one relation `<context>.<stage>` for every stage in `catalogue` (with `location`).

    Stages that have published nothing get an empty relation with the columns that `empty` knows of. What is asked for so often
    that it has a name is there too, see `comparisons`. Times show in UTC. The caller closes the connection. Run the SQL of users through `ask`, which also keeps it from writing.
    """
    database = duckdb.connect(config=CONNECTION)
    store_catalogue(database, catalogue)
    stages = list(published_stages(catalogue))
    for stage in stages:
        database.execute(f"CREATE VIEW {stage.relation} AS {rows_of(database, stage)}")
    missing = (empty or {}).keys() - {(stage.context, stage.name) for stage in stages}
    for name in sorted(missing):
        _create_empty(database, PublishedStage(*name, 0, ()), (empty or {})[name])
    create_reports(database)
    _lock(database, catalogue)
    return database


def ask(database: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    """Answer one SELECT. Raises `QueryRefused` for any other statement, and for what DuckDB cannot answer.

    Only a SELECT runs, because the files that may be read could be overwritten by a COPY too, also by one that EXPLAIN runs.
    """
    try:
        kinds = [statement.type for statement in database.extract_statements(sql)]
        if kinds != [duckdb.StatementType.SELECT]:
            seen = ", ".join(kind.name for kind in kinds) or "nothing"
            raise QueryRefused(f"a query is one SELECT (a PIVOT lists its values with IN), got {seen}")
        result = database.execute(sql)
        return Answer(tuple(column[0] for column in result.description or ()), result.fetchall())
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error


def _create_empty(database: duckdb.DuckDBPyConnection, stage: PublishedStage, frame: pl.LazyFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        columns = Path(folder) / "columns.parquet"
        frame.sink_parquet(columns)
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(stage.context)}")
        rows = f"SELECT ''::VARCHAR AS partition_key, * FROM read_parquet({literal(str(columns))})"  # noqa: S608 - quoted
        database.execute(f"CREATE TABLE {stage.relation} AS {rows}")


def _lock(database: duckdb.DuckDBPyConnection, catalogue: pl.DataFrame) -> None:
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET allowed_paths = ?", [catalogue["location"].unique().sort().to_list()])
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
