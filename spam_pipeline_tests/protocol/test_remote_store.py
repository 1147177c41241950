"""A landing zone and a store on S3, told with the toy pipeline: what a partition costs, and what holds as on a disk."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from upath import UPath

from spam_pipeline.protocol.execution.convergence import Converged, converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.verifying import verify
from spam_pipeline_tests.object_storage import ObjectStorage, fetched, kinds, object_storage
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, numbers, received_numbers, rejected_numbers, toy_engine

ONLY_NUMBERS = (received_numbers, rejected_numbers, numbers)
MONTH = [(date(2026, 1, 1) + timedelta(day)).isoformat() for day in range(31)]


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorage]:
    with object_storage() as served:
        yield served


@pytest.fixture
def bucket(s3: ObjectStorage, tmp_path: Path) -> UPath:
    s3.take()
    return UPath(f"{s3.url}{tmp_path}")


def land(place: UPath | Path, days: list[str]) -> None:
    for day in days:
        file = place / "landing" / day / "a.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{day} 1\n{day} 2\nbroken\n", encoding="utf-8")


def engine_at(bucket: UPath, home: Path, stages: tuple[Any, ...] = STAGES) -> Engine:
    """An engine over the bucket."""
    return toy_engine(home, landing_url=f"{bucket}/landing", store_url=f"{bucket}/store", stages=stages)


def elsewhere(bucket: UPath, home: Path) -> Engine:
    """An engine of another machine over the same ledger and bucket."""
    ledger = f"sqlite:///{home / 'ledger.db'}"
    return toy_engine(
        home / "elsewhere", ledger_url=ledger, landing_url=f"{bucket}/landing", store_url=f"{bucket}/store"
    )


def run(engine: Engine) -> Converged:
    engine.observe()
    done = converge(engine)
    assert done.converged
    return done


def contents(engine: Engine) -> dict[tuple[str, str], str]:
    published = engine.ledger.published(engine.environment, list(engine.graph.stages))
    return {(stage, key): version.content for stage, found in published.items() for key, version in found.items()}


def test_a_partition_takes_at_most_fifteen_requests_and_a_landed_file_is_fetched_once(
    s3: ObjectStorage, bucket: UPath, tmp_path: Path
) -> None:
    land(bucket, MONTH[:4])
    s3.take()
    engine = engine_at(bucket, tmp_path / "home")
    done = run(engine)
    asked = s3.take()
    landed = [request for request in asked if "/landing/" in request.path]
    assert kinds(landed) == {"GET": 4}
    assert len(asked) <= 15 * done.computed
    stored = [request for request in asked if "/store/" in request.path]
    assert len(stored) <= 1.5 * len(engine.ledger.stored_files()), "a file that is there already takes two"

    run(engine)
    assert kinds(s3.take()) == {"LIST": 1}, "where nothing has changed, only the landing zone is listed"


def test_a_file_whose_copy_is_gone_is_fetched_once_more(s3: ObjectStorage, bucket: UPath, tmp_path: Path) -> None:
    land(bucket, MONTH[:2])
    engine_at(bucket, tmp_path / "home").observe()
    s3.take()
    other = elsewhere(bucket, tmp_path / "home")
    (bucket / "landing" / MONTH[1] / "a.txt").write_text(f"{MONTH[1]} 9\n", encoding="utf-8")
    s3.take()
    assert [failure.partition for failure in converge(other).failed] == [MONTH[1]], "it is not what was observed"
    assert kinds(request for request in s3.take() if MONTH[0] in request.path and "/landing/" in request.path) == {
        "GET": 1
    }
    run(other)
    assert other.reader.read("numbers", [MONTH[1]]).collect()["number"].to_list() == [9]


def test_what_is_published_is_what_a_disk_has(bucket: UPath, tmp_path: Path) -> None:
    for place in (bucket, tmp_path / "home"):
        land(place, MONTH[:3])
    remote, local = engine_at(bucket, tmp_path / "remote"), toy_engine(tmp_path / "home")
    run(remote)
    run(local)
    assert contents(remote) == contents(local)


def test_a_month_is_read_with_a_request_for_each_small_file(s3: ObjectStorage, bucket: UPath, tmp_path: Path) -> None:
    late = bucket / "landing" / MONTH[0] / "a.txt"  # all that a month has, in one file, so that the test is short
    late.parent.mkdir(parents=True, exist_ok=True)
    late.write_text("".join(f"{day} {number}\n" for day in MONTH for number in (1, 2)), encoding="utf-8")
    run(engine_at(bucket, tmp_path / "home", ONLY_NUMBERS))
    s3.take()
    reader = elsewhere(bucket, tmp_path / "home").reader
    read = reader.read("numbers", MONTH)
    assert read.select(pl.col("number").sum()).collect().item() == 3 * 31
    versions = [reader.version("numbers", day) for day in MONTH]
    files = {file.path: file.bytes for version in versions for part in version.parts for file in part.files}
    asked = s3.take()
    assert kinds(asked) == {"GET": len(files)}
    assert fetched(asked) == sum(files.values())


def test_damage_in_the_bucket_is_repaired_by_a_machine_without_a_copy(bucket: UPath, tmp_path: Path) -> None:
    land(bucket, MONTH[:2])
    run(engine_at(bucket, tmp_path / "home"))
    other = elsewhere(bucket, tmp_path / "home")
    [lost, replaced] = [other.reader.version("numbers", day).parts[0].files[0].path for day in MONTH[:2]]
    (bucket / "store" / lost).unlink()
    (bucket / "store" / replaced).write_bytes(b"other bytes")
    assert set(verify(other, repair=False).damaged) == {lost, replaced}
    assert set(verify(other, repair=True).repaired) == {lost, replaced}
    assert verify(other, repair=False).damaged == {}


def test_a_late_file_is_computed_by_another_machine_from_damaged_inputs(bucket: UPath, tmp_path: Path) -> None:
    land(bucket, MONTH[:2])
    run(engine_at(bucket, tmp_path / "home"))
    other = elsewhere(bucket, tmp_path / "home")
    lost = other.reader.version("numbers", MONTH[0]).parts[0].files[0].path
    (bucket / "store" / lost).unlink()
    late = bucket / "landing" / MONTH[1] / "b.txt"
    late.write_text(f"{MONTH[1]} 7\n", encoding="utf-8")
    run(other)
    (bucket / "store" / lost).fs.invalidate_cache()
    assert (bucket / "store" / lost).exists()
