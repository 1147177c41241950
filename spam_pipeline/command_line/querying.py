"""Printing the answer to a query, or writing it to a file."""

import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from spam_pipeline.command_line.terminal import err, print_json, print_narrow_table, print_record, working
from spam_pipeline.operations.pipeline import Pipeline, WrongMoment, moment
from spam_pipeline.reporting.query import Answer, ask, require_distinct, write_answer


def print_answer(sql: str, as_of: str | None, *, as_json: bool) -> None:
    """Run a query over what is published, or was published at `as_of`, and print its rows, as wide as the terminal is."""
    with working("querying"), Pipeline().query(_moment(as_of)) as connection:
        answer = ask(connection, sql)
    if as_json:
        print_json(_objects(answer))
        return
    shortened = print_narrow_table(answer.columns, answer.rows)
    if shortened:
        err.print(f"{shortened}; --csv and --out FILE.csv or FILE.parquet have everything in full")


def print_written(sql: str, as_of: str | None, file: Path, *, as_json: bool) -> None:
    """Write the answer to a query to a file, which takes its place only when it is complete."""
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.absolute().parent}", param_hint="--out")
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".query-") as folder:
        unfinished = _written(sql, as_of, Path(folder), file.name)
        size = unfinished.stat().st_size
        unfinished.replace(file)
    print_record({"file": str(file), "bytes": size}, as_json=as_json)


def print_csv(sql: str, as_of: str | None) -> None:
    """Write the answer to a query to standard output as CSV, once it is complete."""
    with (
        tempfile.TemporaryDirectory(prefix="query-") as folder,
        _written(sql, as_of, Path(folder), "answer.csv").open("rb") as file,
    ):
        shutil.copyfileobj(file, sys.stdout.buffer)


def _written(sql: str, as_of: str | None, folder: Path, name: str) -> Path:
    file = folder.resolve() / name
    with working("querying"), Pipeline().query(_moment(as_of), writable=[str(file)]) as connection:
        write_answer(connection, sql, str(file))
    return file


def _moment(as_of: str | None) -> datetime | None:
    try:
        return moment(as_of)
    except WrongMoment as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None


def _objects(answer: Answer) -> list[dict[str, Any]]:
    """Rows as JSON objects, which cannot hold two columns of one name."""
    require_distinct(answer.columns)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
