"""One materialization of `convergence`: what it publishes, and what the instance shows afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.convergence import convergence_metadata
from spam_pipeline.orchestration.grids import partitions_definition
from spam_pipeline.orchestration.metadata import CONTRACT_CHECK
from spam_pipeline.orchestration.staleness_check import CONVERGED_CHECK
from spam_pipeline.orchestration.waiting_for_decision import WAITING
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import (
    CONVERGING,
    PRODUCTION,
    Batch,
    Converged,
    Engine,
    PartitionResult,
    Retry,
    State,
    stops,
)
from spam_pipeline_tests.orchestration.toy_location import (
    DAYS,
    START,
    UNASKED,
    last_check,
    materialize,
    observed,
    told,
    with_unlucky_numbers,
)
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import take_back

HOLD = (
    "import sys; from spam_pipeline.protocol.ledger.claims import Claims\n"
    "with Claims(sys.argv[1]).on_converging(sys.argv[2]): print('held', flush=True); sys.stdin.read()"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-02 2")
    land(home, "2026-01-02", "a", "2026-01-02 10", "broken")
    return home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@contextmanager
def converging_elsewhere(home: Path, environment: str = PRODUCTION) -> Iterator[None]:
    """Another process holds the claim on converging."""
    command = [sys.executable, "-c", HOLD, f"sqlite:///{home / 'ledger.db'}", environment]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield


def of_convergence(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the convergence."""
    event = result.asset_materializations_for_node(CONVERGENCE)[0]
    return {name: value.value for name, value in event.metadata.items()}


def touched(metadata: dict[str, Any]) -> set[tuple[str, int, str, str]]:
    """The rows of what a convergence touched: stage, number of partitions, what was done, why."""
    rows = [record.data for record in metadata["touched"].records]
    return {(row["stage"], row["partitions"], row["what"], row["why"]) for row in rows}


def failed(instance: dg.DagsterInstance, stage: str) -> set[str]:
    """The days of a stage that the instance shows as failed."""
    grid = partitions_definition(event_days, START)
    assert grid is not None
    statuses = instance.get_status_by_partition(dg.AssetKey(stage), DAYS, grid) or {}
    return {key for key, status in statuses.items() if status is not None and status.value == "FAILED"}


def test_it_ends_by_telling_whoever_wants_to_know_also_when_something_failed(
    home: Path, instance: dg.DagsterInstance
) -> None:
    published: list[int] = []
    engine = toy_engine(home, stages=with_unlucky_numbers(Retry(tries=1)))
    result = materialize(engine, instance, on_converged=lambda _found: published.append(count(engine)))
    assert not result.success
    assert published == [count(engine)]


class Unreachable:
    """An executor whose workers cannot be reached."""

    def run(self, _batch: Batch, _seconds_each: float) -> Iterator[PartitionResult]:
        raise ConnectionError


def test_what_fails_as_a_whole_is_a_stop_until_a_convergence_ends(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home)
    result = materialize(engine, instance, open_executor=lambda _context, _engine: nullcontext(Unreachable()))
    assert not result.success
    assert [(item.what, item.error) for item in stops(engine)] == [(CONVERGING, "ConnectionError")]
    assert materialize(engine, instance).success
    assert stops(engine) == []


def count(engine: Engine) -> int:
    return len(engine.ledger.publications_after(0, PRODUCTION))


def test_it_observes_and_publishes_everything(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    assert materialize(engine, instance).success
    states = {status.state for by_partition in engine.planner.statuses().values() for status in by_partition.values()}
    assert states == {State.FRESH}
    assert set(engine.ledger.published(PRODUCTION, list(engine.graph.stages))["numbers"]) == set(DAYS)


def test_every_publication_is_told_in_its_run_with_why_and_how(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    run = materialize(engine, instance).run_id
    published = engine.ledger.publications_after(0, PRODUCTION)
    assert len(published) > 10
    for publication, found in published:
        assert found is not None
        version, _ = found
        shown = told(instance, publication.stage, None if publication.partition == WHOLE else publication.partition)
        assert [(item["run"], item["data version"]) for item in shown] == [(run, version.content)]
        assert (shown[0]["why"], shown[0]["action"], shown[0]["recipe"]) == ("missing", "computed", version.recipe)
    assert [item.run_id for item in instance.get_runs()] == [run], "no other run was needed"


def test_it_evaluates_the_checks_of_every_stage(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    materialize(engine, instance)
    published = {publication.stage for publication, _ in engine.ledger.publications_after(0, PRODUCTION)}
    for name, stages in ((CONTRACT_CHECK, published), (CONVERGED_CHECK, set(engine.graph.stages))):
        for stage in stages:
            check = last_check(instance, stage, name)
            assert check is not None, (stage, name)
            assert check.passed, (stage, name)


def test_its_metadata_says_what_was_touched_and_why(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    first = of_convergence(materialize(engine, instance))
    assert ("numbers", 2, "computed", "missing") in touched(first)
    assert (first["held"], first["failed"]) == ("none", "none")
    land(home, "2026-01-01", "late", "2026-01-02 3")
    second = of_convergence(materialize(engine, instance))
    assert ("numbers", 1, "computed", "data: received_numbers") in touched(second)
    assert ("received_numbers", 1, "computed", "data: landed_numbers") in touched(second)
    assert second["reused"] == 0
    assert second["computed"] == sum(row[1] for row in touched(second))


def test_a_second_one_touches_nothing(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    materialize(engine, instance)
    again = materialize(engine, instance)
    assert (touched(of_convergence(again)), of_convergence(again)["computed"]) == (set(), 0)
    assert len(told(instance, "numbers", DAYS[0])) == 1


def test_a_setting_that_is_taken_back_shows_the_old_versions_as_reused(
    home: Path, instance: dg.DagsterInstance
) -> None:
    for factor in (1, 2, 1):
        last = materialize(toy_engine(home, factor=factor), instance)
    shown = told(instance, "two_day_total", DAYS[1])
    assert [item["action"] for item in shown] == ["reused", "computed", "computed"]
    assert [item["why"] for item in shown] == ["code: setting factor", "code: setting factor", "missing"]
    assert shown[0]["data version"] == shown[2]["data version"] != shown[1]["data version"]
    metadata = of_convergence(last)
    assert touched(metadata) == {
        ("two_day_total", 2, "reused", "code: setting factor"),
        ("board", 1, "reused", "data: two_day_total"),
    }
    assert (metadata["computed"], metadata["reused"]) == (0, 3)


def test_a_file_that_is_taken_back_shows_the_old_versions_as_reused(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    materialize(engine, instance)
    replaced = land(home, "2026-01-02", "a", "2026-01-02 999")
    materialize(engine, instance)
    land(home, "2026-01-02", "a", "2026-01-02 10", "broken")
    assert replaced.exists()
    metadata = of_convergence(materialize(engine, instance))
    assert metadata["computed"] == 0
    assert {what for _, _, what, _ in touched(metadata)} == {"reused"}
    shown = told(instance, "numbers", "2026-01-02")
    assert shown[0]["data version"] == shown[2]["data version"] != shown[1]["data version"]


def test_equal_content_is_said_to_be_unchanged_and_stops_the_wave(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    materialize(engine, instance)
    land(home, "2026-01-02", "retry", "2026-01-02 10")
    found = touched(of_convergence(materialize(engine, instance)))
    assert ("numbers", 1, "computed, content unchanged", "data: received_numbers") in found
    assert {stage for stage, *_ in found} == {"received_numbers", "numbers", "board"}


def test_what_is_gone_is_told_as_retracted(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    materialize(engine, instance)
    take_back(engine, "received_numbers", "2026-01-01", home / "landing/2026-01-01/a.txt")
    found = touched(of_convergence(materialize(engine, instance)))
    assert ("numbers", 1, "retracted", "data: nothing to compute it from any more") in found
    seen = instance.fetch_observations(dg.AssetRecordsFilter(dg.AssetKey("numbers"), asset_partitions=[DAYS[0]]), 10)
    assert len(seen.records) == 1


def test_a_failing_stage_fails_the_run_and_its_partition_and_nothing_else(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = toy_engine(home, stages=with_unlucky_numbers())
    result = materialize(engine, instance)
    assert not result.success
    assert failed(instance, "numbers") == {"2026-01-02"}
    assert failed(instance, "two_day_total") == set()
    assert len(told(instance, "two_day_total", "2026-01-01")) == 1
    assert engine.planner.statuses()["received_numbers"]["2026-01-02"].state is State.FRESH
    audit, converged = (last_check(instance, "numbers", name) for name in (CONTRACT_CHECK, CONVERGED_CHECK))
    assert audit is not None
    assert (audit.passed, audit.partition) == (False, "2026-01-02")
    assert audit.description == "nothing to audit: ValueError: the second is an unlucky day"
    assert converged is not None
    assert not converged.passed


def test_a_failure_is_named_in_the_runs_error(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home, stages=with_unlucky_numbers())
    result = materialize(engine, instance)
    failure = result.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description == "1 partitions failed, the rest converged"
    assert "numbers 2026-01-02: ValueError: the second is an unlucky day" in str(failure.metadata["failed"].value)
    assert touched({name: value.value for name, value in failure.metadata.items()}) >= {
        ("numbers", 1, "failed", "missing"),
        ("numbers", 1, "computed", "missing"),
    }


def test_what_waits_is_listed_also_when_something_failed(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(toy_engine(home, stages=with_unlucky_numbers()), instance)
    event = instance.get_latest_materialization_event(dg.AssetKey(WAITING))
    assert event is not None


def test_what_was_landed_is_no_markdown() -> None:
    done = Converged(0, 0, 0, (), (), 0, 0.0, passed_over={"![x](https://example.com/x.png)": "is no play"})
    shown = convergence_metadata(done)["passed_over"]
    assert shown.value == "- \\!\\[x\\](https://example.com/x.png): is no play"


def test_a_repaired_stage_is_no_longer_shown_as_failed(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(toy_engine(home, stages=with_unlucky_numbers()), instance)
    assert materialize(toy_engine(home), instance).success
    assert failed(instance, "numbers") == set()
    for name in (CONTRACT_CHECK, CONVERGED_CHECK):
        check = last_check(instance, "numbers", name)
        assert check is not None
        assert check.passed


def test_a_refused_version_is_quarantined_and_not_materialized(home: Path, instance: dg.DagsterInstance) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    engine = toy_engine(home)
    metadata = of_convergence(materialize(engine, instance))
    assert ("received_numbers", 1, "refused, quarantined", "missing") in touched(metadata)
    assert "received\\_numbers 2026-01-02: its version was refused" in metadata["held"]
    assert told(instance, "received_numbers", "2026-01-02") == []
    assert len(told(instance, "received_numbers", "2026-01-01")) == 1
    check = last_check(instance, "received_numbers", CONVERGED_CHECK)
    assert check is not None
    assert not check.passed
    check = last_check(instance, "received_numbers", "contract", "2026-01-02")
    assert check is not None
    assert not check.passed
    assert "number" in str(check.metadata["findings"].value), "it says what was found"


def test_nothing_is_done_while_another_process_converges(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    with converging_elsewhere(home):
        result = materialize(engine, instance)
    assert result.success
    assert result.asset_materializations_for_node(CONVERGENCE) == []
    assert engine.ledger.publications_after(0, PRODUCTION) == []
    assert materialize(engine, instance).success
    assert engine.ledger.publications_after(0, PRODUCTION) != []


def test_another_environment_that_is_being_converged_does_not_matter(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home)
    with converging_elsewhere(home, "branch"):
        assert of_convergence(materialize(engine, instance))["computed"] > 0


def tries_of_numbers(engine: Engine) -> int:
    status = engine.planner.statuses()["numbers"]["2026-01-02"]
    return engine.planner.attempts([status])[status.recipe].count


def test_unasked_it_leaves_what_failed_to_the_retry_policy_and_asked_for_it_tries_again(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = observed(home, stages=with_unlucky_numbers(Retry(tries=5, first_wait_seconds=3600)))
    materialize(engine, instance, tags=UNASKED)
    assert tries_of_numbers(engine) == 1
    assert materialize(engine, instance, tags=UNASKED).success, "nothing was due"
    assert tries_of_numbers(engine) == 1
    assert not materialize(engine, instance).success
    assert tries_of_numbers(engine) == 2
