"""Widget counts in a SQLite file: the embedded keyed store. A delivery builds a new file and renames it into place."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import polars as pl

from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.replaced_file import replaced

_UNREADABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_JOURNALS = ("-journal", "-wal", "-shm")


@dataclass(frozen=True)
class SqliteWidgetStore:
    """Play counts by track in the SQLite file at `path`."""

    path: Path

    def delivered(self) -> str | None:
        """The recipe the file holds; None when there is no file, or it is damaged.

        Raises `ForeignTarget` for a sound database that this pipeline did not build.
        """
        if not self.path.exists() or self.path.stat().st_size == 0:
            return None
        with closing(self._open()) as database:
            try:
                tables = database.execute("SELECT name FROM sqlite_schema WHERE name = 'delivered'").fetchall()
                found = database.execute("SELECT recipe FROM delivered").fetchone() if tables else None
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode in _UNREADABLE:
                    return None
                raise
        if found is None:
            raise ForeignTarget(f"{self.path} is a database without widget counts: move it away, or name another file")
        return str(found[0])

    def deliver(self, recipe: str, counts: pl.LazyFrame) -> None:
        """Replace the file with `counts` (`WidgetCounts`)."""
        rows = counts.select("track_id", "plays").collect(engine="streaming")
        with replaced(self.path, _JOURNALS) as building, closing(sqlite3.connect(building)) as database:
            # Nobody sees the file before it is complete and flushed, so a journal would protect nothing.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute(
                "CREATE TABLE play_counts (track_id TEXT PRIMARY KEY, plays INTEGER NOT NULL) WITHOUT ROWID"
            )
            database.executemany("INSERT INTO play_counts VALUES (?, ?)", rows.iter_rows())
            database.execute("CREATE TABLE delivered (recipe TEXT NOT NULL)")
            database.execute("INSERT INTO delivered VALUES (?)", (recipe,))
            database.commit()

    def play_counts(self, track_ids: Iterable[str]) -> dict[str, int]:
        """The counts of those of `track_ids` that have one, all from the same delivery; none before the first."""
        if not self.path.exists():
            return {}
        counts: dict[str, int] = {}
        with closing(self._open()) as database:
            for track_id in track_ids:
                found = database.execute("SELECT plays FROM play_counts WHERE track_id = ?", (track_id,)).fetchone()
                if found:
                    counts[track_id] = found[0]
        return counts

    def _open(self) -> sqlite3.Connection:
        # Immutable, because a delivery replaces the file and never writes to it: no locks and no journals.
        return sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro&immutable=1", uri=True)
