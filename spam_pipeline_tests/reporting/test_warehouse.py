"""The warehouse file: built, read, replaced, damaged."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from upath import UPath

from spam_pipeline.protocol import DescribedStage, column_types
from spam_pipeline.protocol.storage.reader import HISTORY_TYPES
from spam_pipeline.reporting import assets, warehouse
from spam_pipeline.reporting.contracts import Catalogue, DailyPlays
from spam_pipeline.reporting.errors import ForeignTarget
from spam_pipeline.reporting.warehouse import delivered
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of

Publish = Callable[[str, str, str, pl.DataFrame], dict[str, Any]]

CATALOGUE = {**column_types(Catalogue), "location": pl.String()}
HISTORY = {**HISTORY_TYPES, "location": pl.String()}


def catalogue_of(*rows: dict[str, Any]) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema=CATALOGUE)


def deliver(target: str, recipe: str, catalogue: pl.LazyFrame, history: pl.LazyFrame | None = None) -> None:
    """Deliver a catalogue; unless a history is given, nothing was published before."""
    warehouse.deliver(target, recipe, catalogue, pl.LazyFrame(schema=HISTORY) if history is None else history, {})


def note_of(target: Path) -> Path:
    """The note that says which file was delivered."""
    return target.with_name(f".delivered-{target.name}.json")


def ask(path: Path, sql: str) -> list[Any]:
    with duckdb.connect(path, read_only=True) as database:
        return database.execute(sql).fetchall()


@pytest.fixture
def files(publish: Publish) -> list[dict[str, Any]]:
    """Two days of plays and of a report."""
    return [
        publish("ingestion", "plays", "2026-01-05", pl.DataFrame({"event_id": ["a", "b"]})),
        publish("ingestion", "plays", "2026-01-06", pl.DataFrame({"event_id": ["c"]})),
        publish("reporting", "track_play_counts", "2026-01-05", pl.DataFrame({"plays": [2]})),
        publish("reporting", "track_play_counts", "2026-01-06", pl.DataFrame({"plays": [1]})),
    ]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "an analyst's folder" / "warehouse.duckdb"


def test_every_stage_is_a_relation_that_knows_the_partition_of_each_row(
    files: list[dict[str, Any]], target: Path
) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    assert ask(target, "SELECT * FROM ingestion.plays ORDER BY event_id") == [
        ("2026-01-05", "a"),
        ("2026-01-05", "b"),
        ("2026-01-06", "c"),
    ]
    assert ask(target, "SELECT plays FROM reporting.track_play_counts WHERE partition_key = '2026-01-05'") == [(2,)]
    assert delivered(str(target)) == "recipe-1"
    assert set(target.parent.iterdir()) == {target, note_of(target)}


def test_reports_travel_with_a_copy_of_the_file_and_plays_stay_in_the_store(
    files: list[dict[str, Any]], target: Path, tmp_path: Path
) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    for file in files:
        Path(file["location"]).unlink()
    copy = tmp_path / "reporting.duckdb"
    copy.write_bytes(target.read_bytes())
    assert ask(copy, "SELECT sum(plays)::BIGINT FROM reporting.reporting.track_play_counts") == [(3,)]
    with pytest.raises(duckdb.IOException):
        ask(copy, "SELECT * FROM ingestion.plays")


def test_nothing_published_gives_a_warehouse_without_relations(target: Path) -> None:
    deliver(str(target), "recipe-1", catalogue_of())
    assert delivered(str(target)) == "recipe-1"
    assert ask(target, "SELECT count(*) FROM _pipeline.catalogue") == [(0,)]


def test_a_stage_without_rows_is_a_table_without_rows(files: list[dict[str, Any]], target: Path) -> None:
    empty = {("reporting", "daily_plays"): DailyPlays.empty(), ("ingestion", "plays"): pl.LazyFrame({"other": [1]})}
    warehouse.deliver(str(target), "recipe-1", catalogue_of(*files), pl.LazyFrame(schema=HISTORY), empty)
    assert ask(target, "SELECT count(*) FROM reporting.compared_days") == [(0,)]
    assert ask(target, "SELECT partition_key, plays FROM reporting.daily_plays") == []
    assert ask(target, "SELECT count(event_id) FROM ingestion.plays") == [(3,)]


def test_a_file_that_a_part_holds_twice_counts_twice(publish: Publish, target: Path) -> None:
    file = publish("ingestion", "received_plays", "2026-01-05", pl.DataFrame({"event_id": ["a", "b"]}))
    deliver(str(target), "recipe-1", catalogue_of(file, file))
    assert ask(target, "SELECT count(*) FROM ingestion.received_plays") == [(4,)]


@pytest.mark.parametrize(
    ("context", "sql"),
    [
        ("ingestion", "SELECT old, new FROM ingestion.stage ORDER BY old"),
        ("reporting", "SELECT old, new FROM reporting.stage ORDER BY old"),
    ],
)
def test_files_from_before_a_new_column_have_nulls_in_it(
    publish: Publish, target: Path, context: str, sql: str
) -> None:
    deliver(
        str(target),
        "recipe-1",
        catalogue_of(
            publish(context, "stage", "2026-01-05", pl.DataFrame({"old": [1]})),
            publish(context, "stage", "2026-01-06", pl.DataFrame({"new": ["x"], "old": [2]})),
        ),
    )
    assert ask(target, sql) == [(1, None), (2, "x")]


def test_hostile_names_and_values_are_only_data(publish: Publish, target: Path) -> None:
    context, stage, partition = 'a"b', "it's; DROP SCHEMA main; --", "x'] y\n*"
    deliver(
        str(target),
        "'; DROP TABLE _pipeline.delivered; --",
        catalogue_of(publish(context, stage, partition, pl.DataFrame({"track_id": ["'; --", 'a"\x00b']}))),
    )
    found = ask(target, 'SELECT * FROM "a""b"."it\'s; DROP SCHEMA main; --" ORDER BY track_id')
    assert found == [(partition, "'; --"), (partition, 'a"\x00b')]
    assert delivered(str(target)) == "'; DROP TABLE _pipeline.delivered; --"


def test_a_reader_in_the_same_process_does_not_hide_a_delivery(files: list[dict[str, Any]], target: Path) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    with duckdb.connect(target, read_only=True) as reader:
        deliver(str(target), "recipe-2", catalogue_of(*files[:2]))
        assert delivered(str(target)) == "recipe-2"
        assert reader.execute("SELECT recipe FROM _pipeline.delivered").fetchall() == [("recipe-1",)]


CLIENT = """
import json, sys

import duckdb

client = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read only")
print('"open"', flush=True)
for line in sys.stdin:
    print(json.dumps(client.execute(line).fetchall()), flush=True)
"""
"""A client in a process of its own, which does what it is asked and says what it got."""


class Client:
    """A client that has the warehouse open, by default as DuckDB does it: for writing."""

    def __init__(self, path: Path, mode: str = "read and write") -> None:
        command = [sys.executable, "-c", CLIENT, str(path), mode]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "open"

    def ask(self, sql: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(f"{sql}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def _answer(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


RECIPE = "SELECT recipe FROM _pipeline.delivered"


@pytest.mark.parametrize(
    ("mode", "did"),
    [
        ("read and write", ()),
        ("read and write", ("CREATE TABLE work AS SELECT 1 AS x",)),
        ("read and write", ("BEGIN", "CREATE TABLE work AS SELECT 1 AS x")),
        ("read only", ()),
        ("read only", ("BEGIN", "SELECT 1")),
    ],
    ids=["writer", "writer with a journal", "writer in a transaction", "reader", "reader in a transaction"],
)
def test_a_client_keeps_the_file_that_it_has_open_and_the_next_one_gets_the_new_one(
    files: list[dict[str, Any]], target: Path, mode: str, did: tuple[str, ...]
) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files[:2]))
    client = Client(target, mode)
    for sql in did:
        client.ask(sql)
    has_journal = target.with_name(f"{target.name}.wal").exists()
    assert delivered(str(target)) == (None if has_journal else "recipe-1")
    deliver(str(target), "recipe-2", catalogue_of(*files))
    assert client.ask(RECIPE) == [["recipe-1"]]
    assert delivered(str(target)) == "recipe-2"
    assert ask(target, RECIPE) == [("recipe-2",)]
    client.close()
    assert ask(target, RECIPE) == [("recipe-2",)]
    assert ask(target, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'work'") == [(0,)]
    assert set(target.parent.iterdir()) == {target, note_of(target)}


def test_a_file_that_was_copied_here_says_itself_what_it_holds(files: list[dict[str, Any]], target: Path) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    copy = shutil.copy(target, target.with_name("copy.duckdb"))
    assert delivered(str(copy)) == "recipe-1"
    note_of(target).unlink()
    assert delivered(str(target)) == "recipe-1"
    note_of(target).write_text("{}", encoding="utf-8")
    assert delivered(str(target)) == "recipe-1"


def test_a_database_of_others_is_none_of_ours_even_with_the_inode_of_one(
    files: list[dict[str, Any]], target: Path
) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    theirs = target.with_name("theirs.duckdb")
    with duckdb.connect(theirs) as database:
        database.execute("CREATE TABLE work AS SELECT 1 AS x")
    target.write_bytes(theirs.read_bytes())
    assert note_of(target).exists()
    with pytest.raises(ForeignTarget):
        delivered(str(target))


def test_a_file_that_a_client_has_changed_is_not_as_it_was_delivered(files: list[dict[str, Any]], target: Path) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    with duckdb.connect(target) as database:
        database.execute("CREATE TABLE work AS SELECT 1 AS x")
    assert delivered(str(target)) is None


def test_a_journal_that_a_client_of_the_old_file_writes_later_is_no_journal_of_the_new_one(
    files: list[dict[str, Any]], target: Path
) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files[:2]))
    client = Client(target)
    deliver(str(target), "recipe-2", catalogue_of(*files))
    client.ask("CREATE TABLE work AS SELECT 1 AS x")
    assert target.with_name(f"{target.name}.wal").exists()
    assert delivered(str(target)) is None, "nobody can open it beside that journal, so it has to be delivered again"
    deliver(str(target), "recipe-2", catalogue_of(*files))
    assert delivered(str(target)) == "recipe-2"
    assert ask(target, "SELECT count(*) FROM ingestion.plays") == [(3,)]
    client.close()


def test_a_file_that_is_read_only_is_replaced(files: list[dict[str, Any]], target: Path) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files[:2]))
    target.chmod(0o444)
    deliver(str(target), "recipe-2", catalogue_of(*files))
    assert delivered(str(target)) == "recipe-2"


READER = """
import json, sys
from pathlib import Path

import duckdb

target, finished, asks = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
seen = []
while not finished.exists():
    with duckdb.connect(target, read_only=True) as database:
        for _ in range(asks):
            seen.append(database.execute(
                "SELECT recipe::INTEGER, i.number, r.number, (SELECT max(number) FROM ingestion.stage_as_of(now()))"
                " FROM _pipeline.delivered, ingestion.stage i, reporting.stage r"
            ).fetchall())
print(json.dumps(seen))
"""
"""A reader of one's own, who knows nothing of this package; asks so many times before it opens the file again."""


def test_readers_see_one_delivery_at_a_time_while_fifty_replace_each_other(
    publish: Publish, target: Path, tmp_path: Path
) -> None:
    history: list[dict[str, Any]] = []

    def build(number: int) -> None:
        at = datetime(2026, 2, 1, 0, number, tzinfo=UTC)
        rows = [
            publish(context, "stage", "2026-01-05", pl.DataFrame({"number": [number]}))
            for context in ("ingestion", "reporting")
        ]
        history[-1:] = [{**last, "superseded_at": at} for last in history[-1:]]
        history.append({**rows[0], "published_at": at, "superseded_at": None})
        deliver(str(target), f"{number}", catalogue_of(*rows), pl.LazyFrame(history, schema=HISTORY))

    build(0)
    finished = tmp_path / "finished"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(target), str(finished), str(asks)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for asks in (1, 20)
    ]
    try:
        for number in range(1, 51):
            build(number)
    finally:
        finished.touch()
        ended = [reader.communicate() for reader in readers]
    for out, err in ended:
        assert err == b""
        seen = [answer for ((*answer,),) in json.loads(out)]
        assert all(len(set(answer)) == 1 for answer in seen), "no mix of generations"
        assert seen == sorted(seen), "a count that only grows never goes back in time"
        assert len({answer[0] for answer in seen}) > 1


def test_deliveries_at_the_same_time_leave_one_of_them_whole(files: list[dict[str, Any]], target: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: deliver(str(target), f"{number}", catalogue_of(*files)), range(6)))
    assert delivered(str(target)) in set("012345")
    assert set(target.parent.iterdir()) == {target, note_of(target)}


def test_a_delivery_that_fails_leaves_the_warehouse_as_it_was(files: list[dict[str, Any]], target: Path) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    gone = {**files[0], "location": files[0]["location"] + ".gone"}
    with pytest.raises(duckdb.IOException):
        deliver(str(target), "recipe-2", catalogue_of(gone))
    assert delivered(str(target)) == "recipe-1"
    assert set(target.parent.iterdir()) == {target, note_of(target)}


@pytest.mark.parametrize("damage", ["delete", "empty", "text", "cut", "overwrite head", "overwrite body", "journal"])
def test_a_damaged_file_holds_no_recipe_and_is_built_again(
    files: list[dict[str, Any]], target: Path, damage: str
) -> None:
    deliver(str(target), "recipe-1", catalogue_of(*files))
    whole = target.read_bytes()
    match damage:
        case "delete":
            target.unlink()
        case "empty":
            target.write_bytes(b"")
        case "text":
            target.write_bytes(b"day,plays\n" * 5000)
        case "cut":
            target.write_bytes(whole[: len(whole) // 2])
        case "overwrite head":
            target.write_bytes(whole[:4096] + b"\xaa" * 8192 + whole[12288:])
        case "overwrite body":
            target.write_bytes(whole[:12288] + b"\xaa" * (len(whole) - 12288))
        case "journal":
            target.unlink()
            target.with_name(f"{target.name}.wal").write_bytes(b"a journal of nothing")
    assert delivered(str(target)) is None
    deliver(str(target), "recipe-1", catalogue_of(*files))
    assert delivered(str(target)) == "recipe-1"
    assert ask(target, "SELECT count(*) FROM ingestion.plays") == [(3,)]


def test_somebody_elses_database_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(path) as database:
        database.execute("CREATE TABLE work (x INTEGER)")
    with pytest.raises(ForeignTarget, match=r"theirs\.duckdb"):
        delivered(str(path))


def test_a_database_of_another_kind_holds_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE work (x INTEGER)")
    assert delivered(str(path)) is None


def test_a_target_that_cannot_be_read_is_an_error_and_not_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        delivered(str(tmp_path))


def test_a_file_of_the_past_that_is_lost_keeps_nobody_from_the_present(publish: Publish, target: Path) -> None:
    old, new = (publish("ingestion", "plays", "2026-01-05", pl.DataFrame({"id": [name]})) for name in ("old", "new"))
    first, second = datetime(2026, 2, 1, 12, tzinfo=UTC), datetime(2026, 2, 2, 12, tzinfo=UTC)
    history = [
        {**old, "published_at": first, "superseded_at": second},
        {**new, "published_at": second, "superseded_at": None},
    ]
    Path(old["location"]).unlink()
    deliver(str(target), "recipe-1", catalogue_of(new), pl.LazyFrame(history, schema=HISTORY))
    assert ask(target, "SELECT id FROM ingestion.plays_as_of('2026-02-03')") == [("new",)]
    assert ask(target, "SELECT id FROM ingestion.plays_as_of('2026-02-01')") == []


def test_what_was_read_at_a_moment_is_a_macro_of_each_stage(publish: Publish, target: Path) -> None:
    first, second = datetime(2026, 2, 1, 12, tzinfo=UTC), datetime(2026, 2, 2, 12, tzinfo=UTC)
    old, new, other = (
        publish("ingestion", "plays", f"2026-01-0{day}", pl.DataFrame(rows))
        for day, rows in (
            (5, {"id": ["old"]}),
            (5, {"id": ["new"], "kind": ["x"]}),
            (6, {"id": ["other"], "kind": ["y"]}),
        )
    )
    history = [
        {**old, "published_at": first, "superseded_at": second},
        {**other, "published_at": first, "superseded_at": None},
        {**new, "published_at": second, "superseded_at": None},
    ]
    deliver(str(target), "recipe-1", catalogue_of(new, other), pl.LazyFrame(history, schema=HISTORY))
    asked = "SELECT partition_key, id, kind FROM ingestion.plays_as_of({}) ORDER BY id"
    before, after = (
        [("2026-01-05", "old", None), ("2026-01-06", "other", "y")],
        [("2026-01-05", "new", "x"), ("2026-01-06", "other", "y")],
    )
    assert ask(target, asked.format("'2026-02-01 13:00:00+01'")) == before
    assert ask(target, asked.format("'2026-02-01T11:59:59Z'")) == []
    assert ask(target, asked.format("'2026-02-01'")) == before, "a date means its end"
    assert ask(target, asked.format("DATE '2026-02-01'")) == before
    assert ask(target, asked.format("TIMESTAMPTZ '2026-02-02 12:00:00+00'")) == after
    assert ask(target, asked.format("now()")) == after


def test_reading_what_was_opens_the_files_of_then_and_has_the_columns_of_now(publish: Publish, target: Path) -> None:
    frames = ({"id": ["first"]}, {"id": ["second"]}, {"id": ["third"], "kind": ["x"]})
    files = [publish("ingestion", "plays", "2026-01-05", pl.DataFrame(rows)) for rows in frames]
    times = [datetime(2026, 2, day, 12, tzinfo=UTC) for day in (1, 2, 3)]
    history = [
        {**file, "published_at": since, "superseded_at": until}
        for file, since, until in zip(files, times, [*times[1:], None], strict=True)
    ]
    deliver(str(target), "recipe-1", catalogue_of(files[-1]), pl.LazyFrame(history, schema=HISTORY))
    Path(files[0]["location"]).unlink()
    assert ask(target, "SELECT id, kind FROM ingestion.plays_as_of('2026-02-02')") == [("second", None)]
    assert ask(target, "SELECT id, kind FROM ingestion.plays_as_of('2026-01-31')") == []
    with pytest.raises(duckdb.IOException):
        ask(target, "SELECT id FROM ingestion.plays_as_of('2026-02-01')")


def test_the_published_catalogue_names_no_place_of_this_machine(files: list[dict[str, Any]]) -> None:
    published = assets.warehouse(catalogue_of(*reversed(files)))
    assert findings_about(Catalogue, published) == []
    assert published.collect().rows() == sorted(published.collect().rows())
    assert numbers_of(Catalogue, published) == {"stages": 2, "partitions": 4, "files": 4, "rows": 5}


def test_a_warehouse_at_a_url_is_known_by_its_note_and_replaced_when_somebody_changed_it(
    files: list[dict[str, Any]], tmp_path: Path
) -> None:
    place = UPath(f"memory://{tmp_path}/warehouse.duckdb")
    deliver(str(place), "first", catalogue_of(*files))
    assert delivered(str(place)) == "first"
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(place.read_bytes())
    assert ask(copy, "SELECT sum(plays) FROM reporting.track_play_counts") == [(3,)]
    place.write_bytes(b"changed")
    assert delivered(str(place)) is None
    deliver(str(place), "second", catalogue_of(*files))
    assert delivered(str(place)) == "second"
    place.unlink()
    assert delivered(str(place)) is None


def test_a_file_at_a_url_that_no_note_speaks_of_is_somebody_elses(tmp_path: Path) -> None:
    place = UPath(f"memory://{tmp_path}/warehouse.duckdb")
    place.write_bytes(b"a database of somebody else")
    with pytest.raises(ForeignTarget, match="name another file"):
        delivered(str(place))


def test_a_delivery_to_a_url_that_was_cut_off_after_the_upload_is_made_again(
    files: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = UPath(f"memory://{tmp_path}/warehouse.duckdb")
    with monkeypatch.context() as cut:
        cut.setattr(type(place.fs), "checksum", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            deliver(str(place), "first", catalogue_of(*files))
    assert place.exists()
    assert delivered(str(place)) is None
    deliver(str(place), "first", catalogue_of(*files))
    assert delivered(str(place)) == "first"


def test_relations_and_columns_have_comments(files: list[dict[str, Any]], target: Path) -> None:
    described = {
        ("ingestion", "plays"): DescribedStage("One row each.", {"event_id": "The sender's id.", "new_one": "None."}),
        ("reporting", "track_play_counts"): DescribedStage("Plays by track.", {"plays": "All plays."}),
        ("reporting", "unpublished"): DescribedStage("Nothing yet.", {}),
    }
    history = pl.LazyFrame(schema=HISTORY)
    warehouse.deliver(str(target), "recipe-1", catalogue_of(*files), history, {}, described=described)
    relations = "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL"
    tables = "SELECT table_name, comment FROM duckdb_tables() WHERE comment IS NOT NULL"
    assert ask(target, relations) == [("plays", "One row each.")]
    assert ask(target, tables) == [("track_play_counts", "Plays by track.")]
    columns = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL ORDER BY ALL"
    assert ask(target, columns) == [
        ("plays", "event_id", "The sender's id."),
        ("plays", "partition_key", "Key of the partition that the row is published in."),
        ("track_play_counts", "partition_key", "Key of the partition that the row is published in."),
        ("track_play_counts", "plays", "All plays."),
    ]
