"""Targets in a file system: what goes wrong with one concerns its own delivery, and keeps nothing else from being done."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from spam_pipeline.reporting.errors import TargetUnreachable


@contextmanager
def reaching(target: str) -> Iterator[None]:
    """Raise `TargetUnreachable` for whatever the file system or a database says against reading or writing a target."""
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error) as error:
        raise TargetUnreachable(f"{target} cannot be read or written: {error}") from error
