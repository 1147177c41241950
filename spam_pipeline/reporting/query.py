"""Ad-hoc SQL over published data: an in-memory DuckDB that can read the published files and nothing else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import polars as pl
from duckdb.sqltypes import BOOLEAN, VARCHAR

from spam_pipeline.protocol import Pruned, StoreDamaged, StoredFiles
from spam_pipeline.reporting.comparisons import create_comparisons
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.stage_views import (
    CONNECTION,
    PublishedStage,
    StageName,
    columns_alone,
    create_empty,
    create_unreadable,
    literal,
    published_stages,
    rows_of,
    store_catalogue,
)


@dataclass(frozen=True)
class Answer:
    """The result of a query, as plain values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


PARQUET = ".parquet"
"""How the name of a file ends that is written as Parquet."""

_CHECKED = "_pipeline_checked"
"""The function of SQL that is true once the files of a relation have been checked."""

_OPENED_AT_ONCE = 8
"""Threads of a database over a remote store: each opens files of its own, and waits for most of the time."""

_MOST_ROWS_ESTIMATED = 100_000

Check = Callable[[str], None]
"""Raises `StoreDamaged` unless a file of the store, by its path there, has the bytes that its name promises."""


def connect(
    catalogue: pl.DataFrame,
    empty: Mapping[StageName, pl.LazyFrame] | None = None,
    check: Check = lambda _file: None,
    remote: StoredFiles | None = None,
    writable: Sequence[str] = (),
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database with one relation `<context>.<stage>` for every stage in `catalogue` (with `location`).

    Stages without published files get an empty relation with the columns in `empty`. The relations of `comparisons` are there
    too. Times show in UTC. A statement that reads a stage checks its files first; damage fails that statement and no other one.
    Those of a `remote` store are checked one by one, as DuckDB opens them: of a few partitions it opens a few.
    The caller closes the connection. Run the SQL of users through `ask`, which also prevents writing, or `write_answer`, which writes
    one of the `writable` files.
    """
    database = duckdb.connect(config=CONNECTION)
    if remote:
        database.register_filesystem(remote)
        database.execute(f"SET threads = greatest(current_setting('threads'), {_OPENED_AT_ONCE})")
    store_catalogue(database, catalogue)
    stages = list(published_stages(catalogue))
    with _unchecked(database):
        for stage in stages:
            _create_view(database, stage, empty or {}, check, remote)
        create_empty(database, stages, empty or {})
        create_comparisons(database)
    _check_before_reading(database, stages, check)
    _lock(database, [*catalogue["location"].unique().sort(), *(remote.added if remote else ()), *writable])
    return database


def ask(database: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    """Answer one SELECT. Raises `QueryRefused` for any other statement, and for errors of DuckDB.

    Only a SELECT runs, because a COPY could overwrite the files that may be read, also one run by EXPLAIN.
    """
    with _refusing():
        _require_select(database, sql)
        result = database.execute(sql)
        return Answer(tuple(column[0] for column in result.description or ()), result.fetchall())


def write_answer(database: duckdb.DuckDBPyConnection, sql: str, file: str) -> None:
    """Write the answer of one SELECT to a file that is new and may be written, as Parquet by its name or else as CSV.

    Values are written in full, and rows as they come, so that they need not fit in memory. Raises `QueryRefused`.
    """
    with _refusing():
        _require_select(database, sql)
        answer = database.sql(sql)
        require_distinct(answer.columns)
        if file.endswith(PARQUET):
            answer.write_parquet(file)
        else:
            answer.write_csv(file)


def require_distinct(columns: Sequence[str]) -> None:
    """Raise `QueryRefused` when two columns of an answer have one name, which JSON and Parquet cannot hold."""
    duplicates = sorted({name for name in columns if columns.count(name) > 1})
    if duplicates:
        raise QueryRefused(f"two columns are called {', '.join(duplicates)}: rename one with AS")


def _require_select(database: duckdb.DuckDBPyConnection, sql: str) -> None:
    kinds = [statement.type for statement in database.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        seen = ", ".join(kind.name for kind in kinds) or "nothing"
        raise QueryRefused(f"a query is one SELECT (a PIVOT lists its values with IN), got {seen}")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error


@contextmanager
def _unchecked(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let views be created, for which DuckDB prepares them, without digesting everything that is published."""
    database.create_function(_CHECKED, lambda _stage: True, [VARCHAR], BOOLEAN)
    yield
    database.remove_function(_CHECKED)


def _check_before_reading(database: duckdb.DuckDBPyConnection, stages: Iterable[PublishedStage], check: Check) -> None:
    files = {stage.relation: stage.files for stage in stages}

    def checked(relation: str) -> bool:
        for file in files[relation]:
            check(file)
        return True

    database.create_function(_CHECKED, checked, [VARCHAR], BOOLEAN)


def _create_view(
    database: duckdb.DuckDBPyConnection,
    stage: PublishedStage,
    empty: Mapping[StageName, pl.LazyFrame],
    check: Check,
    remote: StoredFiles | None,
) -> None:
    """Create the view of a stage. Where DuckDB cannot read its files and one of them is damaged, that is what its readers are told."""
    try:
        if remote:
            rows = rows_of(database, _after_its_columns(stage, empty[stage.context, stage.name], remote), remote=remote)
        else:
            rows = rows_of(database, stage, f"{_CHECKED}({literal(stage.relation)})")
        database.execute(f"CREATE VIEW {stage.relation} AS {rows}")
    except duckdb.Error:
        damage = _damage(stage, check)
        if damage is None:
            raise
        create_unreadable(database, stage, empty[stage.context, stage.name], damage)


def _after_its_columns(stage: PublishedStage, columns: pl.LazyFrame, remote: StoredFiles) -> PublishedStage:
    """The files of a stage after one that stands for them when DuckDB prepares a statement. Its rows are in no partition.

    It has as many as the files on average, because DuckDB estimates by the first file: where it expects no rows, it does not let
    the catalogue say which files have the partitions that are asked for, and opens all.
    """
    rows = min(stage.rows // len(stage.locations), _MOST_ROWS_ESTIMATED)
    first = remote.add(f"{stage.context}/{stage.name}.parquet", columns_alone(columns, rows))
    return replace(stage, locations=(first, *stage.locations))


def _damage(stage: PublishedStage, check: Check) -> str | None:
    for file in stage.files:
        try:
            check(file)
        except (StoreDamaged, Pruned) as damage:
            return str(damage)
    return None


def _lock(database: duckdb.DuckDBPyConnection, locations: Sequence[str]) -> None:
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET allowed_paths = ?", [list(locations)])
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
