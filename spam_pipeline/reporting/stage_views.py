"""Published stages as DuckDB relations: one `<context>.<stage>` over the stage's immutable Parquet files.

Shared by the warehouse file and by ad-hoc queries. A catalogue here is a `Catalogue` frame with one more column, `location`:
the absolute path of each file. Each relation has the columns of its stage after `partition_key`, the key of the partition
that a row comes from. Paths and names are hostile until quoted.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import polars as pl

CONNECTION: dict[str, str | bool | int | float | list[str]] = {"python_enable_replacements": False}
"""How to open DuckDB: by default a name that is no relation may stand for a variable of the Python that calls."""

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


@dataclass(frozen=True)
class PublishedStage:
    """A stage with at least one published file; `locations` has each file once."""

    context: str
    name: str
    rows: int
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
    """The stages of a catalogue, in its order."""
    for (context, name), files in catalogue.group_by("context", "stage", maintain_order=True):
        locations = files["location"].unique(maintain_order=True).to_list()
        yield PublishedStage(str(context), str(name), int(files["rows"].sum()), tuple(locations))


def store_catalogue(database: duckdb.DuckDBPyConnection, catalogue: pl.DataFrame) -> None:
    """Create the schema of every context, and `_pipeline.catalogue`, which the relations look partitions up in."""
    for context in ("_pipeline", *catalogue["context"].unique().sort()):
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(context)}")
    columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in _CATALOGUE_TYPES.items())
    database.execute(f"CREATE TABLE _pipeline.catalogue ({columns})")
    values = ", ".join(f"unnest(?::{kind}[])" for kind in _CATALOGUE_TYPES.values())
    database.execute(
        f"INSERT INTO _pipeline.catalogue SELECT {values}",
        [catalogue[name].to_list() for name in _CATALOGUE_TYPES],
    )


def rows_of(database: duckdb.DuckDBPyConnection, stage: PublishedStage) -> str:
    """The SELECT over all files of a stage. `store_catalogue` comes first."""
    files = _file_list(stage)
    by_name = "false" if _have_same_columns(database, stage) else "true"
    return f"""
        SELECT published.partition AS partition_key, data.* EXCLUDE (_location)
        FROM read_parquet({files}, filename = '_location', union_by_name = {by_name}) AS data
        JOIN _pipeline.catalogue AS published
          ON published.location = data._location
         AND published.context = {literal(stage.context)} AND published.stage = {literal(stage.name)}
    """  # noqa: S608 - every name and path is quoted


def _file_list(stage: PublishedStage) -> str:
    # One long string: DuckDB's parser takes ten times as long for a list of as many short ones.
    return f"from_json({literal(json.dumps(stage.locations))}, '[\"VARCHAR\"]')"


def _have_same_columns(database: duckdb.DuckDBPyConnection, stage: PublishedStage) -> bool:
    """Whether all files of a stage have the same columns.

    A contract that gained a column leaves older files without it until they are recomputed. DuckDB copes with that when told
    to, but then opens every file for every query, so it is told only where needed.
    """
    differing = f"""
        SELECT count(*) FROM (
            SELECT name FROM parquet_schema({_file_list(stage)})
            GROUP BY name, type, logical_type HAVING count(DISTINCT file_name) <> {len(stage.locations)}
        )
    """  # noqa: S608 - every path is quoted
    return database.execute(differing).fetchall() == [(0,)]
