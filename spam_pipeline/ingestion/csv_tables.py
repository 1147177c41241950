"""CSV reference files as typed tables: every row is accepted, or rejected with its location and the reason.

A table is described by its columns; the tables themselves are in `reference`. Files are small compared with plays, so they
are read whole.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from spam_pipeline.ingestion.contracts import Rejected
from spam_pipeline.ingestion.records import Rejection, rejection_of
from spam_pipeline.protocol import column_types

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_HEADER_LINE = 1


@dataclass(frozen=True)
class Column:
    """A column of a CSV file: conversion of its text (null: invalid), expected form for messages, and whether it may be empty."""

    value: pl.Expr
    expected: str
    is_optional: bool = False


@dataclass(frozen=True)
class Table:
    """The layout of a CSV file. A rule is a violation over the values of a row, the column it is reported for, and the problem."""

    columns: Mapping[str, Column]
    key: Sequence[str]
    rules: Sequence[tuple[pl.Expr, str, str]] = ()


@dataclass(frozen=True)
class TableRead:
    """Accepted rows with the table's columns, in file order; and the `Rejected` rows."""

    rows: pl.DataFrame
    rejected: pl.DataFrame


def read_table(content: bytes, path: str, table: Table) -> TableRead:
    """Read a CSV file with a header. Columns that are not the table's are ignored, as are lines without any value.

    Of rows with the same key the first is kept. `line` is where a row begins, counting line breaks within quotes. A file that
    lacks a column is rejected as a whole, at line 1; a file without a header has no rows.
    """
    cells = _cells(content)
    missing = next((name for name in table.columns if name not in cells.columns), None)
    if missing is None:
        return _validated(_located(cells, table), path, table)
    nothing = _validated(
        pl.DataFrame(schema={**dict.fromkeys(table.columns, pl.String), "line": pl.Int64}), path, table
    )
    if not cells.columns:
        return nothing
    at_header = pl.DataFrame({"line": [_HEADER_LINE], "broken": [0]})
    return TableRead(nothing.rows, _rejected(at_header, path, [rejection_of(missing, "no such column in this file")]))


def _cells(content: bytes) -> pl.DataFrame:
    """Read all cells as text, invalid UTF-8 replaced; no columns for an empty file."""
    if content.count(b'"') % 2:  # an unclosed quote would swallow every row behind it
        return _frame(_line_by_line(content))
    try:
        return pl.read_csv(
            content, infer_schema=False, truncate_ragged_lines=True, encoding="utf8-lossy", raise_if_empty=False
        )
    except pl.exceptions.ComputeError:  # a misplaced quote, for which the fast parser refuses the whole file
        return _frame(csv.reader(io.StringIO(_text(content), newline="")))


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig", "replace")


def _line_by_line(content: bytes) -> Iterator[list[str]]:
    """Parse each line as a row, as if no value continued on the next; a line with an open quote is unreadable."""
    for line in _text(content).splitlines():
        yield [_UNREADABLE] * (line.count(",") + 1) if line.count('"') % 2 else next(csv.reader([line]), [])


def _frame(reader: Iterator[list[str]]) -> pl.DataFrame:
    header = next(reader, [])
    rows = list(_until_unreadable(reader, len(header)))
    return pl.DataFrame(
        {
            name: [row[index] if index < len(row) else None for row in rows]
            for index, name in reversed(list(enumerate(header)))  # so that of repeated names the first counts
        },
        schema=dict.fromkeys(header, pl.String),
    )


def _until_unreadable(reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """Yield rows until an unclosed quote exceeds the parser's limit; one unreadable row stands for the remainder."""
    try:
        yield from reader
    except csv.Error:
        yield [_UNREADABLE] * width


def _located(cells: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Select the table's cells, empty ones as null, and the `line` of each row that has a value."""
    breaks = pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).fill_null(0)).cast(pl.Int64)
    first = _HEADER_LINE + 1
    places = cells.select(
        line=pl.int_range(first, first + pl.len(), dtype=pl.Int64) + breaks.cum_sum() - breaks,
        is_blank=pl.all_horizontal(pl.all().fill_null("") == ""),
    )
    filled = cells.select(pl.when(pl.col(name) != "").then(name).alias(name) for name in table.columns)
    return pl.concat([filled, places], how="horizontal").filter(~pl.col("is_blank")).drop("is_blank")


def _validated(text: pl.DataFrame, path: str, table: Table) -> TableRead:
    """Convert text to values and separate rejected rows, by the first violation: columns, then rules, then the key."""
    of_columns = [problem for name, column in table.columns.items() for problem in _problems(name, column)]
    of_table = [(broken, rejection_of(name, problem)) for broken, name, problem in table.rules]
    validated = (
        text.with_columns(broken=_first_broken(of_columns))
        .with_columns(column.value.alias(name) for name, column in table.columns.items())
        .with_columns(broken=pl.coalesce("broken", _first_broken(of_table, len(of_columns))))
    )
    accepted = validated.filter(pl.col("broken").is_null())
    is_first = accepted.select(pl.struct(table.key).is_first_distinct()).to_series()
    rejections = [rejection for _, rejection in (*of_columns, *of_table)]
    repeated = accepted.filter(~is_first).with_columns(broken=pl.lit(len(rejections), dtype=pl.Int64))
    broken = pl.concat([validated.filter(pl.col("broken").is_not_null()), repeated])
    rejections.append(rejection_of(table.key[0], "repeats the key of an earlier row"))
    return TableRead(accepted.filter(is_first).select(*table.columns), _rejected(broken, path, rejections))


def _problems(name: str, column: Column) -> Iterator[tuple[pl.Expr, Rejection]]:
    cell = pl.col(name)
    yield cell.str.contains(_UNREADABLE, literal=True), rejection_of(name, "not readable as UTF-8")
    if not column.is_optional:
        yield cell.is_null(), rejection_of(name, "required")
    yield cell.is_not_null() & column.value.is_null(), rejection_of(name, f"expected {column.expected}")


def _first_broken(problems: Sequence[tuple[pl.Expr, Rejection]], offset: int = 0) -> pl.Expr:
    """Return the number of the first violation of a row, or null."""
    numbered = [
        pl.when(broken).then(pl.lit(number, dtype=pl.Int64))
        for number, (broken, _) in enumerate(problems, start=offset)
    ]
    return pl.coalesce(*numbered, pl.lit(None, dtype=pl.Int64))


def _rejected(broken: pl.DataFrame, path: str, rejections: Sequence[Rejection]) -> pl.DataFrame:
    return (
        broken.select(
            "line",
            file=pl.lit(path),
            field=_named(rejections, [rejection.field for rejection in rejections]),
            reason=_named(rejections, [rejection.reason for rejection in rejections]),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in column_types(Rejected).items())
        .sort("line")
    )


def _named(rejections: Sequence[Rejection], names: Sequence[str | None]) -> pl.Expr:
    return pl.col("broken").replace_strict(list(range(len(rejections))), names, return_dtype=pl.String)
