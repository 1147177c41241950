"""A pipeline of numbers, small enough to follow by eye, with every kind of stage that the protocol knows.

A landed file has lines of `<event day> <number>`; anything else on a line is rejected.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import dataframely as dy
import polars as pl

from spam_pipeline.partitions import arrival_days, event_days, statement_months, unpartitioned
from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract
from spam_pipeline.protocol.definition.delivery import Delivery
from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import (
    DaysOfMonth,
    EveryPartition,
    EveryStage,
    PartForPartition,
    SamePartition,
    TrailingDays,
)
from spam_pipeline.protocol.definition.stage import Source, stage
from spam_pipeline.protocol.execution.engine import Engine, open_engine
from spam_pipeline.protocol.fingerprint import Count, Counted, Fingerprint, Measure
from spam_pipeline.protocol.fingerprint import Total as Sum
from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import PRODUCTION, Version
from spam_pipeline.protocol.storage.cache_room import CacheRoom
from spam_pipeline.protocol.storage.landed_copies import LandedCopies
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline.protocol.storage.store import Store

landed_numbers = Source("landed_numbers", arrival_days, "Files of numbers.")


class Numbers(Contract):
    """Numbers of a day; negative ones break the contract."""

    day = dy.String()
    number = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        return {"numbers": Count(), "total": Sum(pl.col("number"))}


class Rejected(Contract):
    file = dy.String()
    line = dy.Int64()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        return {"records": Count(), "lines": Sum(pl.col("line"))}


class Total(Contract):
    key = dy.String(primary_key=True)
    total = dy.Int64()


class Catalogue(Contract):
    context = dy.String()
    stage = dy.String()
    partition = dy.String()
    part = dy.String()
    file = dy.String()
    rows = dy.Int64()
    content = dy.String()


class BoardAway(PipelineError):
    """The board outside cannot be reached."""


def write_json(value: Mapping[str, int], path: Path) -> None:
    path.write_text(json.dumps(value, sort_keys=True), encoding="utf-8")


def read_json(path: Path) -> dict[str, int]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def delivered_recipe(target: str) -> str | None:
    path = Path(target)
    if path.is_dir():
        raise BoardAway(f"{target} is no board")
    return path.read_text(encoding="utf-8").split("\n", 1)[0] if path.exists() else None


def deliver_lines(target: str, version: Version, reader: Reader) -> None:
    rows = reader.rows(version).collect().rows()
    Path(target).write_text("\n".join([version.recipe, *(str(row) for row in rows)]), encoding="utf-8")


def known_days(value: Mapping[str, int]) -> Fingerprint:
    return {"days": Counted(len(value))}


MODEL = ArtifactContract(".json", write_json, read_json, known_days)


@stage(
    partitions=arrival_days,
    contract=Numbers,
    owner="team:toys",
    libraries=["polars"],
    side_parts={"rejected": Rejected},
    private_parts=("rejected_bytes",),
    file_by_file=True,
)
def received_numbers(landed_numbers: LandedFile) -> Iterator[tuple[str, pl.DataFrame]]:
    """Numbers by event day, as they arrived."""
    with landed_numbers.open() as file:
        lines = file.read().decode().splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split(" ")
        if len(words) == 2 and words[1].lstrip("-").isdigit():
            yield words[0], pl.DataFrame({"day": [words[0]], "number": [int(words[1])]})
        else:
            yield "rejected", pl.DataFrame({"file": [landed_numbers.path], "line": [number]})
            yield "rejected_bytes", pl.DataFrame({"line": [number], "raw": [line]})


@stage(
    partitions=arrival_days,
    contract=Rejected,
    owner="team:toys",
    libraries=["polars"],
)
def rejected_numbers(received_numbers: Annotated[pl.LazyFrame, Reads(SamePartition("rejected"))]) -> pl.LazyFrame:
    """Where the broken lines are."""
    return received_numbers.sort("file", "line")


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def numbers(received_numbers: Annotated[pl.LazyFrame, Reads(PartForPartition())]) -> pl.LazyFrame:
    """The day's distinct numbers."""
    return received_numbers.unique().sort("number")


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"])
def two_day_total(
    numbers: Annotated[pl.LazyFrame, Reads(TrailingDays(2))], partition: str, factor: int
) -> pl.LazyFrame:
    """Total of the day and the day before, times a setting."""
    return numbers.select(key=pl.lit(partition), total=pl.col("number").sum() * factor)


@stage(partitions=unpartitioned, contract=MODEL, owner="team:toys", libraries=["polars"])
def model(numbers: Annotated[pl.LazyFrame, Reads(EveryPartition())]) -> dict[str, int]:
    """How many numbers each day has."""
    return dict(numbers.group_by("day").len().sort("day").collect().rows())


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"])
def share(numbers: pl.LazyFrame, model: Mapping[str, int], partition: str) -> pl.LazyFrame:
    """The day's numbers in percent of all."""
    percent = 100 * model.get(partition, 0) // max(1, sum(model.values()))
    return numbers.select(key=pl.lit(partition), total=pl.lit(percent, pl.Int64)).head(1)


@stage(partitions=statement_months, contract=Total, owner="team:toys", libraries=["polars"])
def monthly_total(numbers: Annotated[pl.LazyFrame, Reads(DaysOfMonth())], partition: str) -> pl.LazyFrame:
    """Total of the month."""
    return numbers.select(key=pl.lit(partition), total=pl.col("number").sum())


@stage(partitions=event_days, contract=Total, owner="team:toys", libraries=["polars"], settled_after_days=2)
def settled_total(numbers: pl.LazyFrame, partition: str) -> pl.LazyFrame:
    """Total of a day that nobody expects anything more for."""
    return numbers.select(key=pl.lit(partition), total=pl.col("number").sum())


@stage(
    partitions=unpartitioned,
    contract=Catalogue,
    owner="team:toys",
    libraries=["polars"],
    delivery=Delivery("board", delivered_recipe, deliver_lines),
)
def board(catalogue: Annotated[pl.LazyFrame, Reads(EveryStage())]) -> pl.LazyFrame:
    """Everything there is, on a board outside."""
    return catalogue


STAGES = (
    received_numbers,
    rejected_numbers,
    numbers,
    two_day_total,
    model,
    share,
    monthly_total,
    settled_total,
    board,
)


def toy_graph(home: Path, stages: tuple[Any, ...] = STAGES, factor: int = 1) -> StageGraph:
    """The graph of toys; those that a test writes as a module of its own rest on this package too."""
    configuration = {"factor": factor, "board": str(home / "board.txt")}
    return StageGraph(stages, [landed_numbers], configuration, own_packages=["spam_pipeline_tests"])


def toy_engine(  # noqa: PLR0913 - what a test may vary, each by name
    home: Path,
    *,
    environment: str = PRODUCTION,
    ledger_url: str | None = None,
    factor: int = 1,
    stages: tuple[Any, ...] = STAGES,
    landing_url: str | None = None,
    store_url: str | None = None,
    unnamed_targets: Collection[str] = frozenset(),
    at_once: int = 1,
) -> Engine:
    home.mkdir(parents=True, exist_ok=True)
    url = ledger_url or f"sqlite:///{home / 'ledger.db'}"
    return open_engine(
        graph=toy_graph(home, stages, factor),
        ledger=Ledger(url),
        store=Store(store_url or str(home / "store"), home / "cache"),
        private_store=Store(str(home / "private"), home / "cache-private"),
        landing=LandingZone(
            landing_url or str(home / "landing"),
            LandedCopies(home / "cache-landing", CacheRoom(home / "cache-landing")),
        ),
        classify=classify,
        claims=Claims(url),
        environment=environment,
        unnamed_targets=unnamed_targets,
        at_once=at_once,
    )


def classify(path: str) -> tuple[str, str] | None:
    folder, _, name = path.partition("/")
    return ("landed_numbers", folder) if name.endswith(".txt") else None


def land(home: Path, arrival_day: str, name: str, *lines: str) -> Path:
    """Land a file as a whole, the way a delivery does."""
    folder = home / "landing" / arrival_day
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}"
    unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return unfinished.replace(folder / f"{name}.txt")
