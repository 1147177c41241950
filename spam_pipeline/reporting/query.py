"""Ad-hoc SQL over published data: an in-memory DuckDB that can read the published files and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from spam_pipeline.reporting.comparisons import create_comparisons
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.stage_views import (
    CONNECTION,
    StageName,
    create_empty,
    published_stages,
    rows_of,
    store_catalogue,
)


@dataclass(frozen=True)
class Answer:
    """The result of a query, as plain values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def connect(
    catalogue: pl.DataFrame, empty: Mapping[StageName, pl.LazyFrame] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database with one relation `<context>.<stage>` for every stage in `catalogue` (with `location`).

    Stages without published files get an empty relation with the columns in `empty`. The relations of `comparisons` are there
    too. Times show in UTC. The caller closes the connection. Run the SQL of users through `ask`, which also prevents writing.
    """
    database = duckdb.connect(config=CONNECTION)
    store_catalogue(database, catalogue)
    stages = list(published_stages(catalogue))
    for stage in stages:
        database.execute(f"CREATE VIEW {stage.relation} AS {rows_of(database, stage)}")
    create_empty(database, stages, empty or {})
    create_comparisons(database)
    _lock(database, catalogue)
    return database


def ask(database: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    """Answer one SELECT. Raises `QueryRefused` for any other statement, and for errors of DuckDB.

    Only a SELECT runs, because a COPY could overwrite the files that may be read, also one run by EXPLAIN.
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


def _lock(database: duckdb.DuckDBPyConnection, catalogue: pl.DataFrame) -> None:
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET allowed_paths = ?", [catalogue["location"].unique().sort().to_list()])
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
