"""Printing the answer to a query."""

from typing import Any

import typer

from spam_pipeline.command_line.terminal import print_json, print_table
from spam_pipeline.operations.pipeline import Pipeline, WrongMoment, moment
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.query import Answer, ask


def print_answer(sql: str, as_of: str | None, *, as_json: bool) -> None:
    """Run a query over what is published, or was published at `as_of`, and print its rows."""
    try:
        published_at = moment(as_of)
    except WrongMoment as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
    with Pipeline().query(published_at) as connection:
        answer = ask(connection, sql)
    if as_json:
        print_json(_objects(answer))
    else:
        print_table(answer.columns, [[str(value) for value in row] for row in answer.rows])


def _objects(answer: Answer) -> list[dict[str, Any]]:
    """Rows as JSON objects, which cannot hold two columns of one name."""
    duplicates = sorted({name for name in answer.columns if answer.columns.count(name) > 1})
    if duplicates:
        raise QueryRefused(f"two columns are called {', '.join(duplicates)}: rename one with AS")
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
