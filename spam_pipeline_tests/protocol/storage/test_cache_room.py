"""The size that local copies of remote files keep to."""

import os
import time
from pathlib import Path

import pytest

from spam_pipeline.protocol.storage.cache_room import SCRATCH, CacheRoom
from spam_pipeline.protocol.storage.store import Store

HOUR_NS = 3600 * 1_000_000_000


@pytest.fixture
def room(tmp_path: Path) -> CacheRoom:
    return CacheRoom(tmp_path, max_bytes=100)


def add(room: CacheRoom, path: Path, size: int, hours_ago: int) -> Path:
    """Add a copy that was last used some hours ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    then = time.time_ns() - hours_ago * HOUR_NS
    os.utime(path, ns=(then, then))
    room.added(path)
    return path


def test_the_least_recently_used_copies_go_until_a_tenth_is_free(room: CacheRoom, tmp_path: Path) -> None:
    old, older, recent = (
        add(room, tmp_path / "a" / name, 30, hours) for name, hours in [("old", 5), ("older", 9), ("recent", 2)]
    )
    assert all(file.exists() for file in (old, older, recent)), "there is room for all of them"
    last = add(room, tmp_path / "b" / "last", 30, 3)
    assert [file.exists() for file in (old, older, recent, last)] == [True, False, True, True]


def test_a_copy_that_was_used_within_the_hour_stays(room: CacheRoom, tmp_path: Path) -> None:
    file = add(room, tmp_path / "a", 80, 5)
    assert room.used(file)
    assert not room.used(file), "a use is not noted each time"
    add(room, tmp_path / "b", 80, 2)
    assert file.exists()
    assert not (tmp_path / "b").exists()


def test_a_copy_that_nobody_was_handed_goes_first(room: CacheRoom, tmp_path: Path) -> None:
    used = add(room, tmp_path / "used", 50, 8)
    fresh = tmp_path / "fresh"
    fresh.write_bytes(bytes(60))
    room.added(fresh, is_handed_out=False)
    assert used.exists()
    assert not fresh.exists()


def test_files_that_are_being_written_are_nobodys_copies(room: CacheRoom, tmp_path: Path) -> None:
    unfinished = tmp_path / "store" / SCRATCH / "x" / "made"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(bytes(1000))
    os.utime(unfinished, ns=(0, 0))
    add(room, tmp_path / "a", 10, 5)
    assert unfinished.exists()
    assert (tmp_path / "a").exists()


def test_what_is_being_read_is_read_to_its_end(room: CacheRoom, tmp_path: Path) -> None:
    with add(room, tmp_path / "a", 80, 5).open("rb") as file:
        add(room, tmp_path / "b", 80, 2)
        assert not (tmp_path / "a").exists()
        assert len(file.read()) == 80


def test_a_store_fetches_again_what_had_to_go(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = Store(f"memory://{tmp_path}/store", cache, room=CacheRoom(cache, max_bytes=100))
    paths = []
    for letter in (b"a", b"b"):
        with store.scratch() as scratch:
            (scratch / "made").write_bytes(letter * 80)
            paths.append(store.put(scratch / "made", "toys/numbers/2026-01-05"))
        os.utime(cache / paths[-1], ns=(0, 0))
    store.locate(paths[0])
    with store.scratch() as scratch:
        (scratch / "made").write_bytes(b"c" * 80)
        store.put(scratch / "made", "toys/numbers/2026-01-05")
    assert (cache / paths[0]).exists()
    assert not (cache / paths[1]).exists()
    assert store.locate(paths[1]).read_bytes() == b"b" * 80
