"""Targets in a file system, local or remote: a failure of one concerns its own delivery only; a broken target once stopped all convergence."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from spam_pipeline.protocol import PipelineError
from spam_pipeline.reporting.errors import TargetUnreachable


@contextmanager
def reaching(target: str) -> Iterator[None]:
    """Raise `TargetUnreachable` for errors of the file system or a database while reading or writing a target.

    Remote file systems raise errors of their own: botocore's for a server that does not answer is no `OSError`.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if "://" not in target and not isinstance(error, OSError | sqlite3.Error | duckdb.Error):
            raise
        raise TargetUnreachable(f"{target} cannot be read or written: {error}") from error
