"""Schemas evolve: additions flow, a breaking change is a new schema that old consumers survive, an undeclared one is refused."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import dataframely as dy
import polars as pl
import pytest

from spam_pipeline.protocol.definition.contract import Contract, ShowAsEarlier
from spam_pipeline.protocol.definition.delivery import Delivery
from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import DaysOfMonth
from spam_pipeline.protocol.execution.plan import plan
from spam_pipeline.protocol.execution.running import run_partition
from spam_pipeline.protocol.foundation.errors import WrongDefinition
from spam_pipeline_tests.protocol.toy_pipeline import (
    STAGES,
    Numbers,
    deliver_lines,
    delivered_recipe,
    land,
    monthly_total,
    numbers,
    toy_engine,
    toy_graph,
)
from spam_pipeline_tests.protocol.toy_runs import digests, run, total
from spam_pipeline_tests.protocol.toy_variants import numbers_in_two_steps

DAY = "2026-01-04"
READS = ("day", "number")
CONSUMERS = ("two_day_total", "model", "share", "monthly_total", "settled_total")


class NumbersAndSigns(Numbers):
    """Numbers of a day, each with its sign."""

    is_even = dy.Bool()


class NamedNumbers(Contract):
    """Numbers of a day under another name: schema 2."""

    schema_version: ClassVar[int] = 2
    day = dy.String()
    value = dy.Int64(min=0)

    @classmethod
    def earlier_schemas(cls) -> dict[int, ShowAsEarlier]:
        return {1: with_the_old_name}


class RenamedNumbers(Contract):
    """Numbers of a day under another name, which nobody was told of."""

    day = dy.String()
    value = dy.Int64(min=0)


class UnreadableNumbers(RenamedNumbers):
    """Schema 2, in which the earlier one can no longer be read."""

    schema_version: ClassVar[int] = 2


def with_the_old_name(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.select("day", number="value")


def numbers_and_signs(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    return received_numbers.unique().sort("number").with_columns(is_even=pl.col("number") % 2 == 0)


def numbers_and_odd_signs(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    return received_numbers.unique().sort("number").with_columns(is_even=pl.col("number") % 2 == 1)


def even_numbers(numbers: pl.LazyFrame, partition: str) -> pl.LazyFrame:
    return numbers.select(key=pl.lit(partition), total=pl.col("is_even").sum().cast(pl.Int64))


def number_of_contents(
    numbers: pl.LazyFrame, partition: str, contents_read: Mapping[tuple[str, str], str]
) -> pl.LazyFrame:
    return numbers.select(key=pl.lit(partition), total=pl.lit(len(contents_read), pl.Int64)).head(1)


def renamed_numbers(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    return received_numbers.unique().sort("number").select("day", value="number")


def total_of_values(numbers: pl.LazyFrame, partition: str) -> pl.LazyFrame:
    return numbers.select(key=pl.lit(partition), total=pl.col("value").sum())


def stages(*changed: AnyStage) -> tuple[AnyStage, ...]:
    """The toy pipeline, in which every consumer of numbers says what it reads, with some stages changed."""
    other = {stage.name: stage for stage in changed}
    declared = [
        replace(stage, inputs={**stage.inputs, "numbers": replace(stage.inputs["numbers"], columns=READS)})
        if stage.name in CONSUMERS
        else stage
        for stage in STAGES
        if stage.delivery is None
    ]
    return tuple(other.get(stage.name, stage) for stage in declared)


def test_consumers_are_given_the_columns_that_they_read(home: Path) -> None:
    engine = toy_engine(
        home, stages=stages(replace(monthly_total, inputs={"numbers": Reads(DaysOfMonth(), columns=("day",))}))
    )
    done, _ = run(engine)
    assert [failure.stage for failure in done.failed] == ["monthly_total"]
    assert "number" in done.failed[0].error


def test_an_added_column_flows_and_changes_nothing_for_those_who_do_not_read_it(home: Path) -> None:
    run(toy_engine(home, stages=stages()))
    before = digests(toy_engine(home))
    added = toy_engine(home, stages=stages(replace(numbers, function=numbers_and_signs, contract=NumbersAndSigns)))
    assert {item.stage for item in plan(added) if item.cause.is_certain} == {"numbers"}
    done, did = run(added)
    assert (done.converged, done.held) == (True, ())
    assert {stage for stage, *_ in did} == {"numbers"}
    assert {key: content for key, content in digests(added).items() if key[0] in CONSUMERS} == {
        key: content for key, content in before.items() if key[0] in CONSUMERS
    }


def test_a_column_that_is_given_other_values_recomputes_those_who_read_it(home: Path) -> None:
    signed = replace(numbers, function=numbers_and_signs, contract=NumbersAndSigns)
    of_signs = replace(
        monthly_total, function=even_numbers, inputs={"numbers": Reads(DaysOfMonth(), columns=("day", "is_even"))}
    )
    run(toy_engine(home, stages=stages(signed, of_signs)))
    other = toy_engine(home, stages=stages(replace(signed, function=numbers_and_odd_signs), of_signs))
    done, did = run(other, "numbers")
    assert {stage for stage, *_ in did} == {"numbers"}
    assert [(item.stage, item.cause.summary) for item in plan(other)] == [("monthly_total", "data: numbers")]
    days = ("2026-01-01", "2026-01-02", "2026-01-04")
    assert plan(other)[0].cause.names == tuple(f"numbers {day} (is_even)" for day in days)
    done, did = run(other)
    assert (done.converged, did) == (True, [("monthly_total", "2026-01", "computed")])
    assert total(other, "monthly_total", "2026-01") == 1, "of 1, 2, 10 and 100 only one is odd"


def test_another_order_of_columns_recomputes_a_stage_that_gets_them_in_that_order(home: Path) -> None:
    run(toy_engine(home, stages=stages()))
    other = replace(monthly_total, inputs={"numbers": Reads(DaysOfMonth(), columns=READS[::-1])})
    (planned,) = plan(toy_engine(home, stages=stages(other)))
    assert (planned.stage, str(planned.cause)) == ("monthly_total", "code: the columns that it reads")


def test_an_added_column_recomputes_those_who_read_all_are_told_contents_or_deliver(home: Path) -> None:
    reading = {
        "all of it": replace(monthly_total, inputs={"numbers": Reads(DaysOfMonth())}),
        "contents": replace(
            monthly_total, function=number_of_contents, inputs={"numbers": Reads(DaysOfMonth(), columns=READS)}
        ),
        "delivered": replace(
            monthly_total,
            delivery=Delivery("board", delivered_recipe, deliver_lines),
            inputs={"numbers": Reads(DaysOfMonth(), columns=READS)},
        ),
    }
    for why, reader in reading.items():
        folder = home.with_name(f"home {why}")
        land(folder, DAY, "a", f"{DAY} 1")
        run(toy_engine(folder, stages=stages(reader)))
        signed = replace(numbers, function=numbers_and_signs, contract=NumbersAndSigns)
        _, did = run(toy_engine(folder, stages=stages(signed, reader)))
        assert {stage for stage, *_ in did} == {"numbers", "monthly_total"}, why


def test_of_a_version_that_was_made_by_an_earlier_release_the_content_counts(home: Path) -> None:
    run(toy_engine(home, stages=stages()))
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        ledger.execute("delete from part_columns")
        ledger.commit()
    run(toy_engine(home, stages=stages()))  # recipes with contents, as that release had them
    assert plan(toy_engine(home, stages=stages())) == []
    _, did = run(toy_engine(home, stages=stages(replace(numbers, function=numbers_in_two_steps))))
    assert {stage for stage, *_ in did} == {"numbers"}, (
        "equal content changes nothing, though it was computed by this release"
    )
    added = toy_engine(home, stages=stages(replace(numbers, function=numbers_and_signs, contract=NumbersAndSigns)))
    before = digests(added)
    _, did = run(added)
    assert {stage for stage, *_ in did} == {"numbers", *CONSUMERS}
    assert {key: content for key, content in digests(added).items() if key[0] != "numbers"} == {
        key: content for key, content in before.items() if key[0] != "numbers"
    }


def test_an_undeclared_breaking_change_is_refused_at_the_producer_and_names_whom_it_breaks(home: Path) -> None:
    run(toy_engine(home, stages=stages()))
    before = digests(toy_engine(home))
    # Consumers that do not say what they read cannot be checked when they are defined.
    silent = tuple(
        replace(numbers, function=renamed_numbers, contract=RenamedNumbers) if stage.name == "numbers" else stage
        for stage in STAGES
        if stage.delivery is None
    )
    broken = toy_engine(home, stages=silent)
    done, _ = run(broken)
    assert done.failed == ()
    assert {line.split(" ")[0] for line in done.held} == {"numbers"}
    (finding,) = [item for item in broken.ledger.versions("numbers", DAY)[-1][1].refusing if item.rule == "schema"]
    assert "breaks model, monthly_total, settled_total, share, two_day_total" in finding.seen
    assert digests(broken) == before


def test_a_column_that_a_declared_reader_needs_cannot_even_be_taken_away_by_definition(tmp_path: Path) -> None:
    with pytest.raises(WrongDefinition, match=r"reads number of schema 1 of numbers, which has no such columns"):
        toy_graph(tmp_path, stages(replace(numbers, function=renamed_numbers, contract=RenamedNumbers)))


def test_old_consumers_survive_a_new_schema_without_being_touched(home: Path) -> None:
    run(toy_engine(home, stages=stages()))
    before = digests(toy_engine(home))
    new = toy_engine(home, stages=stages(replace(numbers, function=renamed_numbers, contract=NamedNumbers)))
    done, _ = run(new)
    assert (done.failed, done.held) == ((), ())
    assert new.reader.read("numbers", [DAY]).collect().columns == ["day", "value"]
    assert total(new, "monthly_total", "2026-01") == 113
    assert {key: content for key, content in digests(new).items() if key[0] in CONSUMERS} == {
        key: content for key, content in before.items() if key[0] in CONSUMERS
    }


def test_a_consumer_moves_to_the_new_schema_when_it_likes(home: Path) -> None:
    moved = replace(
        monthly_total, function=total_of_values, inputs={"numbers": Reads(DaysOfMonth(), columns=("value",), schema=2)}
    )
    both = stages(replace(numbers, function=renamed_numbers, contract=NamedNumbers), moved)
    done, _ = run(toy_engine(home, stages=both))
    assert (done.failed, done.held) == ((), ())
    assert total(toy_engine(home, stages=both), "monthly_total", "2026-01") == 113


def test_what_is_still_published_in_an_earlier_schema_is_read_beside_the_new_one(home: Path) -> None:
    run(toy_engine(home, stages=stages()))
    new = toy_engine(home, stages=stages(replace(numbers, function=renamed_numbers, contract=NamedNumbers)))
    new.observe()
    run_partition(new, "numbers", DAY)
    run_partition(new, "monthly_total", "2026-01")
    assert total(new, "monthly_total", "2026-01") == 113


def test_how_an_earlier_schema_is_shown_is_part_of_the_code_of_who_reads_it(tmp_path: Path) -> None:
    new = stages(replace(numbers, function=renamed_numbers, contract=NamedNumbers))
    shown, plain = (toy_graph(tmp_path, found).code_versions["monthly_total"] for found in (new, stages()))
    assert f"{__name__}.with_the_old_name" in shown.definitions
    assert shown.definitions.keys() - plain.definitions.keys() == {f"{__name__}.with_the_old_name"}


def test_a_schema_that_nobody_offers_is_a_wrong_definition(tmp_path: Path) -> None:
    with pytest.raises(WrongDefinition, match=r"reads schema 1 of numbers, which offers \[2\]"):
        toy_graph(tmp_path, stages(replace(numbers, function=renamed_numbers, contract=UnreadableNumbers)))
