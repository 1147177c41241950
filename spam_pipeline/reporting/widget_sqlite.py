"""Widget counts in a SQLite file: the embedded keyed store. A delivery builds a new file and renames it into place.

The file from before is kept beside it with the suffix `.previous`, so that switching back to it is a rename too. Both are hard
links while they change places.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import polars as pl

from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.replaced_file import replaced

_UNREADABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_JOURNALS = ("-journal", "-wal", "-shm")
_PLAYS = "SELECT plays FROM play_counts WHERE track_id = ?"


class _Identity(NamedTuple):
    """The identity of a file, which no replacement shares while it is open, whatever the time stamps: its inode."""

    device: int
    number: int
    written_at: int


class _Opened(NamedTuple):
    identity: _Identity
    database: sqlite3.Connection


class SqliteWidgetStore:
    """Play counts by track in the SQLite file at `path`; for one thread, and to be closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.previous = path.with_name(f"{path.name}.previous")
        self._opened: _Opened | None = None

    def delivered(self) -> str | None:
        """Return the recipe of the file; None when there is no file, or it is damaged.

        Raises `ForeignTarget` for a sound database that this pipeline did not build.
        """
        return _recipe_of(self.path)

    def deliver(self, recipe: str, counts: pl.LazyFrame) -> None:
        """Replace the file with `counts` (`WidgetCounts`), or with the previous file if that holds them.

        Raises `ForeignTarget` when somebody else's database lies in the place of the previous file.
        """
        with replaced(self.path, _JOURNALS) as building:
            if not self._take_previous(recipe, building):
                rows = counts.select("track_id", "plays").collect(engine="streaming")
                with closing(sqlite3.connect(building)) as database:
                    _fill(database, recipe, rows)
            self._keep(building.with_name("kept"))

    def play_counts(self, track_ids: Iterable[str]) -> dict[str, int]:
        """Return the counts of those of `track_ids` that have one, all from the same delivery; none before the first."""
        database = self._current()
        if database is None:
            return {}
        found = ((track_id, database.execute(_PLAYS, (track_id,)).fetchone()) for track_id in track_ids)
        return {track_id: row[0] for track_id, row in found if row}

    def close(self) -> None:
        """Close the open file."""
        if self._opened:
            self._opened.database.close()
            self._opened = None

    def _current(self) -> sqlite3.Connection | None:
        """Return the file at the path: the open one, unless it was replaced."""
        while (identity := self._identity()) is not None:
            if self._opened is not None and self._opened.identity == identity:
                return self._opened.database
            # The file may have been replaced between looking and opening; then both are repeated.
            self.close()
            self._opened = _Opened(identity, _open(self.path))
            if self._identity() != identity:
                self.close()
        return None

    def _identity(self) -> _Identity | None:
        try:
            seen = self.path.stat()
        except FileNotFoundError:
            return None
        return _Identity(seen.st_dev, seen.st_ino, seen.st_mtime_ns)

    def _take_previous(self, recipe: str, building: Path) -> bool:
        """Move the previous file into place if it holds a recipe; return true if it does."""
        if not self.previous.exists():
            return False
        os.link(self.previous, building)  # from here on it is the same file, even if somebody else delivers meanwhile
        if _recipe_of(building) == recipe:
            return True
        building.unlink()
        return False

    def _keep(self, name: Path) -> None:
        """Keep the file that is about to be replaced as the previous one."""
        if self.path.exists():
            os.link(self.path, name)
            name.replace(self.previous)


def _recipe_of(path: Path) -> str | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    with closing(_open(path)) as database:
        try:
            tables = database.execute("SELECT name FROM sqlite_schema WHERE name = 'delivered'").fetchall()
            found = database.execute("SELECT recipe FROM delivered").fetchone() if tables else None
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode in _UNREADABLE:
                return None
            raise
    if found is None:
        raise ForeignTarget(f"{path} is a database without widget counts: move it away, or name another file")
    return str(found[0])


def _fill(database: sqlite3.Connection, recipe: str, rows: pl.DataFrame) -> None:
    # Nobody sees the file before it is complete and flushed, so a journal would protect nothing.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE play_counts (track_id TEXT PRIMARY KEY, plays INTEGER NOT NULL) WITHOUT ROWID")
    database.executemany("INSERT INTO play_counts VALUES (?, ?)", rows.iter_rows())
    database.execute("CREATE TABLE delivered (recipe TEXT NOT NULL)")
    database.execute("INSERT INTO delivered VALUES (?)", (recipe,))
    database.commit()


def _open(path: Path) -> sqlite3.Connection:
    # Immutable, because a delivery replaces the file and never writes to it: no locks and no journals.
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
