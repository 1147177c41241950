"""Opening a ledger's database: tables are created in an empty one, and those of an earlier release are brought to the present layout.

What the tables are is in `tables`, and how rows change from layout to layout in `migration`.
"""

import logging
import sqlite3
from contextlib import closing, suppress
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from spam_pipeline.protocol.foundation.errors import WrongLedger
from spam_pipeline.protocol.ledger.migration import REBUILT, UPGRADED, upgrade
from spam_pipeline.protocol.ledger.tables import LAYOUT, connect, layout, metadata, writing
from spam_pipeline.protocol.ledger.unusable import place_of

_logger = logging.getLogger(__name__)

_NONE = 0
"""The layout of a database without a ledger."""


def open_database(url: str) -> Engine:
    """An engine for `url` with the tables in place, brought over from an earlier layout if need be; raise `WrongLedger` for another one."""
    engine = connect(url)
    try:
        _lay_out(engine)
    except Exception:
        engine.dispose()
        raise
    return engine


def _lay_out(engine: Engine) -> None:
    with engine.connect() as connection:
        found = _layout(connection)
    if found == LAYOUT:
        return
    with writing(engine) as connection:
        found = _layout(connection)  # again: another process may have been first
        if found == _NONE:
            # No table is there, and asking for each takes longer than making it.
            metadata.create_all(connection, checkfirst=False)
            connection.execute(sa.insert(layout), {"number": LAYOUT, "identity": uuid4().hex})
        elif found in UPGRADED:
            _logger.warning(
                "the ledger %s has layout %d, of an earlier release: bringing it to layout %d, once; others wait",
                *(place_of(engine.url), found, LAYOUT),
            )
            upgrade(connection, found)
    if found == REBUILT and engine.dialect.name == "sqlite":
        give_back_room(engine)


def give_back_room(engine: Engine) -> None:
    """Shrink a file by the room of rows that are gone, of which it then holds nothing any more.

    It is whole without that, so a full disk or a reader in the way is no error.
    """
    with closing(engine.raw_connection()) as connection, suppress(sqlite3.OperationalError):
        connection.cursor().execute("VACUUM")
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _layout(connection: Connection) -> int:
    """The number of the layout of the tables; raise `WrongLedger` for one that this release can do nothing with."""
    tables = set(sa.inspect(connection).get_table_names())
    if not tables & metadata.tables.keys():
        return _NONE
    found = (connection.scalar(sa.select(layout.c.number)) if layout.name in tables else None) or 1
    if found not in {*UPGRADED, LAYOUT}:
        raise WrongLedger(
            f"the ledger has layout {found}, and this release reads layout {LAYOUT}: use the release that made it, or another "
            "ledger, which one convergence fills again from the landing zone"
        )
    return found
