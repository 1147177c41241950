"""Expectations: a consumer waits for an upstream version that meets what it needs, alone, and goes on by itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.running import run_partition
from spam_pipeline.protocol.foundation.errors import Held, WrongDefinition
from spam_pipeline.protocol.foundation.limit import Limit, breaches
from spam_pipeline.protocol.planning.partition_status import State
from spam_pipeline_tests.protocol.toy_pipeline import land, monthly_total, toy_engine, toy_graph, two_day_total
from spam_pipeline_tests.protocol.toy_runs import run, total, with_other

DAY = "2026-01-04"


def demanding(limit: Limit, stage: AnyStage = two_day_total) -> tuple[AnyStage, ...]:
    return with_other(
        replace(stage, inputs={**stage.inputs, "numbers": replace(stage.inputs["numbers"], expectations=(limit,))})
    )


AT_LEAST_TWO = demanding(Limit("numbers", at_least=2))


def held(engine: Engine, name: str) -> dict[str, str]:
    return {
        key: status.explanation
        for key, status in engine.planner.statuses([name])[name].items()
        if status.state is State.HELD
    }


def test_a_limit_says_what_is_outside_and_by_how_much() -> None:
    limit = Limit("share", at_least=0.1, at_most=0.5)
    (over,) = breaches([limit], {"share": 0.75})
    assert (str(over), over.size) == ("share: expected at least 0.1 and at most 0.5, got 0.75", 0.25)
    assert breaches([limit], {"share": 0.5}) == []


def test_a_number_of_no_rows_breaks_no_limit() -> None:
    assert breaches([Limit("share", at_most=0.5)], {}) == []


def test_only_the_consumer_that_expects_more_is_held(home: Path) -> None:
    engine = toy_engine(home, stages=AT_LEAST_TWO)
    done, _ = run(engine)
    assert done.converged
    assert [line.split(":")[0] for line in done.held] == ["two_day_total 2026-01-02", "two_day_total 2026-01-04"]
    assert total(engine, "monthly_total", "2026-01") == 113


def test_why_it_is_held_names_the_version_and_the_number(home: Path) -> None:
    engine = toy_engine(home, stages=AT_LEAST_TWO)
    run(engine)
    reason = held(engine, "two_day_total")[DAY]
    assert reason == f"waits for better: numbers {DAY} numbers: expected at least 2, got 1"
    with pytest.raises(Held, match="waits for better"):
        run_partition(engine, "two_day_total", DAY)


def test_it_goes_on_by_itself_when_upstream_publishes_something_better(home: Path) -> None:
    engine = toy_engine(home, stages=AT_LEAST_TWO)
    run(engine)
    land(home, DAY, "b", f"{DAY} 7")
    done, did = run(engine)
    assert ("two_day_total", DAY, "computed") in did
    assert total(engine, "two_day_total", DAY) == 107
    assert [line.split(":")[0] for line in done.held] == ["two_day_total 2026-01-02"]


def test_it_keeps_what_it_had_while_upstream_is_not_good_enough(home: Path) -> None:
    stages = demanding(Limit("total", at_most=150))
    engine = toy_engine(home, stages=stages)
    assert run(engine)[0].held == ()
    land(home, DAY, "b", f"{DAY} 500")
    done, _ = run(engine)
    assert len(done.held) == 1
    assert total(engine, "two_day_total", DAY) == 100
    assert total(engine, "monthly_total", "2026-01") == 613
    (home / f"landing/{DAY}/b.txt").unlink()
    assert run(engine)[0].held == ()


def test_a_consumer_of_many_partitions_waits_for_each_of_them(home: Path) -> None:
    engine = toy_engine(home, stages=demanding(Limit("total", at_most=50), monthly_total))
    done, _ = run(engine)
    assert [line.split(":")[0] for line in done.held] == ["monthly_total 2026-01"]


def test_an_expectation_is_no_part_of_a_recipe(home: Path) -> None:
    run(toy_engine(home))
    done, did = run(toy_engine(home, stages=demanding(Limit("numbers", at_least=0))))
    assert (did, done.converged) == ([], True)


def test_an_expectation_that_is_tightened_holds_and_one_that_is_relaxed_frees(home: Path) -> None:
    run(toy_engine(home))
    strict = toy_engine(home, stages=AT_LEAST_TWO)
    done, did = run(strict)
    assert (did, len(done.held)) == ([], 2)
    assert total(strict, "two_day_total", DAY) == 100, "it keeps what it had"
    assert run(toy_engine(home))[0].held == ()


def test_an_expectation_of_a_number_that_is_not_measured_is_a_wrong_definition(tmp_path: Path) -> None:
    with pytest.raises(WrongDefinition, match="'spam', which numbers does not measure; it measures numbers, total"):
        toy_graph(tmp_path, demanding(Limit("spam", at_most=1)))
