"""The story of a person who is erased: killed twice and done again, nothing names them, and everybody else has what they had."""

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import zstandard
from typing_extensions import override

from spam_pipeline.ingestion.erased_people import PEOPLE_PATH
from spam_pipeline.ingestion.pseudonyms import keyed_hash
from spam_pipeline.operations.erasing import erase
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.traces import Person
from spam_pipeline.protocol.fingerprint import KeySample, fingerprint_from_json
from spam_pipeline.protocol.operating import JOURNAL, Store, converge
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.conftest import KEY, START, open_home
from spam_pipeline_tests.shared_homes import copied

DAYS = [f"2026-01-0{day}" for day in (1, 2, 3)]
REJECTED = b'{"user_id": "%s", "event_id": 7}\n'
"""A record of the person that breaks a rule."""


@pytest.fixture(scope="module")
def person(home: Path) -> str:
    """Somebody with an account who plays on the last day alone, and not the most."""
    found: dict[str, set[str]] = {}
    for file in (home / "landing" / "plays").rglob("*.jsonl*"):
        for line in unpacked(file).splitlines():
            if line.startswith(b"{") and (user := json.loads(line).get("user_id")):
                found.setdefault(user, set()).add(file.parts[-3])
    accounts = (home / "landing" / "reference" / "accounts.csv").read_text(encoding="utf-8")
    return min(user for user, days in found.items() if days == {DAYS[-1]} and f"\n{user}," in accounts)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before") / "home"
    simulate(folder, days=len(DAYS), plays_per_day=60, seed=5, start=START)
    return folder


def unpacked(file: Path) -> bytes:
    content = file.read_bytes()
    if file.suffix == ".gz":
        return gzip.decompress(content)
    return zstandard.ZstdDecompressor().decompressobj().decompress(content) if file.suffix == ".zst" else content


def texts(home: Path) -> Iterator[tuple[str, bytes]]:
    """Everything in a home as bytes in which ids and pseudonyms can be read, by a name."""
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        name = str(file.relative_to(home))
        yield name, unpacked(file)
        if JOURNAL in file.parts:
            rows = map(json.loads, unpacked(file).splitlines()[1:])
            yield name, b" ".join(sampled(row["measures"]) for table, row in rows if table == "fingerprints")
        if file.suffix == ".parquet":
            yield name, pl.read_parquet(file).select(pl.exclude(pl.Binary)).write_json().encode()
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        for (table,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in ledger.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a name that was just read
                yield f"ledger {table}", b" ".join(map(readable, row))
    with duckdb.connect() as warehouse:
        warehouse.execute(f"ATTACH '{home / 'warehouse.duckdb'}' AS w (READ_ONLY)")
        for schema, table in warehouse.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
            rows = warehouse.execute(f'SELECT * FROM w."{schema}"."{table}"').fetchall()  # noqa: S608 - likewise
            yield f"warehouse {schema}.{table}", repr(rows).encode()


def readable(value: Any) -> bytes:
    """A value of the ledger; packed ones unpacked, and the keys that fingerprints sample spelled out."""
    if not isinstance(value, bytes) or not value.startswith(b"\x28\xb5\x2f\xfd"):
        return value if isinstance(value, bytes) else str(value).encode()
    text = zstandard.decompress(value)
    read = json.loads(text)
    return text + sampled(read) if isinstance(read, dict) and "measures" in read else text


def sampled(measures: Any) -> bytes:
    measured = fingerprint_from_json(measures).values()
    return repr([dict(item.sample) for item in measured if isinstance(item, KeySample)]).encode()


def places(home: Path, identity: str) -> set[str]:
    """Where somebody occurs: by id, and by pseudonym as a number, in hexadecimal, or as eight bytes."""
    key = keyed_hash(pl.Series([identity]), "user", KEY).item()
    names = [identity.encode(), str(key).encode(), b"%016x" % key, key.to_bytes(8, "little"), key.to_bytes(8, "big")]
    return {
        "journal" if JOURNAL in name else name.split("/")[0]
        for name, content in texts(home)
        if any(word in content for word in names)
    }


def contents(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    published = pipeline.engine.ledger.published("production", list(pipeline.graph.stages))
    return {(stage, key): version.content for stage, by_key in published.items() for key, version in by_key.items()}


def records(pipeline: Pipeline) -> dict[str, int]:
    """What is accounted for of each landed file."""
    files = pipeline.read("received_files", DAYS).select("file", records=pl.col("accepted") + pl.col("rejected"))
    days = pipeline.partitions("erased_records")
    erased = [pipeline.read("erased_records", days).select("file", records="erased")] if days else []
    return dict(pl.concat([files, *erased]).group_by("file").agg(pl.col("records").sum()).collect().iter_rows())


class Killed(BaseException):
    """The process is killed here."""


class DyingStore(Store):
    """A store whose process dies before it deletes anything."""

    @override
    def delete(self, paths: Any) -> None:
        raise Killed


def erased_until(home: Path, person: str, step: str) -> None:
    """Erase somebody in a process that dies when it comes to a step."""

    def on_progress(text: str, *_: int) -> None:
        if text == step:
            raise Killed

    pipeline = open_home(home)
    if step == "deleting":
        store, private = pipeline.engine.stores
        settings = pipeline.settings
        dying = DyingStore(settings.store, settings.cache / "store")
        pipeline.__dict__["engine"] = replace(pipeline.engine, stores=(dying, private))
        assert store.is_empty() is False
    with pytest.raises(Killed):
        erase(pipeline, [Person("user", person)], by="Ada", reason="article 17", on_progress=on_progress)
    pipeline.engine.ledger.close()


def test_a_person_is_erased_from_everything(home: Path, person: str, tmp_path: Path) -> None:
    landing = home / "landing"
    broken = landing / "plays" / DAYS[-1] / "23" / "broken.jsonl"
    broken.write_bytes(b'{"user_id": "somebody else"\n' + REJECTED % person.encode())
    before = open_home(home)
    before.engine.observe()
    assert converge(before.engine).failed == ()
    sent, was, plays = records(before), contents(before), before.read("plays", DAYS).collect()
    before.engine.ledger.close()
    original = copied(landing, tmp_path / "as it was sent")
    assert places(home, person) == {"landing", "store", "journal", "rejected", "ledger fingerprints"}

    for step in ("observing the landing zone", "deleting"):
        erased_until(home, person, step)
    pipeline = open_home(home)
    done = erase(pipeline, [Person("user", person)], by="Ada", reason="article 17")
    assert (done.left, done.held, done.failed) == ((), (), ())
    assert places(home, person) == set()

    assert records(pipeline) == sent, "every record that was sent is accounted for"
    now, key = contents(pipeline), keyed_hash(pl.Series([person]), "user", KEY).item()
    others = plays.filter(pl.col("user_key").ne_missing(key))
    assert 0 < others.height < plays.height
    assert pipeline.read("plays", DAYS).collect().equals(others)
    elsewhere = {
        (stage, day) for stage, day in was if day in DAYS[:-1] and stage in {"received_plays", "plays", "listening"}
    }
    assert {place: now[place] for place in elsewhere} == {place: was[place] for place in elsewhere}
    assert (
        pl.read_parquet(next((home / "rejected").rglob("*.parquet")))["raw"]
        .to_list()[-1]
        .startswith(b'{"user_id": "somebody')
    )

    rebuilt = open_home(tmp_path / "rebuilt")
    copied(landing, tmp_path / "rebuilt" / "landing")
    rebuilt.engine.observe()
    assert converge(rebuilt.engine).failed == ()
    assert contents(rebuilt) == now
    rebuilt.engine.ledger.close()

    for file in original.rglob(f"{DAYS[-1]}/*/*"):  # somebody sends everything again
        file.replace(landing / file.relative_to(original))
    (original / "reference" / "accounts.csv").replace(landing / "reference" / "accounts.csv")
    pipeline.engine.observe()
    assert places(home, person) == set()
    pipeline.engine.ledger.close()
    assert (landing / PEOPLE_PATH).read_text(encoding="utf-8").count("article 17") == 3
