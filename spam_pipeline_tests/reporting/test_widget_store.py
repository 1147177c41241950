"""The keyed store: one behaviour for SQLite and for a server that speaks Redis."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spam_pipeline.reporting.contracts import WidgetCounts
from spam_pipeline.reporting.errors import DeliveryCut, ForeignTarget, TargetUnreachable, UnknownTarget
from spam_pipeline.reporting.widget_redis import RedisWidgetStore
from spam_pipeline.reporting.widget_sqlite import SqliteWidgetStore
from spam_pipeline.reporting.widget_store import WidgetStore, deliver, delivered, play_count, widget_store

HOSTILE = ["", "'; DROP TABLE play_counts; --", "a\x00b", "current", "{x}", "🎵 é\n", "x" * 5000, "%s?#"]


def counts(plays: Mapping[str, int]) -> pl.LazyFrame:
    rows = {"track_id": list(plays), "plays": list(plays.values())}
    return pl.LazyFrame(rows, schema={"track_id": pl.String, "plays": pl.Int64})


@pytest.fixture(params=["sqlite", "sqlite url", "redis"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("empty_valkey_url"))
    path = str(tmp_path / "what? a #1 folder" / "widgets.db")
    return path if request.param == "sqlite" else f"sqlite:///{path}"


def test_before_the_first_delivery_nothing_is_there(target: str) -> None:
    assert delivered(target) is None
    assert play_count(target, "track-1") is None


def test_a_delivery_is_readable_by_key_and_remembers_its_recipe(target: str) -> None:
    deliver(target, "recipe-1", counts({"track-1": 3, "track-2": 0}))
    assert delivered(target) == "recipe-1"
    assert [play_count(target, track) for track in ("track-1", "track-2", "track-3")] == [3, 0, None]


def test_a_delivery_replaces_everything_before_it(target: str) -> None:
    deliver(target, "recipe-1", counts({"track-1": 3, "track-2": 5}))
    deliver(target, "recipe-2", counts({"track-2": 4}))
    assert delivered(target) == "recipe-2"
    with widget_store(target) as store:
        assert store.play_counts(["track-1", "track-2"]) == {"track-2": 4}


def test_no_tracks_at_all_is_a_delivery_too(target: str) -> None:
    deliver(target, "recipe-1", counts({"track-1": 3}))
    deliver(target, "recipe-2", WidgetCounts.empty())
    assert delivered(target) == "recipe-2"
    assert play_count(target, "track-1") is None


def test_going_back_to_the_delivery_before_works_any_number_of_times(target: str) -> None:
    for turn in range(3):
        for recipe in (1, 2):
            deliver(target, f"recipe-{recipe}", counts({"track": recipe}))
            assert (delivered(target), play_count(target, "track")) == (f"recipe-{recipe}", recipe), turn


def test_hostile_track_ids_are_only_keys(target: str) -> None:
    expected = {track: number for number, track in enumerate(HOSTILE)}
    deliver(target, 'it\'s; a "recipe"', counts(expected))
    with widget_store(target) as store:
        assert store.play_counts([*HOSTILE, "generation"]) == expected
    assert delivered(target) == 'it\'s; a "recipe"'


@given(plays=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.integers(0, 2**63 - 1), max_size=20))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_goes_in_comes_out(target: str, plays: dict[str, int]) -> None:
    with widget_store(target) as store:
        store.deliver(repr(sorted(plays.items())), counts(plays))
        assert store.play_counts(plays) == plays


def test_more_tracks_than_one_batch_arrive_whole(target: str) -> None:
    plays = {f"track-{number}": number for number in range(25_000)}
    with widget_store(target) as store:
        store.deliver("recipe", counts(plays))
        assert store.delivered() == "recipe"
        assert store.play_counts(plays) == plays


def test_readers_see_one_delivery_at_a_time_while_fifty_replace_each_other(target: str) -> None:
    tracks = [f"track-{number}" for number in range(50)]
    deliver(target, "recipe-0", counts(dict.fromkeys(tracks, 0)))
    finished = threading.Event()

    def read(store: WidgetStore) -> int:
        seen = store.play_counts(tracks)
        assert len(seen) == len(tracks)
        (plays,) = set(seen.values())
        return plays

    def keep_open() -> Iterator[int]:
        with widget_store(target) as store:
            while not finished.is_set():
                yield read(store)

    def open_each_time() -> Iterator[int]:
        while not finished.is_set():
            with widget_store(target) as store:
                yield read(store)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(lambda seen=seen: list(seen())) for seen in (keep_open, open_each_time)]
        try:
            for number in range(1, 51):
                deliver(target, f"recipe-{number}", counts(dict.fromkeys(tracks, number)))
        finally:
            finished.set()
        for reader in readers:
            assert reader.result() == sorted(reader.result()), "a count that only grows never goes back in time"
            assert len(set(reader.result())) > 1


def test_a_store_that_is_kept_open_sees_each_delivery_and_each_way_back(target: str) -> None:
    with widget_store(target) as store:
        assert store.play_counts(["track"]) == {}
        for plays in (1, 2, 1, 3, 1, 3):
            deliver(target, f"recipe-{plays}", counts({"track": plays}))
            assert store.play_counts(["track"]) == {"track": plays}


def test_deliveries_at_the_same_time_leave_one_of_them_whole(target: str) -> None:
    tracks = [f"track-{number}" for number in range(200)]

    def deliver_one(number: int) -> None:
        deliver(target, f"{number}", counts(dict.fromkeys(tracks, number)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver_one, range(12)))
    winner = delivered(target)
    with widget_store(target) as store:
        assert store.play_counts(tracks) == dict.fromkeys(tracks, int(str(winner)))


def test_an_unknown_kind_of_target_is_refused_without_repeating_its_password() -> None:
    with pytest.raises(UnknownTarget, match="expected redis://") as refusal:
        delivered("mysql://user:secret@host/db")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("damage", ["delete", "empty", "text", "cut", "overwrite"])
def test_a_damaged_file_holds_no_recipe_and_is_filled_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "widgets.db"
    plays = counts({f"track-{number}": number for number in range(5000)})
    deliver(str(path), "recipe-1", plays)
    whole = path.read_bytes()
    match damage:
        case "delete":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_bytes(b"track,plays\n" * 1000)
        case "cut":
            path.write_bytes(whole[: 4096 + 100])
        case "overwrite":
            path.write_bytes(whole[:100] + b"\xaa" * (len(whole) - 100))
    assert delivered(str(path)) is None
    deliver(str(path), "recipe-1", plays)
    assert delivered(str(path)) == "recipe-1"


def test_the_file_before_is_switched_back_without_writing_it_again(tmp_path: Path) -> None:
    path = tmp_path / "widgets.db"
    with closing(SqliteWidgetStore(path)) as store:
        store.deliver("good", counts({"track": 4}))
        good = path.stat().st_ino
        store.deliver("wrong", counts({"track": 5}))
        wrong = path.stat().st_ino
        nothing_to_write = pl.LazyFrame({"no_such_column": [1]})
        store.deliver("good", nothing_to_write)
        assert (store.delivered(), store.play_counts(["track"])) == ("good", {"track": 4})
    assert (path.stat().st_ino, store.previous.stat().st_ino) == (good, wrong)
    assert sorted(tmp_path.iterdir()) == [path, store.previous]


def test_a_file_before_that_is_damaged_is_not_switched_back(tmp_path: Path) -> None:
    path = tmp_path / "widgets.db"
    for plays in (1, 2):
        deliver(str(path), f"recipe-{plays}", counts({"track": plays}))
    (tmp_path / "widgets.db.previous").write_bytes(b"track,plays\n" * 1000)
    deliver(str(path), "recipe-1", counts({"track": 1}))
    assert (delivered(str(path)), play_count(str(path), "track")) == ("recipe-1", 1)


def test_somebody_elses_database_beside_the_store_is_not_replaced(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "widgets.db.previous")) as database:
        database.execute("CREATE TABLE versions (recipe TEXT)")
    with pytest.raises(ForeignTarget, match="without widget counts"):
        deliver(str(tmp_path / "widgets.db"), "recipe", counts({"track": 1}))


def test_somebody_elses_database_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE versions (recipe TEXT)")
    with pytest.raises(ForeignTarget, match=r"ledger\.db"):
        delivered(str(path))


def test_a_file_that_cannot_be_read_is_an_error_and_not_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        delivered(str(tmp_path))


def test_a_server_that_is_away_is_an_error_and_not_an_empty_store() -> None:
    with pytest.raises(TargetUnreachable, match="Connection refused"):
        delivered("redis://127.0.0.1:1/0")


@pytest.fixture
def client(empty_valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(empty_valkey_url, decode_responses=True) as opened:
        yield opened


def test_the_server_keeps_the_last_two_deliveries_and_neither_expires(client: redis.Redis) -> None:
    store = RedisWidgetStore(client)
    for number in range(5):
        store.deliver(f"recipe-{number}", counts({"track": number}))
    kept = {f"plays:{client.hget(which, 'generation')!s}" for which in ("plays:current", "plays:previous")}
    keys = {str(key) for key in client.keys("*")}
    assert keys == {"plays:current", "plays:previous"} | kept
    assert [client.ttl(key) for key in keys] == [-1] * 4


def test_the_delivery_before_is_switched_back_without_writing_it_again(client: redis.Redis) -> None:
    store = RedisWidgetStore(client)
    for recipe in ("good", "wrong"):
        store.deliver(recipe, counts({"track": len(recipe)}))
    generation = client.hget("plays:previous", "generation")
    store.deliver("good", counts({"track": len("good")}))
    assert client.hget("plays:current", "generation") == generation


def test_a_server_that_lost_what_it_serves_gets_the_delivery_before_anew(client: redis.Redis) -> None:
    store = RedisWidgetStore(client)
    for recipe in ("good", "wrong"):
        store.deliver(recipe, counts({"track": len(recipe)}))
    client.delete("plays:current")
    store.deliver("good", counts({"track": 4}))
    assert (store.delivered(), store.play_counts(["track"])) == ("good", {"track": 4})


def test_a_server_that_lost_counts_holds_no_recipe_and_is_filled_again(client: redis.Redis) -> None:
    store = RedisWidgetStore(client)
    store.deliver("recipe", counts({"track": 1}))
    client.delete(f"plays:{client.hget('plays:current', 'generation')!s}")
    assert store.delivered() is None
    store.deliver("recipe", counts({"track": 1}))
    assert (store.delivered(), store.play_counts(["track"])) == ("recipe", {"track": 1})


def test_counts_that_vanish_while_they_are_written_are_never_served(client: redis.Redis) -> None:
    store = RedisWidgetStore(client)
    store.deliver("recipe-1", counts({"track": 1}))
    twice = pl.LazyFrame({"track_id": ["track", "track"], "plays": [2, 3]})
    with pytest.raises(DeliveryCut, match="expected 2 tracks on the server, found 1"):
        store.deliver("recipe-2", twice)
    assert (store.delivered(), store.play_counts(["track"])) == ("recipe-1", {"track": 1})


def test_what_an_unfinished_delivery_wrote_disappears_by_itself(client: redis.Redis) -> None:
    with pytest.raises(DeliveryCut):
        RedisWidgetStore(client).deliver("recipe", pl.LazyFrame({"track_id": ["a", "a"], "plays": [1, 2]}))
    assert [0 < int(client.ttl(key)) <= 3600 for key in client.keys("plays:*")] == [True]
