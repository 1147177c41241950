"""What a stage returned becomes immutable files."""

from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.protocol.foundation.errors import WrongDefinition
from spam_pipeline.protocol.foundation.slices import in_slices
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline.protocol.storage.writer import write_batches, write_result


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


@pytest.fixture
def private(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "private"), tmp_path / "cache")


def test_the_same_frame_gives_the_same_bytes(store: Store) -> None:
    frame = pl.LazyFrame({"n": range(600_000)}).with_columns(name=pl.col("n").cast(pl.String))
    assert write_result(store, "a", frame) == write_result(store, "a", frame.filter(pl.col("n") >= 0))


def test_a_frame_in_slices_gives_the_bytes_of_the_whole(store: Store) -> None:
    whole = pl.DataFrame({"n": range(600_000)}).with_columns(name=pl.format("name {}", pl.col("n") % 1_000))
    slices = in_slices(lambda: (whole.slice(start, 170_001) for start in range(0, 600_000, 170_001)), whole.schema)
    assert write_result(store, "a", slices) == write_result(store, "a", whole)


def test_an_empty_frame_is_a_file_with_columns(store: Store) -> None:
    files = write_result(store, "a", pl.LazyFrame(schema={"n": pl.Int64}))
    assert files["all"][0].rows == 0
    assert pl.read_parquet_schema(store.locate(files["all"][0].path)) == {"n": pl.Int64}


def test_a_mapping_of_frames_becomes_parts(store: Store) -> None:
    files = write_result(store, "a", {"2026-01": pl.LazyFrame({"n": [1]}), "2026-02": pl.LazyFrame({"n": [1, 2]})})
    assert {part: made[0].rows for part, made in files.items()} == {"2026-01": 1, "2026-02": 2}


def test_anything_else_is_refused(store: Store) -> None:
    with pytest.raises(WrongDefinition, match="a stage returns a Polars frame or a mapping of frames, got int"):
        write_result(store, "a", 5)


def test_small_batches_of_a_part_are_joined_into_one_file(store: Store, private: Store) -> None:
    batches = ((f"2026-01-0{n % 2 + 1}", pl.DataFrame({"n": [n]})) for n in range(10))
    files = write_batches(store, private, "a", batches, frozenset())
    assert {part: [file.rows for file in made] for part, made in files.items()} == {
        "2026-01-01": [5],
        "2026-01-02": [5],
    }
    assert pl.read_parquet(store.locate(files["2026-01-01"][0].path))["n"].to_list() == [0, 2, 4, 6, 8]


def test_large_parts_are_written_as_they_come(store: Store, private: Store) -> None:
    batches = (("2026-01-01", pl.DataFrame({"n": range(400_000)})) for _ in range(5))
    files = write_batches(store, private, "a", batches, frozenset())
    assert [file.rows for file in files["2026-01-01"]] == [1_200_000, 800_000]


def test_private_parts_go_elsewhere(store: Store, private: Store, tmp_path: Path) -> None:
    batches = [("bytes", pl.DataFrame({"raw": ["secret"]})), ("2026-01-01", pl.DataFrame({"n": [1]}))]
    files = write_batches(store, private, "a", batches, frozenset({"bytes", "more"}))
    assert {part: len(made) for part, made in files.items()} == {"2026-01-01": 1, "bytes": 1, "more": 0}
    assert [file.name for file in (tmp_path / "store/a").iterdir()] == [Path(files["2026-01-01"][0].path).name]
    assert pl.read_parquet(tmp_path / "private" / files["bytes"][0].path)["raw"].to_list() == ["secret"]
