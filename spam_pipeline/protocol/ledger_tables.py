"""The ledger's tables and its connections. Rows are only ever added; what they mean is in `ledger`."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

metadata = sa.MetaData()


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


observations = sa.Table(
    "observations",
    metadata,
    _id(),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("digest", sa.String),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.BigInteger, nullable=False),
    sa.Column("observed_at", sa.BigInteger, nullable=False),
    sa.Index("observations_by_path", "path", "id"),
)

versions = sa.Table(
    "versions",
    metadata,
    _id(),
    sa.Column("recipe", sa.String, nullable=False, unique=True),
    sa.Column("context", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("fingerprint", sa.JSON, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("rows_read", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("computed_at", sa.BigInteger, nullable=False),
    sa.Index("versions_by_partition", "stage", "partition", "id"),
)

parts = sa.Table(
    "parts",
    metadata,
    sa.Column("version_id", sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("is_side_part", sa.Boolean, nullable=False),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
)

inputs = sa.Table(
    "inputs",
    metadata,
    sa.Column("version_id", sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("parameter", sa.String, nullable=False),
    sa.Column("part", sa.String, nullable=False),
    sa.Column("upstream_version_id", sa.ForeignKey("versions.id")),
    sa.Column("observation_id", sa.ForeignKey("observations.id")),
)

shards = sa.Table(
    "shards",
    metadata,
    sa.Column("recipe", sa.String, primary_key=True),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("decoded_at", sa.BigInteger, nullable=False),
)

audits = sa.Table(
    "audits",
    metadata,
    _id(),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("audited_at", sa.BigInteger, nullable=False),
)

publications = sa.Table(
    "publications",
    metadata,
    _id(),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("run", sa.String),
    sa.Column("published_at", sa.BigInteger, nullable=False),
    sa.Index("publications_by_partition", "environment", "stage", "partition", "id"),
)


def connect(url: str) -> Engine:
    """An engine for `url` with the tables in place. SQLite works in WAL mode, so that readers never wait for a writer."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    with engine.connect() as connection:
        wanted = set(metadata.tables)
        missing = wanted - set(sa.inspect(connection).get_table_names())
    if missing:
        with writing(engine) as connection:
            metadata.create_all(connection)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer of this ledger overlaps, so that it may check first and then add.

    SQLite takes its write lock at the start; PostgreSQL takes one advisory lock for the transaction.
    """
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


_LOCK = 0x5350414D
"""The advisory lock of one ledger's writers in PostgreSQL; any constant does ("SPAM" in ASCII)."""

_WAIT_MS = 120_000


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guess
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_WAIT_MS}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Change the journal mode, once per file. SQLite does not wait for this lock by itself when two open a new file at once."""
    last_try = time.monotonic() + _WAIT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > last_try:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
