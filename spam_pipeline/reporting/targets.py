"""Targets in a file system: a failure of one concerns its own delivery only; a broken target once stopped all convergence."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from spam_pipeline.reporting.errors import TargetUnreachable


@contextmanager
def reaching(target: str) -> Iterator[None]:
    """Raise `TargetUnreachable` for errors of the file system or a database while reading or writing a target."""
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error) as error:
        raise TargetUnreachable(f"{target} cannot be read or written: {error}") from error
