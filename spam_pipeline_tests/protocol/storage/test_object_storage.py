"""The store on S3: what is asked of it, what is read where it lies, and what is noticed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from upath import UPath

from spam_pipeline.protocol.foundation.errors import StoreDamaged
from spam_pipeline.protocol.ledger.records import StoredFile
from spam_pipeline.protocol.storage.cache_room import CacheRoom
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline.protocol.storage.writer import write_result
from spam_pipeline_tests.object_storage import ObjectStorage, fetched, kinds, object_storage

ROWS = 600_000


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorage]:
    with object_storage() as served:
        yield served


@pytest.fixture
def url(s3: ObjectStorage, tmp_path: Path) -> str:
    """A place in the bucket that no other test has."""
    s3.take()
    return f"{s3.url}{tmp_path}"


def put(store: Store, content: bytes) -> StoredFile:
    with store.scratch() as scratch:
        made = scratch / "made.parquet"
        made.write_bytes(content)
        return StoredFile(store.put(made, "toys/numbers/2026-01-05"), 1, len(content))


def put_frame(store: Store, rows: int, seed: int = 1) -> StoredFile:
    """A frame of two columns that do not compress; of the second, 1 byte in 100."""
    drawn = np.random.default_rng(seed).integers(0, 2**62, rows)
    frame = pl.LazyFrame({"large": drawn, "small": np.arange(rows) // 100_000})
    return write_result(store, "toys/numbers/2026-01-05", frame)["all"][0]


def object_of(url: str, file: StoredFile) -> UPath:
    """The object as others see it, without what this process knows of the bucket."""
    found = UPath(f"{url}/{file.path}")
    found.fs.invalidate_cache()
    return found


def test_a_file_takes_one_request_to_put_and_one_to_fetch(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    file = put(Store(url, tmp_path / "here"), b"abc")
    assert kinds(s3.take()) == {"PUT": 1}
    elsewhere = Store(url, tmp_path / "elsewhere")
    assert elsewhere.locate(file.path).read_bytes() == b"abc"
    assert kinds(s3.take()) == {"GET": 1}
    elsewhere.locate(file.path)
    assert s3.take() == []


def test_the_same_bytes_are_put_once(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    file = put(Store(url, tmp_path / "here"), b"abc")
    before = object_of(url, file).stat().st_mtime
    s3.take()
    assert put(Store(url, tmp_path / "elsewhere"), b"abc") == file
    assert kinds(s3.take()) == {"PUT": 1, "HEAD": 1}, "refused, and asked whether what is there is the same"
    assert object_of(url, file).stat().st_mtime == before


def test_a_large_file_that_is_there_is_not_sent_again(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    put_frame(Store(url, tmp_path / "here"), ROWS)
    s3.take()
    put_frame(Store(url, tmp_path / "elsewhere"), ROWS)
    assert kinds(s3.take()) == {"HEAD": 1}


def test_the_right_bytes_take_the_place_of_others(url: str, tmp_path: Path) -> None:
    file = put(Store(url, tmp_path / "here"), b"abc")
    object_of(url, file).write_bytes(b"abd")
    elsewhere = Store(url, tmp_path / "elsewhere")
    for ask in (elsewhere.locate, elsewhere.verify):
        with pytest.raises(StoreDamaged, match="has bytes with the digest"):
            ask(file.path)
    assert put(elsewhere, b"abc") == file
    elsewhere.verify(file.path)
    assert object_of(url, file).read_bytes() == b"abc"


def test_of_a_large_file_the_columns_that_are_needed_are_read_where_they_lie(
    s3: ObjectStorage, url: str, tmp_path: Path
) -> None:
    file = put_frame(Store(url, tmp_path / "here"), ROWS)
    s3.take()
    elsewhere = Store(url, tmp_path / "elsewhere")
    assert elsewhere.scan([file]).select(pl.col("small").sum()).collect().item() == 1_500_000
    asked = s3.take()
    assert kinds(asked).keys() <= {"HEAD", "GET range"}
    assert len(asked) <= 6
    assert fetched(asked) < file.bytes / 8
    assert not [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]


def test_what_is_read_repeatedly_is_fetched_whole_if_the_cache_has_room_for_a_hundred(
    s3: ObjectStorage, url: str, tmp_path: Path
) -> None:
    file = put_frame(Store(url, tmp_path / "here"), ROWS)
    for max_bytes, whole in ((100 * file.bytes, True), (99 * file.bytes, False)):
        s3.take()
        cache = tmp_path / str(max_bytes)
        store = Store(url, cache, room=CacheRoom(cache, max_bytes))
        assert store.scan([file], repeatedly=True).select(pl.col("small").sum()).collect().item() == 1_500_000
        assert (kinds(s3.take()) == {"GET": 1}) is whole


def test_small_and_large_files_are_read_in_their_order(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    here = Store(url, tmp_path / "here")
    files = [put_frame(here, rows, seed) for seed, rows in enumerate([10, ROWS, 20, 30])]
    s3.take()
    read = Store(url, tmp_path / "elsewhere").scan(files).collect()
    assert read.equals(pl.concat([pl.read_parquet(here.locate(file.path)) for file in files]))
    assert kinds(s3.take())["GET"] == 3


def test_a_large_file_that_somebody_replaced_is_fetched_and_found_out(url: str, tmp_path: Path) -> None:
    file = put_frame(Store(url, tmp_path / "here"), ROWS)
    content = bytearray((tmp_path / "here" / file.path).read_bytes())
    content[1000] ^= 1
    object_of(url, file).write_bytes(bytes(content))
    elsewhere = Store(url, tmp_path / "elsewhere")
    with pytest.raises(StoreDamaged, match="has bytes with the digest"):
        elsewhere.scan([file])
    assert not elsewhere.has(file)
    object_of(url, file).unlink()
    with pytest.raises(StoreDamaged, match="is missing"):
        elsewhere.scan([file])


def test_a_copy_of_the_bucket_without_its_notes_is_read_whole(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    file = put_frame(Store(url, tmp_path / "here"), ROWS)
    object_of(url, file).write_bytes((tmp_path / "here" / file.path).read_bytes())
    s3.take()
    assert Store(url, tmp_path / "elsewhere").scan([file]).select(pl.len()).collect().item() == ROWS
    assert fetched(s3.take()) == file.bytes


def test_what_is_there_is_known_without_fetching_it(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    file = put(Store(url, tmp_path / "here"), b"abc")
    s3.take()
    elsewhere = Store(url, tmp_path / "elsewhere")
    assert elsewhere.has(file)
    assert not elsewhere.has(StoredFile(f"toys/numbers/2026-01-05/{hashlib.sha256().hexdigest()}.parquet", 1, 1))
    assert fetched(s3.take()) < 1000, "nothing but the message of an error"


def test_a_lost_file_is_put_back_from_a_copy_on_this_machine(url: str, tmp_path: Path) -> None:
    here = Store(url, tmp_path / "here")
    file = put(here, b"abc")
    object_of(url, file).unlink()
    assert not Store(url, tmp_path / "elsewhere").restore(file.path)
    assert here.restore(file.path)
    here.verify(file.path)
    copy = tmp_path / "here" / file.path
    copy.chmod(0o644)
    copy.write_bytes(b"abd")
    assert not here.restore(file.path)


def test_many_files_are_deleted_in_one_request(s3: ObjectStorage, url: str, tmp_path: Path) -> None:
    store = Store(url, tmp_path / "cache")
    kept, *others = [put(store, str(number).encode()).path for number in range(5)]
    assert {file.path for file in store.listing("toys/numbers")} == {kept, *others}
    s3.take()
    store.delete([])
    store.delete(others)
    assert len(s3.take()) == 1
    assert [file.path for file in store.listing("toys/numbers")] == [kept]
