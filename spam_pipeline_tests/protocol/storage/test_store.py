"""The store, on a local disk and behind fsspec."""

import os
import stat
from pathlib import Path

import pytest

from spam_pipeline.protocol.foundation.errors import StoreDamaged
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


def test_damage_is_found_when_asked_for(store: Store) -> None:
    path = put(store, b"abc")
    store.locate(path).chmod(0o644)
    store.locate(path).write_bytes(b"abd")
    with pytest.raises(StoreDamaged, match="its bytes have the digest"):
        store.verify(path)


def test_a_file_that_the_store_lost_is_said_to_be_missing(store: Store) -> None:
    with pytest.raises(StoreDamaged, match="is missing: restore the file"):
        store.locate("toys/numbers/2026-01-05/lost.parquet")


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
