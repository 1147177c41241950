"""CSV reference files as typed tables: every row is accepted, or rejected with its location and the reason.

A table is described by its columns; the tables themselves are in `reference`. What is a row is decided in `csv_rows`. Files are
small compared with plays, so they are read whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from spam_pipeline.ingestion.contracts import Rejected
from spam_pipeline.ingestion.csv_rows import Header, Rows, header_of, lines_of, rows_of
from spam_pipeline.ingestion.records import Rejection, rejection_of
from spam_pipeline.protocol import column_types

_OTHER_SEPARATORS = (";", "\t", "|")
_NOTHING = Rows({}, {})


class RowsLost(Exception):
    """Other rows were accepted and rejected than a file has: an error of this code, whatever the file."""


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

    Every row is accepted or rejected. Of rows with the same key the first is kept. `line` is where a row begins, counting line
    breaks within quotes. A file whose header cannot be used is rejected as a whole, at the line of the header; a file without a
    header has no rows. Raises `RowsLost` if that should ever not be so.
    """
    lines = lines_of(content)
    header = header_of(content, lines)
    if header is None:
        found = _NOTHING
    elif problem := _problem_of_header(header, table):
        found = Rows({}, {header.line: problem})
    else:
        found = rows_of(lines, header, [name for name, column in table.columns.items() if not column.is_optional])
    read = _validated(header, found, path, table)
    seen, kept = len(found.cells) + len(found.broken), read.rows.height + read.rejected.height
    if seen != kept:
        raise RowsLost(f"{path} has {seen} rows, of which {kept} were accepted or rejected: please report this file")
    return read


def _problem_of_header(header: Header, table: Table) -> Rejection | None:
    if header.problem:
        return header.problem
    for name in table.columns:
        if name not in header.names:
            return rejection_of(name, f"no such column in this file{_nearly(name, header.names)}")
        if header.names.count(name) > 1:
            return rejection_of(name, "more than one column of this name in this file")
    return None


def _nearly(name: str, names: Sequence[str]) -> str:
    """What a header has in the place of a column that it lacks, if that can be told."""
    if any(other.strip().casefold() == name for other in names):
        return ", only one with blanks around its name or in other letters"
    if len(names) == 1 and any(separator in names[0] for separator in _OTHER_SEPARATORS):
        return ", which is not separated by commas"
    return ", which is not UTF-8 text" if any("\x00" in other or not _is_text(other) for other in names) else ""


def _is_text(cell: str) -> bool:
    """Return true for text; what is no UTF-8 has come as lone surrogates."""
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cells(header: Header | None, found: Rows, table: Table) -> tuple[pl.DataFrame, dict[int, Rejection]]:
    """The table's cells by `line`, empty ones as null; and the rows of which one of them is no text."""
    columns: dict[str, list[str | None]] = {}
    unreadable: dict[int, Rejection] = {}
    for name in table.columns:
        index = header.names.index(name) if header and found.cells else 0
        column = [row[index] or None if index < len(row) else None for row in found.cells.values()]
        if not _is_text("".join(filter(None, column))):
            wrong = [line for line, cell in zip(found.cells, column, strict=True) if cell and not _is_text(cell)]
            unreadable = dict.fromkeys(wrong, rejection_of(name, "not readable as UTF-8")) | unreadable
            column = [cell if cell and _is_text(cell) else None for cell in column]
        columns[name] = column
    frame = pl.DataFrame({**columns, "line": list(found.cells)}, schema=_schema(table))
    return frame.filter(~pl.col("line").is_in(list(unreadable))), unreadable


def _schema(table: Table) -> dict[str, pl.DataType]:
    return {**dict.fromkeys(table.columns, pl.String()), "line": pl.Int64()}


def _validated(header: Header | None, found: Rows, path: str, table: Table) -> TableRead:
    """Convert text to values and separate rejected rows, by the first violation: columns, then rules, then the key."""
    text, unreadable = _cells(header, found, table)
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
    located = broken.select(
        "line",
        field=_named(rejections, [rejection.field for rejection in rejections]),
        reason=_named(rejections, [rejection.reason for rejection in rejections]),
    )
    rejected = pl.concat([located, _located(found.broken | unreadable)]).with_columns(file=pl.lit(path))
    return TableRead(
        accepted.filter(is_first).select(*table.columns),
        rejected.select(pl.col(name).cast(dtype) for name, dtype in column_types(Rejected).items()).sort("line"),
    )


def _problems(name: str, column: Column) -> Iterator[tuple[pl.Expr, Rejection]]:
    cell = pl.col(name)
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


def _located(rejections: Mapping[int, Rejection]) -> pl.DataFrame:
    rows = [(line, rejection.field, rejection.reason) for line, rejection in rejections.items()]
    return pl.DataFrame(rows, schema={"line": pl.Int64, "field": pl.String, "reason": pl.String}, orient="row")


def _named(rejections: Sequence[Rejection], names: Sequence[str | None]) -> pl.Expr:
    return pl.col("broken").replace_strict(list(range(len(rejections))), names, return_dtype=pl.String)
