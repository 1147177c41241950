"""What starts by itself: the conditions over a real ledger, evaluated as Dagster evaluates them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration.automation import CONVERGENCE, convergence_key
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import Engine, Retry, State, converge
from spam_pipeline_tests.orchestration.toy_location import (
    DAYS,
    UNASKED,
    evaluated,
    let_time_pass,
    materialize,
    observed,
    requested,
    start_run,
    toy_location,
    with_unlucky_numbers,
)
from spam_pipeline_tests.protocol.toy_pipeline import land

CONVERGE = {CONVERGENCE: {None}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2")
    land(home, "2026-01-02", "a", "2026-01-02 10")
    return home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def stages(engine: Engine, instance: dg.DagsterInstance) -> dict[str, set[str | None]]:
    """What is requested apart from the convergence."""
    return {name: keys for name, keys in requested(engine, instance).items() if name != CONVERGENCE}


def convergence_is_requested(engine: Engine, instance: dg.DagsterInstance) -> bool:
    return CONVERGENCE in requested(engine, instance)


def test_what_landed_is_requested_and_nothing_that_rests_on_it_yet(home: Path, instance: dg.DagsterInstance) -> None:
    found = stages(observed(home), instance)
    assert found == {"received_numbers": set(DAYS), "board": {None}}, "the board also shows that there is nothing yet"


def test_each_stage_is_requested_once_what_it_reads_is_published(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    converge(engine, ["numbers"])
    found = stages(engine, instance)
    assert "received_numbers" not in found
    assert "numbers" not in found
    assert found["two_day_total"] == set(DAYS)
    assert found["monthly_total"] == {"2026-01"}
    assert found["model"] == {None}, "it has no partitions"


def test_it_is_requested_at_every_evaluation_until_it_is_published(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    location = toy_location(engine)
    first = evaluated(location, instance)
    second = evaluated(location, instance, first.cursor)
    assert first.total_requested == second.total_requested == len(DAYS) + 2, "with the board and the convergence"
    converge(engine)
    third = evaluated(location, instance, second.cursor)
    assert third.total_requested == 0


def test_a_change_is_requested_although_no_tick_saw_it_happen(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    location = toy_location(engine)
    converge(engine)
    before = evaluated(location, instance)
    land(home, "2026-01-01", "late", "2026-01-02 3")
    engine.observe()
    seen = evaluated(location, instance, before.cursor)
    key = dg.AssetKey("received_numbers")
    assert seen.get_requested_partitions(key) == {"2026-01-01"}
    assert requested(engine, instance) == {"received_numbers": {"2026-01-01"}, **CONVERGE}, "without a cursor too"


def test_a_changed_setting_requests_what_reads_it(home: Path, instance: dg.DagsterInstance) -> None:
    converge(observed(home))
    assert stages(observed(home, factor=2), instance) == {"two_day_total": set(DAYS)}


def test_nothing_is_requested_when_everything_is_fresh(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    converge(engine)
    assert requested(engine, instance) == {}


def test_what_is_refused_or_waits_for_it_is_not_requested(home: Path, instance: dg.DagsterInstance) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    engine = observed(home)
    converge(engine)
    statuses = engine.planner.statuses()
    assert statuses["received_numbers"]["2026-01-02"].state is State.HELD
    assert statuses["rejected_numbers"]["2026-01-02"].state is State.HELD
    assert requested(engine, instance) == {}


def test_a_partition_outside_the_grid_is_not_requested(home: Path, instance: dg.DagsterInstance) -> None:
    found = requested(observed(home), instance, start=date(2026, 1, 2))
    assert found["received_numbers"] == {"2026-01-02"}


def test_a_recipe_that_failed_is_not_requested_before_its_next_try(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home, stages=with_unlucky_numbers(Retry(tries=2, first_wait_seconds=300)))
    converge(engine)
    assert stages(engine, instance) == {}
    let_time_pass(home, 301)
    assert stages(engine, instance) == {"numbers": {"2026-01-02"}}


def test_a_recipe_that_failed_often_enough_is_left_until_it_changes(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home, stages=with_unlucky_numbers(Retry(tries=1)))
    converge(engine)
    let_time_pass(home, 1_000_000)
    assert requested(engine, instance) == {}
    assert stages(observed(home), instance)["numbers"] >= {"2026-01-02"}, "the repaired code is another recipe"


def test_a_partition_that_is_being_run_is_not_requested_again(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    start_run(engine, instance, "received_numbers", "2026-01-01")
    assert stages(engine, instance)["received_numbers"] == {"2026-01-02"}


def test_a_convergence_is_requested_while_anything_is_due(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    assert convergence_is_requested(engine, instance)
    converge(engine, ["numbers"])
    assert convergence_is_requested(engine, instance)
    converge(engine)
    assert not convergence_is_requested(engine, instance)


def test_nothing_landed_requests_no_convergence(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assert requested(observed(tmp_path / "home"), instance) == {}


def test_a_target_that_was_deleted_requests_a_convergence(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    converge(engine)
    (home / "board.txt").unlink()
    assert requested(engine, instance) == {"board": {None}, **CONVERGE}


def test_one_convergence_at_a_time_is_requested(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    run = start_run(engine, instance)
    assert not convergence_is_requested(engine, instance)
    instance.report_run_failed(run)
    assert convergence_is_requested(engine, instance)


def begin_and_die(engine: Engine) -> None:
    """What a convergence leaves behind that died before it came to any stage."""
    engine.ledger.attempts.begin(
        convergence_key(engine, engine.planner.statuses()), CONVERGENCE, WHOLE, "a run that died"
    )


def test_a_convergence_that_got_nowhere_is_tried_again_after_a_while(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    begin_and_die(engine)
    assert not convergence_is_requested(engine, instance)
    let_time_pass(home, 31)
    assert convergence_is_requested(engine, instance)
    begin_and_die(engine)
    let_time_pass(home, 31)
    assert not convergence_is_requested(engine, instance), "the second wait is longer"
    let_time_pass(home, 90)
    assert convergence_is_requested(engine, instance)


def test_a_convergence_that_got_nowhere_is_tried_again_at_once_when_something_lands(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = observed(home)
    begin_and_die(engine)
    land(home, "2026-01-02", "b", "2026-01-02 11")
    engine.observe()
    assert convergence_is_requested(engine, instance)


def test_a_convergence_that_got_nowhere_is_tried_again_at_once_when_code_was_repaired(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = observed(home, stages=with_unlucky_numbers())
    converge(engine)
    for _ in range(4):
        materialize(engine, instance)
    let_time_pass(home, 60)
    assert not convergence_is_requested(engine, instance), "the stage's retry policy has given up"
    assert convergence_is_requested(observed(home), instance)


def test_a_stage_that_is_to_be_tried_often_is_converged_as_often(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home, stages=with_unlucky_numbers(Retry(tries=7, first_wait_seconds=0)))
    tries = 0
    while convergence_is_requested(engine, instance):
        materialize(engine, instance, tags={"dagster/from_automation_condition": "true"})
        tries += 1
    assert tries == 7


def test_a_target_that_is_deleted_again_and_again_is_filled_each_time(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    materialize(engine, instance)
    for _ in range(6):
        (home / "board.txt").unlink()
        assert CONVERGENCE in requested(engine, instance)
        assert materialize(engine, instance, tags=UNASKED).success
        assert (home / "board.txt").exists()
    assert requested(engine, instance) == {}
