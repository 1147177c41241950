"""Traces: people are found by every spelling of id and pseudonym, and nobody else is taken for them."""

import io
import sqlite3
from pathlib import Path

import duckdb
import polars as pl
import pytest

from spam_pipeline.ingestion.pseudonyms import keyed_hash
from spam_pipeline.operations.traces import HOME, LANDING, REJECTED, STORE, Needles, Person, Trace, WrongPerson, traces
from spam_pipeline.protocol.operating import no_progress
from spam_pipeline_tests.conftest import KEY, open_home
from spam_pipeline_tests.operations.test_screening import FILE, events

PERSON = Person("user", "user-1")
PSEUDONYM = keyed_hash(pl.Series(["user-1"]), "user", KEY).item()
INCIDENTS = (
    b"incident_id,status,attack_type,entity_type,entity_id,starts_at,ends_at,decided_by,decided_at,note\n"
    b"a,suspected,bot_farm,track,t,2026-01-01,2026-01-02,,,user-1 told us\n"
)
NEEDLES = Needles([PERSON], KEY)


@pytest.mark.parametrize(
    ("content", "is_found"),
    [
        (b"by user-1.", True),
        (b"user-1", True),
        (b"user-11, xuser-1", False),
        (b"a USER-1", False),
        (b"%016x" % PSEUDONYM, True),
        (b"key:%016X," % PSEUDONYM, True),
        (b"%d" % PSEUDONYM, True),
        (b"1%d" % PSEUDONYM, False),
        (b"xx" + PSEUDONYM.to_bytes(8, "little") + b"xx", True),
        (b"", False),
    ],
)
def test_bytes_name_somebody_by_words_and_by_raw_keys(content: bytes, is_found: bool) -> None:  # noqa: FBT001 - a case's answer
    assert NEEDLES.are_in_bytes(content) is is_found


def test_short_ids_are_looked_for_in_their_fields_alone() -> None:
    short = Needles([Person("user", "7")], KEY)
    assert not short.are_in("7 plays")
    assert Needles([Person("ip", "1.1.1.1")], KEY).are_in("from 1.1.1.1"), "an address is no number"


@pytest.mark.parametrize("person", [Person("ip", "no address"), Person("user", " ")])
def test_somebody_who_cannot_be_searched_for_is_an_error_that_does_not_name_them(person: Person) -> None:
    with pytest.raises(WrongPerson) as wrong:
        _ = Needles([person], KEY).keys
    assert "no address" not in str(wrong.value)


def put(home: Path, path: str, content: bytes | pl.DataFrame) -> None:
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pl.DataFrame):
        buffer = io.BytesIO()
        content.write_parquet(buffer)
        content = buffer.getvalue()
    file.write_bytes(content)


def test_every_place_of_a_home_is_searched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    hidden = pl.DataFrame(
        {"nested": [[{"key": PSEUDONYM}], []]}, schema={"nested": pl.List(pl.Struct({"key": pl.UInt64()}))}
    )
    put(home, f"landing/{FILE}", events("user-1", "user-2", "user-1"))
    put(home, "landing/incidents.csv", INCIDENTS)
    put(home, "landing/plays/2026-01-05/13/other.jsonl", events("user-2"))
    put(home, "store/a/b/all/1.parquet", hidden)
    put(home, "store/a/b/all/2.parquet", hidden.slice(1))
    put(home, "store/a/model/all/3.json", b'{"weights": {"%d": 1}}' % PSEUDONYM)
    put(home, "rejected/a/b/4.parquet", pl.DataFrame({"raw": [b'{"user_id": "user-1"']}))
    put(home, "reports/a.html", b"<b>user-1</b>")
    put(home, "reports/b.html", b"<b>user-2</b>")
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        warehouse.execute(f"CREATE TABLE listeners AS SELECT {PSEUDONYM}::UBIGINT + range AS key FROM range(1000)")  # noqa: S608 - a number
    with sqlite3.connect(home / "other.db") as database:
        database.execute("CREATE TABLE t AS SELECT 'by user-1' AS who")
    pipeline = open_home(home)
    found = traces(pipeline, [PERSON], no_progress)
    pipeline.engine.ledger.close()
    assert found == [
        Trace(LANDING, FILE, 2),
        Trace(LANDING, "incidents.csv"),
        Trace(STORE, "a/b/all/1.parquet"),
        Trace(STORE, "a/model/all/3.json"),
        Trace(REJECTED, "a/b/4.parquet"),
        Trace(HOME, "other.db"),
        Trace(HOME, "reports/a.html"),
        Trace(HOME, "warehouse.duckdb"),
    ]
