"""What a change began with, followed from two versions of a stage down to files, code, settings and decisions."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import PartForPartition
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.explanation.root_causes import ChangeKind, RootCause, RootCauses
from spam_pipeline.protocol.ledger.records import DecisionKind
from spam_pipeline_tests.protocol.toy_pipeline import land, numbers, received_numbers, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run, with_other
from spam_pipeline_tests.protocol.toy_variants import FewNumbers, numbers_in_two_steps, small_numbers

MONTH = "2026-01"
SMALL = with_other(replace(numbers, function=small_numbers))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days with a file each, published. To be copied."""
    home = tmp_path_factory.mktemp("published")
    land(home, "2026-01-01", "a", "2026-01-01 3", "2026-01-01 50")
    land(home, "2026-01-02", "b", "2026-01-02 4")
    engine = toy_engine(home)
    run(engine)
    engine.ledger.close()
    return home


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(published, tmp_path / "home"))


def change(
    home: Path, done: Callable[[], object], before: Engine | None = None, now: Engine | None = None
) -> list[str]:
    """What the month's total says that its change began with, when something is done."""
    before = before or toy_engine(home)
    old = before.reader.version("monthly_total", MONTH)
    done()
    engine = now or toy_engine(home)
    run(engine)
    new = engine.reader.version("monthly_total", MONTH)
    assert old.id != new.id
    return list(map(str, RootCauses(engine.ledger, engine.environment).of("monthly_total", old.id, new.id)))


def nothing() -> None:
    """Nothing besides what is deployed."""


def test_late_files_are_named(home: Path) -> None:
    done = change(home, lambda: land(home, "2026-01-02", "late", "2026-01-01 5"))
    assert done == ["new data: the file 2026-01-02/late.txt landed"]


def test_a_file_of_a_new_day_is_all_that_is_new(home: Path) -> None:
    assert change(home, lambda: land(home, "2026-01-03", "c", "2026-01-03 5")) == [
        "new data: the file 2026-01-03/c.txt landed"
    ]


def test_many_files_are_counted_and_some_are_named(home: Path) -> None:
    def land_many() -> None:
        for name in "cdefgh":
            land(home, "2026-01-02", name, f"2026-01-02 1{ord(name)}")

    (line,) = change(home, land_many)
    assert line.startswith("new data: 6 files of landed_numbers (2026-01-02/c.txt, 2026-01-02/d.txt, ")
    assert line.endswith("and 2 more) landed")


def test_a_file_that_changed_and_one_that_went_away_are_told_apart(home: Path) -> None:
    land(home, "2026-01-02", "c", "2026-01-02 5")
    run(toy_engine(home))

    def edit() -> None:
        land(home, "2026-01-01", "a", "2026-01-01 7")
        (home / "landing" / "2026-01-02" / "b.txt").unlink()

    assert change(home, edit) == [
        "data was taken back: the file 2026-01-02/b.txt went away",
        "the file 2026-01-01/a.txt changed",
    ]


def test_changed_code_is_told_with_the_stage_that_it_changed(home: Path) -> None:
    assert change(home, nothing, now=toy_engine(home, stages=SMALL)) == [
        "the definition of numbers changed: toy_pipeline.Numbers (removed), toy_pipeline.numbers (removed), toy_variants.small_numbers (added)"
    ]


def test_a_change_that_had_no_effect_is_not_what_another_began_with(home: Path) -> None:
    other = toy_engine(home, stages=with_other(replace(numbers, function=numbers_in_two_steps)))
    run(other)
    land(home, "2026-01-03", "february", "2026-02-01 9")
    run(other)
    assert change(home, lambda: land(home, "2026-01-03", "late", "2026-01-01 5"), other, other) == [
        "new data: the file 2026-01-03/late.txt landed"
    ]


def test_a_change_of_the_stage_itself_that_had_no_effect_is_not_one_either(home: Path) -> None:
    old = toy_engine(home).reader.version("numbers", "2026-01-01")
    other = toy_engine(home, stages=with_other(replace(numbers, function=numbers_in_two_steps)))
    run(other)
    land(home, "2026-01-03", "late", "2026-01-01 5")
    run(other)
    new = other.reader.version("numbers", "2026-01-01")
    assert old.code_version != new.code_version
    (root_cause,) = RootCauses(other.ledger, other.environment).of("numbers", old.id, new.id)
    assert root_cause == RootCause(ChangeKind.LANDED, "landed_numbers", ("2026-01-03/late.txt",))


def test_a_setting_is_named(home: Path) -> None:
    first, other = toy_engine(home), toy_engine(home, factor=2)
    old = first.reader.version("two_day_total", "2026-01-02")
    run(other)
    new = other.reader.version("two_day_total", "2026-01-02")
    assert RootCauses(other.ledger, other.environment).of("two_day_total", old.id, new.id) == [
        RootCause(ChangeKind.SETTING, "two_day_total", ("factor",))
    ]
    assert (
        str(RootCause(ChangeKind.SETTING, "two_day_total", ("factor",))) == "a setting of two_day_total changed: factor"
    )


def test_versions_that_are_published_again_tell_what_changed_back(home: Path) -> None:
    late = home / "landing" / "2026-01-02" / "late.txt"
    assert change(home, lambda: land(home, "2026-01-02", "late", "2026-01-01 5")) == [
        "new data: the file 2026-01-02/late.txt landed"
    ]
    assert change(home, late.unlink) == ["data was taken back: the file 2026-01-02/late.txt went away"]
    assert change(home, nothing, now=toy_engine(home, stages=SMALL))[0].startswith("the definition of numbers")
    back = change(home, nothing, before=toy_engine(home, stages=SMALL))
    assert back == [
        "the definition of numbers changed: toy_pipeline.Numbers (added), toy_pipeline.numbers (added), toy_variants.small_numbers (removed)"
    ]


def test_a_decision_is_told_with_who_and_why(home: Path) -> None:
    strict = toy_engine(home, stages=with_other(replace(numbers, contract=FewNumbers)))
    run(strict)
    old = strict.reader.version("monthly_total", MONTH)
    land(home, "2026-01-03", "large", "2026-01-03 90")
    run(strict)
    assert strict.reader.version("monthly_total", MONTH).id == old.id, "the new day is quarantined"
    (refused, _), *_ = strict.ledger.versions("numbers", "2026-01-03")

    def accept() -> None:
        decide(strict, refused.recipe, DecisionKind.ACCEPT, "Ada", "it is right")

    assert change(home, accept, strict, strict) == [
        "new data: the file 2026-01-03/large.txt landed",
        "a decision about numbers 2026-01-03: Ada accepted it: it is right",
    ]


def doubled_numbers(second_reading: pl.LazyFrame) -> pl.LazyFrame:
    """The day's distinct numbers, doubled, as another stage reads them."""
    return second_reading.unique().with_columns(pl.col("number") * 2).sort("number")


def test_files_that_a_new_stage_reads_are_no_new_data(home: Path) -> None:
    other = replace(
        numbers,
        function=doubled_numbers,
        inputs={"second_reading": Reads(PartForPartition())},
        partitioned_by=("second_reading",),
    )
    stages = (*with_other(other), replace(received_numbers, name="second_reading"))
    (line,) = change(home, nothing, now=toy_engine(home, stages=stages))
    assert line.startswith("the definition of numbers changed: ")


def test_between_two_equals_nothing_changed(home: Path) -> None:
    engine = toy_engine(home)
    version = engine.reader.version("monthly_total", MONTH)
    assert RootCauses(engine.ledger, engine.environment).of("monthly_total", version.id, version.id) == []
