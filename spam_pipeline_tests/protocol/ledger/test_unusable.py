"""A database that nobody can work with: one error that names the place and the way out, whichever statement met it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.foundation.errors import PlaceUnusable
from spam_pipeline.protocol.ledger import Ledger, claims, tables
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import Observation

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def seen(number: int) -> list[Observation]:
    return [Observation("plays", "2026-01-05", f"{number}/{item}", "a" * 64, 1, "b" * 500, NOW) for item in range(200)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger with some observations, which nobody has open."""
    file = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{file}")
    for number in range(5):
        ledger.observations.record(seen(number))
    ledger.close()
    return file


def read_and_write(file: Path) -> None:
    ledger = Ledger(f"sqlite:///{file}")
    try:
        ledger.observations.after(0, 100_000)
        ledger.observations.record(seen(7))
    finally:
        ledger.close()


def overwrite(file: Path, start: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(content)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: overwrite(file, 0, b"no database"),
        lambda file: file.write_bytes(b"something else, " * 500),
        lambda file: overwrite(file, 4096 * 3, b"\x7f" * (file.stat().st_size - 4096 * 4)),
        truncate,
    ],
    ids=["its first bytes", "another file", "pages in the middle", "truncated"],
)
def test_a_damaged_file_is_named_with_the_ways_to_get_it_back(file: Path, damage: object) -> None:
    damage(file)  # type: ignore[operator]
    with pytest.raises(PlaceUnusable) as told:
        read_and_write(file)
    assert str(told.value).startswith(f"the ledger {file} is ")
    assert "restore it from a backup; without one, move it away and rebuild it" in str(told.value)
    assert "converge --from-landing" in str(told.value)


def test_a_full_disk_is_named_and_what_was_recorded_stays(file: Path) -> None:
    engine = tables.connect(f"sqlite:///{file}")
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    row = {"source": "x", "partition": "x", "path": "x" * 9_000, "size": 1, "marker": "", "observed_at": 1}
    full = pytest.raises(PlaceUnusable, match="is on a disk that is full: make room, and go on where it was")
    with full, tables.writing(engine) as connection:
        connection.execute(sa.insert(tables.observations), [row] * 100)
    engine.dispose()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("select count(*) from observations").fetchone() == (1000,)


def test_a_lock_that_never_ends_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_WAIT_MS", 100)
    with closing(sqlite3.connect(file, isolation_level=None)) as hanging:
        hanging.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            PlaceUnusable, match=r"ledger\.db is locked for .* by another process: end the one that hangs"
        ):
            read_and_write(file)
    read_and_write(file)


def test_a_lock_of_postgresql_that_never_ends_is_named(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_WAIT_MS", 100)
    one, other = tables.connect(postgresql_url), tables.connect(postgresql_url)
    hangs = pytest.raises(PlaceUnusable, match="by another process: end the one that hangs")
    with tables.writing(one), hangs, tables.writing(other):
        pass
    for engine in (one, other):
        engine.dispose()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaceUnusable, match=r"nowhere/ledger\.db is not to be opened: make its folder"):
        Ledger(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}")


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(
        PlaceUnusable, match=r"postgresql\+psycopg://me:\*\*\*@localhost:1/x is not to be reached"
    ) as told:
        Ledger("postgresql+psycopg://me:secret@localhost:1/x")
    assert "secret" not in str(told.value)


def test_an_error_that_is_a_bug_stays_what_it_is(file: Path) -> None:
    engine = tables.connect(f"sqlite:///{file}")
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="no such table"):
        connection.exec_driver_sql("select * from nothing_of_that_name")
    engine.dispose()


HOLD = (
    "import sys, time; from spam_pipeline.protocol.ledger.claims import Claims\n"
    "with Claims(sys.argv[1]).on('ab' * 32, wait=True): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def hanging_claim(ledger_url: str) -> Iterator[str]:
    """The URL of a ledger of which another process has claimed a recipe, and does not give it up."""
    with subprocess.Popen([sys.executable, "-c", HOLD, ledger_url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield ledger_url
        holder.kill()


def test_a_claim_that_never_ends_is_named(hanging_claim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_ENDLESS_SECONDS", 0.1)
    hangs = pytest.raises(PlaceUnusable, match="by another process: end the one that hangs")
    with hangs, Claims(hanging_claim).on("ab" * 32, wait=True):
        pass
