"""The ledger's tables and its connections; `ledger` gives them their meaning.

Rows are only ever added, but for ended clocks among the notices, and for what pruning takes: fingerprints and shards.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from spam_pipeline.protocol.ledger.column_types import PackedJson
from spam_pipeline.protocol.ledger.unusable import LOCKED_AFTER_SECONDS, raise_unusable

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
    sa.Column("marker", sa.String, nullable=False),
    sa.Column("observed_at", sa.BigInteger, nullable=False),
    sa.Index("observations_by_path", "path", "id"),
)

shared_values = sa.Table(
    "shared_values",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("value", PackedJson, nullable=False),
    sqlite_with_rowid=False,
)


def _shared(name: str) -> sa.Column[bytes]:
    """A column whose value lies in `shared_values`, because it is that of many rows."""
    return sa.Column(name, sa.ForeignKey("shared_values.digest"), nullable=False)


versions = sa.Table(
    "versions",
    metadata,
    _id(),
    sa.Column("recipe", sa.String, nullable=False, unique=True),
    sa.Column("context", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    _shared("configuration"),
    sa.Column("content", sa.String, nullable=False),
    _shared("columns"),
    _shared("inputs"),
    sa.Column("schema_version", sa.Integer, nullable=False),
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
    sa.Column("files", PackedJson, nullable=False),
)

fingerprints = sa.Table(
    "fingerprints",
    metadata,
    _id(),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("contract", sa.String, nullable=False),
    sa.Column("numbers", PackedJson, nullable=False),
    sa.Column("measures", PackedJson, nullable=False),
    sa.Column("measured_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("version_id", "contract"),
)

shards = sa.Table(
    "shards",
    metadata,
    sa.Column("recipe", sa.String, primary_key=True),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("files", PackedJson, nullable=False),
    sa.Column("decoded_at", sa.BigInteger, nullable=False),
)

audits = sa.Table(
    "audits",
    metadata,
    _id(),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("contract", sa.String, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("history", sa.String, nullable=False),
    sa.Column("is_provisional", sa.Boolean, nullable=False),
    sa.Column("decision", sa.BigInteger, nullable=False),
    sa.Column("audited_at", sa.BigInteger, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    _id(),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("decided_at", sa.BigInteger, nullable=False),
    sa.Index("decisions_by_partition", "stage", "partition", "id"),
)

publications = sa.Table(
    "publications",
    metadata,
    _id(),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("version_id", sa.ForeignKey("versions.id")),
    sa.Column("run", sa.String),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("cause", sa.String, nullable=False),
    sa.Column("published_at", sa.BigInteger, nullable=False),
    sa.Index("publications_by_partition", "environment", "stage", "partition", "id"),
)

code_versions = sa.Table(
    "code_versions",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("definitions", PackedJson, nullable=False),
    sa.Column("libraries", PackedJson, nullable=False),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    _id(),
    sa.Column("recipe", sa.String, nullable=False, index=True),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("partition", sa.String, nullable=False),
    sa.Column("run", sa.String),
    sa.Column("began_at", sa.BigInteger, nullable=False),
)

failures = sa.Table(
    "failures",
    metadata,
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("error", sa.String, nullable=False),
    sa.Column("failed_at", sa.BigInteger, nullable=False),
)

completions = sa.Table(
    "completions",
    metadata,
    sa.Column("attempt_id", sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("completed_at", sa.BigInteger, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _id(),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("place", sa.String, nullable=False),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("delivered_at", sa.BigInteger, nullable=False),
    sa.Index("deliveries_by_stage", "environment", "stage", "id"),
)

notices = sa.Table(
    "notices",
    metadata,
    _id(),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("about", sa.String, nullable=False),
    sa.Column("mark", sa.String, nullable=False),
    sa.Column("is_over", sa.Boolean, nullable=False),
    sa.Column("noted_at", sa.BigInteger, nullable=False),
    sa.Index("notices_by_subject", "environment", "target", "kind", "about", "id"),
)

prunings = sa.Table(
    "prunings",
    metadata,
    _id(),
    sa.Column("version_id", sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("cause", sa.String, nullable=False),
    sa.Column("pruned_at", sa.BigInteger, nullable=False),
    sa.Column("revived_at", sa.BigInteger),
)

layout = sa.Table(
    "layout",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("identity", sa.String, nullable=False),
)
LAYOUT = 6
"""Number of the tables' layout, kept in the ledger; raised whenever a table changes, with a step in `migration`."""


def connect(url: str) -> Engine:
    """An engine for `url`; `layouts` puts the tables in place. SQLite works in WAL mode, so that readers never wait for a writer."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "handle_error", raise_unusable)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer of this ledger overlaps, so that it may check first and then add.

    SQLite takes its write lock at the start; PostgreSQL takes one advisory lock for the transaction.
    """
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield connection


_LOCK = 0x5350414D
"""The advisory lock of one ledger's writers in PostgreSQL; any constant does ("SPAM" in ASCII)."""

_WAIT_MS = LOCKED_AFTER_SECONDS * 1000


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guess
    cursor = connection.cursor()
    # FULL, because in WAL mode SQLite's NORMAL may lose the last transactions when the power fails.
    for pragma in (f"busy_timeout={_WAIT_MS}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Change the journal mode, once per file.

    SQLite ignores its busy timeout here: when six processes opened a new file at once, 5 of 60 rounds failed.
    """
    last_try = time.monotonic() + _WAIT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_locked = error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not is_locked or time.monotonic() > last_try:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
