"""Converging again after failures, after rules have changed, and after files have gone."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.partitions import arrival_days
from spam_pipeline.protocol.definition.retry import Retry
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline.protocol.execution.convergence import Converged, converge
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import ActionTaken
from spam_pipeline.protocol.execution.running import run_partition
from spam_pipeline.protocol.foundation.errors import NotPublished
from spam_pipeline.protocol.ledger.records import PRODUCTION, DecisionKind, Publication, Trigger
from spam_pipeline.protocol.planning.partition_status import PartitionStatus
from spam_pipeline_tests.protocol.toy_pipeline import (
    Numbers,
    land,
    numbers,
    received_numbers,
    toy_engine,
    two_day_total,
)
from spam_pipeline_tests.protocol.toy_runs import digests, rebuilt, run, total, with_other
from spam_pipeline_tests.protocol.toy_variants import FewNumbers, PositiveTotal

# Failures and retries


@stage(
    partitions=arrival_days,
    contract=Numbers,
    owner="team:toys",
    libraries=["polars"],
    retry=Retry(tries=2, first_wait_seconds=3600),
)
def impatient(received_numbers: pl.LazyFrame, factor: int) -> pl.LazyFrame:
    """Fails whatever it reads."""
    raise ValueError(f"{len(received_numbers.collect_schema())} columns times {factor} will not do")


def tries(engine: Engine, name: str) -> dict[str, int]:
    """How often each partition of a stage was tried without success, as it is wanted now."""
    statuses = engine.planner.statuses([name])[name].values()
    found = engine.planner.attempts(statuses)
    return {status.partition: found[status.recipe].count for status in statuses if status.recipe in found}


def let_an_hour_pass(home: Path) -> None:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger, ledger:
        ledger.execute("update attempts set began_at = began_at - 3600 * 1000000")
        ledger.execute("update failures set failed_at = failed_at - 3600 * 1000000")


def test_what_a_stage_fails_with_is_recorded(home: Path) -> None:
    engine = toy_engine(home, stages=(received_numbers, impatient))
    run(engine)
    found = engine.planner.attempts(engine.planner.statuses(["impatient"])["impatient"].values())
    assert [(attempts.count, attempts.error) for attempts in found.values()] == 3 * [
        (1, "ValueError: 2 columns times 1 will not do")
    ]


def test_a_recipe_that_failed_is_tried_unasked_when_it_is_due_and_not_after_the_last_try(home: Path) -> None:
    engine = toy_engine(home, stages=(received_numbers, impatient))
    days = ("2026-01-01", "2026-01-02", "2026-01-04")
    assert len(converge_unasked(engine).failed) == 3
    waiting = converge_unasked(engine)
    assert waiting.failed == (), "an hour has not passed"
    assert (waiting.stale, waiting.converged) == (3, False)
    assert tries(engine, "impatient") == dict.fromkeys(days, 1)
    let_an_hour_pass(home)
    assert len(converge_unasked(engine).failed) == 3
    for _ in range(9):
        let_an_hour_pass(home)
    given_up = converge_unasked(engine)
    assert given_up.failed == (), "twice is enough"
    assert (given_up.stale, given_up.converged) == (3, False)
    assert tries(engine, "impatient") == dict.fromkeys(days, 2)


def test_a_recipe_that_changed_is_tried_unasked_whatever_happened_to_the_one_before(home: Path) -> None:
    engine = toy_engine(home, stages=(received_numbers, impatient))
    run(engine)
    run(engine)
    land(home, "2026-01-02", "b", "2026-01-02 11")
    assert [item.partition for item in converge_unasked(engine).failed] == ["2026-01-02"]
    everything = converge_unasked(toy_engine(home, stages=(received_numbers, impatient), factor=2))
    assert len(everything.failed) == 3


def test_somebody_who_asks_is_served_whatever_happened_before(home: Path) -> None:
    engine = toy_engine(home, stages=(received_numbers, impatient))
    for count in range(1, 5):
        done, _ = run(engine)
        assert len(done.failed) == 3
        assert set(tries(engine, "impatient").values()) == {count}


def test_a_version_that_was_hard_to_come_by_is_taken_back_unasked(home: Path) -> None:
    engine = toy_engine(home)
    run(engine, "numbers")
    for status in engine.planner.statuses(["two_day_total"])["two_day_total"].values():
        for _ in range(4):
            engine.ledger.attempts.fail(
                engine.ledger.attempts.begin(status.recipe, status.stage, status.partition), "OSError: no memory"
            )
    assert converge_unasked(engine, "two_day_total").computed == 0
    assert run(engine)[0].converged
    run(toy_engine(home, factor=2))
    back = toy_engine(home)
    assert converge_unasked(back, "two_day_total").reused == 3
    assert total(back, "two_day_total", "2026-01-02") == 13


def test_a_target_that_cannot_be_asked_counts_as_a_failure(home: Path) -> None:
    (home / "board.txt").mkdir()
    engine = toy_engine(home)
    for _ in range(2):
        done, _ = run(engine)
        assert [item.error for item in done.failed] == [f"BoardAway: {home / 'board.txt'} is no board"]
    assert tries(engine, "board") == {"all": 2}


def converge_unasked(engine: Engine, *names: str) -> Converged:
    engine.observe()
    return converge(engine, names or None, only_due=True)


# Contracts that change


def test_a_new_rule_is_audited_without_computing_anything_and_concerns_no_consumer(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    strict = toy_engine(home, stages=with_other(replace(two_day_total, contract=PositiveTotal)))
    done, did = run(strict)
    assert did == [("two_day_total", day, "audited") for day in ("2026-01-01", "2026-01-02", "2026-01-04")]
    assert (done.audited, done.computed, done.reused) == (3, 0, 0)
    assert digests(strict) == before
    assert run(strict)[1] == []


def test_a_published_version_that_breaks_a_new_rule_is_read_no_more(home: Path) -> None:
    run(toy_engine(home))
    strict = toy_engine(home, stages=with_other(replace(numbers, contract=FewNumbers)))
    done, _ = run(strict)
    assert done.converged
    assert "numbers 2026-01-04: its version was refused" in done.held
    with pytest.raises(NotPublished):
        strict.reader.read("numbers", ["2026-01-04"])
    assert strict.reader.read("model", ["all"]) == {"2026-01-01": 2, "2026-01-02": 1}
    assert strict.planner.statuses()["monthly_total"]["2026-01"].explanation == "waits for numbers 2026-01-04"
    assert digests(strict)["monthly_total", "2026-01"], "whoever cannot go on keeps what they had"


def test_a_published_version_that_breaks_a_new_rule_gives_way_to_the_one_before_and_consumers_follow(
    home: Path,
) -> None:
    land(home, "2026-01-04", "a", "2026-01-04 50")
    run(toy_engine(home))
    land(home, "2026-01-04", "a", "2026-01-04 100")
    run(toy_engine(home))
    strict = toy_engine(home, stages=with_other(replace(numbers, contract=FewNumbers)))
    done, _ = run(strict)
    assert done.held == ("numbers 2026-01-04: its version was refused",)
    assert total(strict, "monthly_total", "2026-01") == 63
    relaxed = toy_engine(home)
    done, _ = run(relaxed)
    assert (done.held, done.computed) == ((), 0)
    assert total(relaxed, "monthly_total", "2026-01") == 113
    assert digests(relaxed) == rebuilt(home)


def test_a_quarantined_version_that_keeps_a_new_rule_is_published_and_releases_its_consumers(home: Path) -> None:
    strict = toy_engine(home, stages=with_other(replace(numbers, contract=FewNumbers)))
    assert "numbers 2026-01-04: its version was refused" in run(strict)[0].held
    relaxed = toy_engine(home)
    done, did = run(relaxed)
    assert [item for item in did if item[0] == "numbers"] == [
        ("numbers", day, "audited") for day in ("2026-01-01", "2026-01-02", "2026-01-04")
    ]
    assert done.held == ()
    assert digests(relaxed) == rebuilt(home)


# Files that go


def test_a_folder_that_is_lost_takes_nothing_back_until_somebody_says_so(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    (home / "landing/2026-01-04/a.txt").unlink()
    done, did = run(engine)
    assert (done.converged, did, digests(engine)) == (True, [], before)
    gone = "what it was made from is gone: restore it, or reject the version to take it back"
    assert done.held[0] == f"received_numbers 2026-01-04: {gone}"


def test_what_a_lost_file_was_needed_for_is_retracted_once_it_is_rejected_and_can_be_read_as_it_was(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = datetime.now(UTC)
    (home / "landing/2026-01-04/a.txt").unlink()
    run(engine)
    lost = engine.reader.version("received_numbers", "2026-01-04").recipe
    decided = decide(engine, lost, DecisionKind.REJECT, "eve", "the delivery was withdrawn")
    assert decided.outcome is not None
    assert decided.outcome.action is ActionTaken.RETRACTED
    done, did = run(engine)
    assert (done.converged, done.held) == (True, ())
    assert {item[:2] for item in did if item[2] == "retracted"} == {
        ("rejected_numbers", "2026-01-04"),
        ("numbers", "2026-01-04"),
        ("two_day_total", "2026-01-04"),
        ("share", "2026-01-04"),
        ("settled_total", "2026-01-01"),
        ("settled_total", "2026-01-02"),
    }, "the landing zone has not moved two days past any day any more"
    with pytest.raises(NotPublished):
        engine.reader.read("numbers", ["2026-01-04"])
    assert engine.reader.read("numbers", ["2026-01-04"], before).collect()["number"].to_list() == [100]
    assert total(engine, "monthly_total", "2026-01") == 13
    assert digests(engine) == rebuilt(home)


def test_a_file_that_lands_again_takes_everything_back_without_computing(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    file = home / "landing/2026-01-04/a.txt"
    aside = file.rename(home / "aside.txt")
    run(engine)
    aside.rename(file)
    done, _ = run(engine)
    assert done.computed == 0
    assert digests(engine) == before


def test_bytes_that_changed_unnoticed_are_a_new_observation_and_never_a_version_of_the_old_one(home: Path) -> None:
    engine = toy_engine(home)
    engine.observe()
    (seen,) = engine.planner.snapshot().files("landed_numbers", "2026-01-02")
    before = replace(seen, digest="0" * 64, id=0)  # as if the bytes had been others, of the same size and times
    engine.ledger.observations.record([before])
    done, _ = run(engine)
    assert (done.failed, done.stale, digests(engine)) == ((), 0, rebuilt(home))
    (read,) = engine.reader.version("received_numbers", "2026-01-02").inputs
    assert read.content == seen.digest
    assert len(engine.ledger.versions("received_numbers", "2026-01-02")) == 1


# What a publication tells


def test_a_publication_tells_the_run_what_was_done_and_why(home: Path) -> None:
    engine = toy_engine(home)
    engine.observe()
    converge(engine, run="first")
    last = max(item.id for item in published_on(engine).values())
    land(home, "2026-01-04", "b", "2026-01-04 7")
    (home / "landing/2026-01-01/a.txt").unlink()
    engine.observe()
    lost = engine.reader.version("received_numbers", "2026-01-01").recipe
    decide(engine, lost, DecisionKind.REJECT, "eve", "withdrawn")
    converge(engine, run="second")
    land(home, "2026-01-04", "b")
    run(toy_engine(home))
    told = {key: item.trigger for key, item in published_on(engine).items() if item.id > last}
    assert told["received_numbers", "2026-01-01"] == Trigger(None, "retracted", "decision: reject by eve: withdrawn")
    assert told["rejected_numbers", "2026-01-01"] == Trigger(
        "second", "retracted", "data: nothing to compute it from any more"
    )
    assert told["received_numbers", "2026-01-04"] == Trigger(None, "computed", "data: 2026-01-04/b.txt")
    assert told["numbers", "2026-01-04"] == Trigger(None, "reused", "data: received_numbers 2026-01-04")
    first = [item.trigger for item, _ in engine.ledger.publications_after(0, PRODUCTION) if item.id <= last]
    settled = {Trigger("first", "computed", f"missing: day {day} settled") for day in ("2026-01-01", "2026-01-02")}
    assert set(first) == {Trigger("first", "computed", "missing"), *settled}


def published_on(engine: Engine) -> dict[tuple[str, str], Publication]:
    """The last publication of every partition."""
    return {(item.stage, item.partition): item for item, _ in engine.ledger.publications_after(0, PRODUCTION)}


# Code that is deployed while a convergence runs


def test_two_processes_with_different_code_do_not_keep_each_other_busy(home: Path) -> None:
    old, new = toy_engine(home, factor=1), toy_engine(home, factor=2)
    run(old)
    run(new)

    def publish_the_other(status: PartitionStatus, *_: object) -> None:
        if status.stage == "two_day_total":
            run_partition(new, "two_day_total", status.partition)

    done = converge(old, on_outcome=publish_the_other)
    assert done.reused == 3, "each partition was published once by the old code"
    assert done.stale == 3, "and the other code has taken it back"
    run(new)
    assert total(new, "two_day_total", "2026-01-02") == 26
