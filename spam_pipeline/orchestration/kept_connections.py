"""Connections to the event log of a Dagster instance that are kept while many events are reported.

Dagster's event log in SQLite makes an engine and a connection for each of the four or so transactions that it stores an event in, and so
compiles each statement anew: with connections that stay, a publication takes 11 ms of CPU and not 28. Other event logs have pools of
their own. What is stored is up to Dagster, as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.pool import StaticPool


@contextmanager
def kept_connections(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep the connections to an instance's event log for the block, if that is Dagster's own in SQLite."""
    log = instance.event_log_storage
    if type(log) is not SqliteEventLogStorage or "_connect" in vars(log):
        yield
        return
    kept = _Kept(log)
    vars(log).update(_connect=kept.connect, has_table=kept.has_table)
    try:
        yield
    finally:
        with log._db_lock:  # noqa: SLF001 - the lock under which Dagster connects
            del vars(log)["_connect"], vars(log)["has_table"]
            kept.close()


class _Kept:
    """The connections to the files of an event log, one for the index and one for each run."""

    def __init__(self, log: SqliteEventLogStorage) -> None:
        self._log = log
        self._engines: dict[str, sa.Engine] = {}
        self._tables = set[str]()

    @contextmanager
    def connect(self, shard: str) -> Iterator[sa.Connection]:
        """Begin a transaction as `SqliteEventLogStorage._connect` does, which initialises a file that is new to it."""
        if shard not in self._log._initialized_dbs:  # noqa: SLF001
            with SqliteEventLogStorage._connect(self._log, shard):  # noqa: SLF001
                pass
        with self._log._db_lock, self._engine(shard).begin() as connection:  # noqa: SLF001
            yield connection

    def has_table(self, name: str) -> bool:
        """Return True if there is a table; one that is there stays."""
        if name not in self._tables and SqliteEventLogStorage.has_table(self._log, name):
            self._tables.add(name)
        return name in self._tables

    def close(self) -> None:
        """Close the connections."""
        for engine in self._engines.values():
            engine.dispose()

    def _engine(self, shard: str) -> sa.Engine:
        if shard not in self._engines:
            # One connection for all threads: they take turns by the lock.
            arguments: dict[str, Any] = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
            url = self._log.conn_string_for_shard(shard)
            self._engines[shard] = create_engine(url, poolclass=StaticPool, connect_args=arguments)
        return self._engines[shard]
