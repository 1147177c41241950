"""Errors of the ledger's database that nobody can work with: said once, with the place and the way out, instead of once per stage.

Other errors of the database are bugs and stay what they are.
"""

import sqlite3

import sqlalchemy as sa
from sqlalchemy.engine import ExceptionContext

from spam_pipeline.protocol.foundation.errors import PlaceUnusable

LOCKED_AFTER_SECONDS = 120
"""Seconds for which a writer waits for another one: writing takes milliseconds, so by then somebody hangs."""

_RESTORE = "restore it from a backup; without one, move it away and rebuild it with spam-pipeline converge --from-landing, which says what is lost"
_UNLOCK = (
    f"locked for {LOCKED_AFTER_SECONDS} s by another process: end the one that hangs (a client with an open transaction, a backup, "
    "a stopped run); nothing was lost"
)
_MAKE_ROOM = "on a disk that is full: make room, and go on where it was; nothing was lost"

_OF_SQLITE = {
    sqlite3.SQLITE_CORRUPT: f"damaged: {_RESTORE}",
    sqlite3.SQLITE_NOTADB: f"no database any more: {_RESTORE}",
    sqlite3.SQLITE_FULL: _MAKE_ROOM,
    sqlite3.SQLITE_IOERR: "on a disk that gives errors: look after that first, then restore the ledger from a backup if it is damaged",
    sqlite3.SQLITE_BUSY: _UNLOCK,
    sqlite3.SQLITE_LOCKED: _UNLOCK,
    sqlite3.SQLITE_READONLY: "read-only for this user: use the user who owns it, or give this one the right to write",
    sqlite3.SQLITE_CANTOPEN: "not to be opened: make its folder, or give this user the right to read and write there",
}
_OF_POSTGRESQL = {
    "53100": _MAKE_ROOM,
    "55P03": _UNLOCK,
    "XX001": f"damaged: {_RESTORE}",
    "XX002": f"damaged: {_RESTORE}",
}


def raise_unusable(context: ExceptionContext) -> None:
    """Raise `PlaceUnusable` for an error of a database that stands in everybody's way; a listener of SQLAlchemy."""
    error = context.original_exception
    if isinstance(error, sqlite3.Error):
        problem = _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    elif context.is_disconnect or context.connection is None:
        problem = "not to be reached: start its server, or mend the connection; nothing was lost"
    else:
        problem = _OF_POSTGRESQL.get(getattr(error, "sqlstate", None) or "")
    if problem is not None and context.engine is not None:
        raise PlaceUnusable(
            f"the ledger {place_of(context.engine.url)} is {problem} ({' '.join(str(error).split())})"
        ) from error


def place_of(url: sa.URL) -> str:
    """The place of a ledger as messages name it: a path, or a URL without the password."""
    is_file = url.get_backend_name() == "sqlite"
    return str(url.database) if is_file else url.render_as_string(hide_password=True)
