"""The store, on a local disk and behind fsspec."""

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from upath import UPath

from spam_pipeline.protocol.foundation.errors import PlaceUnusable, StoreDamaged
from spam_pipeline.protocol.storage.store import Store


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path}/store"
    return Store(url, tmp_path / "cache")


def put(store: Store, content: bytes, folder: str = "toys/numbers/2026-01-05") -> str:
    with store.scratch() as scratch:
        made = scratch / "made.parquet"
        made.write_bytes(content)
        return store.put(made, folder)


def test_a_file_is_named_by_its_digest_and_reads_back(store: Store) -> None:
    path = put(store, b"abc")
    assert path == "toys/numbers/2026-01-05/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.parquet"
    assert store.locate(path).read_bytes() == b"abc"
    store.verify(path)


def test_the_same_bytes_are_kept_once_and_never_written_again(store: Store) -> None:
    path = put(store, b"abc")
    before = store.locate(path).stat()
    assert put(store, b"abc") == path
    assert store.locate(path).stat().st_mtime_ns == before.st_mtime_ns
    assert store.locate(path).stat().st_ino == before.st_ino


def test_a_stored_file_is_read_only(store: Store) -> None:
    assert store.locate(put(store, b"abc")).stat().st_mode & 0o222 == 0


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_is_for_the_owner_only_is_closed_to_everybody_else(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        store = Store(str(tmp_path / "home" / "rejected"), tmp_path / "cache", owner_only=True)
        file = store.locate(put(store, b"abc"))
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "home" / "rejected") == 0o700
    assert mode_of(file) == 0o400


@pytest.mark.parametrize("url", ["rejected", "memory://a-bucket/rejected"])
def test_a_folder_that_was_open_to_all_is_closed_before_anything_is_written(tmp_path: Path, url: str) -> None:
    is_local = "://" not in url
    folder = tmp_path / ("rejected" if is_local else "cache")
    folder.mkdir()
    folder.chmod(0o755)
    Store(str(tmp_path / url) if is_local else url, tmp_path / "cache", owner_only=True)
    assert mode_of(folder) == 0o700


def change(file: Path, content: bytes) -> None:
    """Change a file where it lies, as a disk does."""
    file.chmod(0o644)
    file.write_bytes(content)


def test_other_bytes_than_the_name_promises_are_not_handed_out(tmp_path: Path) -> None:
    path = put(Store(str(tmp_path / "store"), tmp_path / "cache"), b"abc")
    change(tmp_path / "store" / path, b"abd")
    other_process = Store(str(tmp_path / "store"), tmp_path / "cache")
    for ask in (other_process.locate, other_process.verify):
        with pytest.raises(StoreDamaged, match=r"2026-01-05/ba7816.* has bytes with the digest a52d15"):
            ask(path)


def test_a_file_that_is_changed_after_it_was_read_is_checked_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    path = put(store, b"abc")
    file = store.locate(path)
    time = file.stat().st_mtime_ns
    change(file, b"abd")
    os.utime(file, ns=(time, time))  # of the same size and, says the disk, the same age
    with pytest.raises(StoreDamaged):
        store.locate(path)


def test_a_file_is_digested_once_by_a_process_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(Store(str(tmp_path / "store"), tmp_path / "cache"), b"abc")
    other_process = Store(str(tmp_path / "store"), tmp_path / "cache")
    other_process.locate(path)
    monkeypatch.setattr("spam_pipeline.protocol.storage.store.digest_of_file", lambda _: pytest.fail("digested again"))
    other_process.locate(path)


def test_the_right_bytes_take_the_place_of_damaged_ones(store: Store, tmp_path: Path) -> None:
    path = put(store, b"abc")
    change(store.locate(path), b"abd")
    assert put(store, b"abc") == path
    assert store.locate(path).read_bytes() == b"abc"
    assert store.locate(path).stat().st_mode & 0o222 == 0
    assert not list(tmp_path.rglob("made.parquet"))


def test_a_file_that_the_store_lost_is_said_to_be_missing(store: Store) -> None:
    for ask in (store.locate, store.verify):
        with pytest.raises(StoreDamaged, match=r"numbers/2026-01-05/lost.parquet is missing"):
            ask("toys/numbers/2026-01-05/lost.parquet")


def test_a_damaged_copy_of_a_remote_file_is_fetched_anew(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path}/store", tmp_path / "cache")
    path = put(store, b"abc")
    change(tmp_path / "cache" / path, b"abd")
    assert store.locate(path).read_bytes() == b"abc"


def test_a_remote_file_is_checked_when_it_is_fetched_and_leaves_no_copy_when_damaged(tmp_path: Path) -> None:
    path = put(Store(f"memory://{tmp_path}/store", tmp_path / "cache"), b"abc")
    UPath(f"memory://{tmp_path}/store/{path}").write_bytes(b"abd")
    elsewhere = Store(f"memory://{tmp_path}/store", tmp_path / "another-machine")
    with pytest.raises(StoreDamaged, match="has bytes with the digest"):
        elsewhere.locate(path)
    assert not [file for file in (tmp_path / "another-machine").rglob("*") if file.is_file()]
    assert elsewhere.location(path) == str(UPath(f"memory://{tmp_path}/store/{path}"))


def test_a_copy_does_not_vouch_for_a_remote_file(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path}/store", tmp_path / "cache")
    path = put(store, b"abc")
    UPath(f"memory://{tmp_path}/store/{path}").write_bytes(b"abd")
    assert store.locate(path).read_bytes() == b"abc"
    with pytest.raises(StoreDamaged):
        store.verify(path)
    put(store, b"abc")
    store.verify(path)


def test_scratch_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    put(store, b"abc")
    with store.scratch() as scratch:
        (scratch / "half").write_bytes(b"a")
    assert not list(tmp_path.rglob("half"))
    assert not list(tmp_path.rglob("made.parquet"))


def test_a_remote_file_is_fetched_again_when_its_local_copy_is_gone(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/store"
    path = put(Store(url, tmp_path / "cache"), b"abc")
    elsewhere = Store(url, tmp_path / "another-machine")
    assert elsewhere.locate(path).read_bytes() == b"abc"


FULL = Path("/dev/full")
"""A disk without room, on Linux."""


@pytest.mark.parametrize(
    "write",
    [lambda: FULL.write_bytes(b"abc"), lambda: pl.LazyFrame({"n": [1]}).sink_parquet(FULL)],
    ids=["Python", "Polars"],
)
def test_a_full_disk_is_named_with_the_place(store: Store, tmp_path: Path, write: Callable[[], object]) -> None:
    full = pytest.raises(
        PlaceUnusable, match=r"^the store .* is on a disk that is full: make room, and go on where it was"
    )
    with full as told, store.scratch():
        write()
    assert str(tmp_path) in str(told.value)


def test_another_error_while_writing_stays_what_it_is(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), store.scratch():
        (tmp_path / "nowhere" / "file").write_bytes(b"abc")


def test_a_store_is_empty_until_the_first_file_is_put_in_place(store: Store) -> None:
    assert store.is_empty()
    with store.scratch() as scratch:
        (scratch / "half").write_bytes(b"abc")
        (scratch.parent.parent / ".DS_Store").write_bytes(b"of a file manager")
        assert store.is_empty()
    put(store, b"abc")
    assert not store.is_empty()


def test_stored_files_are_listed_and_deleted_and_others_are_neither(store: Store) -> None:
    kept, gone = put(store, b"kept"), put(store, b"given up")
    folder = kept.rpartition("/")[0]
    UPath(store.original(f"{folder}/notes.txt")).write_bytes(b"somebody's")
    UPath(store.original(f"toys/numbers/{'0' * 64}.txt")).write_bytes(b"somebody's")
    listed = {file.path: file for file in store.listing("toys/numbers")}
    assert {path: file.bytes for path, file in listed.items()} == {kept: 4, gone: 8}
    assert all(abs((datetime.now(UTC) - file.modified_at).total_seconds()) < 600 for file in listed.values())
    store.delete([gone, gone])
    assert [file.path for file in store.listing("toys/numbers")] == [kept]
    with pytest.raises(StoreDamaged, match="is missing"):
        store.locate(gone)
    assert list(store.listing("toys/letters")) == []
