"""A landing zone behind a URL, told with the toy pipeline: what holds of a local one holds of it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from upath import UPath

from spam_pipeline.partitions import arrival_days
from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline.protocol.execution.convergence import Converged, converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import LandingVanished
from spam_pipeline_tests.protocol.made_up_records import landed
from spam_pipeline_tests.protocol.toy_pipeline import Numbers, toy_engine


@pytest.fixture
def bucket() -> UPath:
    return UPath(f"memory://{uuid4().hex}/landing")


def land(bucket: UPath, path: str, *lines: str) -> None:
    (bucket / path).parent.mkdir(parents=True, exist_ok=True)
    (bucket / path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run(engine: Engine) -> Converged:
    engine.observe()
    return converge(engine)


def numbers(engine: Engine, day: str) -> list[int]:
    return [int(number) for number in engine.reader.read("numbers", [day]).collect()["number"]]


def test_files_that_land_are_replaced_and_go_are_followed(bucket: UPath, tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, landing_url=str(bucket))
    land(bucket, "2026-01-01/a.txt", "2026-01-01 1", "broken")
    land(bucket, "2026-01-01/b.txt", "2026-01-01 2")
    assert run(engine).converged
    assert numbers(engine, "2026-01-01") == [1, 2]
    assert (run(engine).computed, run(engine).reused) == (0, 0)

    land(bucket, "2026-01-01/b.txt", "2026-01-01 3")
    run(engine)
    assert numbers(engine, "2026-01-01") == [1, 3]

    (bucket / "2026-01-01" / "a.txt").unlink()
    run(engine)
    assert numbers(engine, "2026-01-01") == [3]


def test_a_bucket_that_vanished_changes_nothing_and_comes_back(bucket: UPath, tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, landing_url=str(bucket))
    land(bucket, "2026-01-01/a.txt", "2026-01-01 1")
    run(engine)
    known = landed(engine.ledger)
    (bucket / "2026-01-01" / "a.txt").unlink()
    with pytest.raises(LandingVanished, match="where 1 were known"):
        engine.observe()
    assert landed(engine.ledger) == known
    land(bucket, "2026-01-01/a.txt", "2026-01-01 1")
    assert run(engine).computed == 0, "the same bytes are the same input, whenever they were written"


def replaced_after(landed_numbers: LandedFile) -> pl.DataFrame:
    """Read a file to its end while another one takes its place."""
    with landed_numbers.open() as file:
        read = file.read().decode().split()
    land(UPath(str(landed_numbers.zone)), landed_numbers.path, "2026-01-01 2")
    return pl.DataFrame({"day": [read[0]], "number": [int(read[1])]})


@stage(
    partitions=arrival_days,
    contract=Numbers,
    owner="team:toys",
    libraries=["polars", "universal-pathlib"],
    file_by_file=True,
)
def file_by_file(landed_numbers: LandedFile) -> Iterator[tuple[str, pl.DataFrame]]:
    """A stage that decodes files one by one."""
    yield "2026-01-01", replaced_after(landed_numbers)


@stage(partitions=arrival_days, contract=Numbers, owner="team:toys", libraries=["polars", "universal-pathlib"])
def whole(landed_numbers: LandedFile) -> pl.LazyFrame:
    """A stage that takes its file as a whole."""
    return replaced_after(landed_numbers).lazy()


@pytest.mark.parametrize("reading", [file_by_file, whole])
def test_a_file_that_is_replaced_after_it_was_read_gives_a_version_of_what_was_observed_and_then_another(
    bucket: UPath, tmp_path: Path, reading: Any
) -> None:
    engine = toy_engine(tmp_path, stages=(reading,), landing_url=str(bucket))
    land(bucket, "2026-01-01/a.txt", "2026-01-01 1")
    for number in (1, 2):
        assert run(engine).computed == 1
        version = engine.reader.version(reading.name, "2026-01-01")
        observed = hashlib.sha256(f"2026-01-01 {number}\n".encode()).hexdigest()
        assert [item.content for item in version.inputs] == [observed]
        assert engine.reader.rows(version).collect()["number"].to_list() == [number]


def test_a_large_landing_is_observed_in_turns(bucket: UPath, tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, landing_url=str(bucket))
    for number in range(250):
        land(bucket, f"2026-01-01/{number:03}.txt", f"2026-01-01 {number}")
    assert [len(engine.observe_recent(seconds=0)) for _ in range(3)] == [200, 50, 0]
    assert len(landed(engine.ledger)) == 250
