"""The check `converged`: what is not fresh, why, and what happens next with it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration.staleness_check import CONVERGED_CHECK, evaluation
from spam_pipeline.protocol.operating import PRODUCTION, Engine, Overview, Retry, converge
from spam_pipeline_tests.orchestration.toy_location import observed, toy_location, with_unlucky_numbers
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine

Row = dict[str, str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2", "broken")
    land(home, "2026-01-02", "a", "2026-01-02 10")
    return home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def check(engine: Engine, stage: str) -> dg.AssetCheckEvaluation:
    return evaluation(Overview.of(engine).outlooks[stage], stage)


def rows(found: dg.AssetCheckEvaluation) -> list[Row]:
    """The table of what is not fresh."""
    shown = found.metadata["not_fresh"]
    assert isinstance(shown, dg.TableMetadataValue)
    return [{name: str(value) for name, value in record.data.items()} for record in shown.records]


def counts(found: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in found.metadata.items() if name != "not_fresh"}


def test_a_stage_that_is_fresh_passes(home: Path) -> None:
    engine = observed(home)
    converge(engine)
    found = check(engine, "numbers")
    assert found.passed
    assert counts(found) == {"partitions": 2, "stale": 0, "held": 0, "missing": 0}
    assert rows(found) == []


def test_what_is_missing_is_run_by_the_next_convergence(home: Path) -> None:
    found = check(observed(home), "received_numbers")
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert counts(found)["missing"] == 2
    assert rows(found)[0] == {
        "partition": "2026-01-01",
        "state": "missing",
        "why": "missing",
        "then": "the next convergence runs it",
    }


def test_what_is_stale_says_what_changed(home: Path) -> None:
    converge(observed(home))
    land(home, "2026-01-02", "late", "2026-01-02 11")
    found = check(observed(home), "received_numbers")
    assert [(row["partition"], row["state"], row["why"]) for row in rows(found)] == [
        ("2026-01-02", "stale", "data: 2026-01-02/late.txt")
    ]
    changed = check(observed(home, factor=2), "two_day_total")
    assert {row["why"] for row in rows(changed)} == {"code: setting factor"}


def test_what_is_refused_or_waits_goes_on_by_itself(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5", "broken too")
    engine = observed(home)
    converge(engine)
    refused, waiting = check(engine, "received_numbers"), check(engine, "rejected_numbers")
    assert counts(refused)["held"] == counts(waiting)["held"] == 1
    then = "goes on by itself once that is there"
    assert [(row["why"], row["then"]) for row in rows(waiting)] == [("waits for received_numbers 2026-01-02", then)]
    assert [row["why"] for row in rows(refused)] == ["its version was refused"]


def test_what_failed_says_with_what_and_when_it_is_tried_again(home: Path) -> None:
    engine = observed(home, stages=with_unlucky_numbers(Retry(tries=2)))
    converge(engine)
    once = rows(check(engine, "numbers"))[0]["then"]
    assert once.startswith("tried 1 times, again from 20")
    assert once.endswith(" UTC: ValueError: the second is an unlucky day")
    converge(engine)
    assert rows(check(engine, "numbers"))[0]["then"] == (
        "tried 2 times, left until something changes, or is materialized: ValueError: the second is an unlucky day"
    )


def test_what_died_says_so(home: Path) -> None:
    engine = observed(home)
    status = engine.planner.statuses(["received_numbers"])["received_numbers"]["2026-01-01"]
    engine.ledger.attempts.begin(status.recipe, status.stage, status.partition, "a run that died")
    assert rows(check(engine, "received_numbers"))[0]["then"].endswith(": a process that died")


def test_a_day_that_is_not_ready_in_time_is_an_error(home: Path) -> None:
    at_once = timedelta(0)
    engine = observed(
        home, stages=tuple(replace(item, deadline=at_once if item.name == "numbers" else None) for item in STAGES)
    )
    late = check(engine, "numbers")
    assert (late.passed, late.severity) == (False, dg.AssetCheckSeverity.ERROR)
    shown = late.metadata["late"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [(row.data["partition"], row.data["why"]) for row in shown.records] == [
        ("2026-01-01", "rests on received_numbers 2026-01-01: the wanted version is not published")
    ], "the second day may still grow"
    converge(engine)
    assert check(engine, "numbers").passed


def test_its_table_is_cut_and_its_numbers_are_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for number in range(60):
        land(home, f"2026-{number // 28 + 1:02d}-{number % 28 + 1:02d}", "a", "2026-01-01 1")
    found = check(observed(home), "received_numbers")
    assert counts(found)["missing"] == 60
    assert len(rows(found)) == 50


def test_it_can_be_executed_by_itself_and_changes_nothing(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    engine.observe()
    key = dg.AssetCheckKey(dg.AssetKey("received_numbers"), CONVERGED_CHECK)
    location = toy_location(engine)
    job = dg.Definitions(
        assets=location.assets,
        asset_checks=location.asset_checks,
        resources=location.resources,
        jobs=[dg.define_asset_job("look", dg.AssetSelection.checks(key))],
    ).resolve_job_def("look")
    result = job.execute_in_process(instance=instance)
    assert [(item.check_name, item.passed) for item in result.get_asset_check_evaluations()] == [(key.name, False)]
    assert engine.ledger.publications_after(0, PRODUCTION) == []
