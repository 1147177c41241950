"""The jobs `decide` and `decide_suspicion`: what a person does in the launchpad, and what the instance and another team see of it."""

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest

from spam_pipeline.orchestration.decisions import decision_job, suspicion_job
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import PRODUCTION, Engine, converge
from spam_pipeline_tests.orchestration.toy_location import last_check, told, toy_location
from spam_pipeline_tests.orchestration.watched_numbers import watched
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

DAY, HUGE = "2026-01-02", "2026-01-03"
REASON = "a **release** that <b>everybody</b> waited for; drop table versions"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, DAY, "a", f"{DAY} 50")
    land(home, HUGE, "a", f"{HUGE} 5000")
    return home


def decide(
    engine: Engine, instance: dg.DagsterInstance, action: str, version: str, by: str = "anna"
) -> dg.ExecuteInProcessResult:
    """Launch the job with what a person enters."""
    entered = {"action": action, "version": version, "by": by, "reason": REASON}
    job = toy_location(engine).resolve_job_def("decide")
    return job.execute_in_process(run_config=entered, instance=instance, raise_on_error=False)


def newest(engine: Engine, partition: str) -> str:
    """The recipe of the newest version of a partition of `numbers`."""
    return engine.ledger.versions("numbers", partition)[-1][0].recipe


def failure(result: dg.ExecuteInProcessResult) -> str:
    found = result.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert found is not None
    return str(found.description)


def test_accepting_publishes_what_was_quarantined_and_what_rests_on_it_follows(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    assert HUGE not in engine.ledger.published(PRODUCTION, ["numbers"])["numbers"]
    recipe = newest(engine, HUGE)
    assert decide(engine, instance, "accept", recipe[:16]).success
    assert engine.ledger.published(PRODUCTION, ["numbers"])["numbers"][HUGE].recipe == recipe
    converge(engine)
    assert HUGE in engine.ledger.published(PRODUCTION, ["two_day_total"])["two_day_total"]


def test_what_is_quarantined_for_the_same_is_accepted_together_when_that_is_asked_for(
    home: Path, engine: Engine, instance: dg.DagsterInstance
) -> None:
    land(home, DAY, "late", f"{DAY} 6000")
    engine.observe()
    converge(engine)
    entered = {
        "action": "accept",
        "version": newest(engine, HUGE),
        "by": "anna",
        "reason": REASON,
        "all_matching": True,
    }
    job = toy_location(engine).resolve_job_def("decide")
    assert job.execute_in_process(run_config=entered, instance=instance).success
    published = engine.ledger.published(PRODUCTION, ["numbers"])["numbers"]
    assert (published[DAY].recipe, published[HUGE].recipe) == (newest(engine, DAY), newest(engine, HUGE))


def test_nothing_is_rejected_alike(engine: Engine, instance: dg.DagsterInstance) -> None:
    entered = {"action": "reject", "version": newest(engine, DAY), "by": "anna", "reason": REASON, "all_matching": True}
    job = toy_location(engine).resolve_job_def("decide")
    result = job.execute_in_process(run_config=entered, instance=instance, raise_on_error=False)
    assert "all matching versions can only be accepted" in failure(result)
    assert engine.ledger.all_decisions(PRODUCTION) == []


def test_the_instance_shows_at_once_what_was_accepted_by_whom_and_why(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    decide(engine, instance, "accept", newest(engine, HUGE))
    assert len(told(instance, "numbers", HUGE)) == 1
    check = last_check(instance, "numbers", "history", HUGE)
    assert check is not None
    assert check.passed
    assert f"accepted by anna: {REASON}" in str(check.metadata["findings"].value)


def test_rejecting_falls_back_to_the_version_before(home: Path, engine: Engine, instance: dg.DagsterInstance) -> None:
    before = newest(engine, DAY)
    land(home, DAY, "late", f"{DAY} 7")
    engine.observe()
    converge(engine)
    rejected = newest(engine, DAY)
    assert decide(engine, instance, "reject", rejected).success
    assert engine.ledger.published(PRODUCTION, ["numbers"])["numbers"][DAY].recipe == before
    assert told(instance, "numbers", DAY)[0]["recipe"] == before
    check = last_check(instance, "numbers", "contract", DAY)
    assert check is not None
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR), "what is wanted is quarantined"
    assert "one that anna rejected" in str(check.metadata["findings"].value)


def test_what_was_decided_is_shown_as_text(engine: Engine, instance: dg.DagsterInstance) -> None:
    result = decide(engine, instance, "accept", newest(engine, HUGE))
    outputs = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_OUTPUT]
    shown = outputs[0].step_output_data.metadata
    assert all(isinstance(value, dg.TextMetadataValue) for value in shown.values())
    assert (shown["by"].value, shown["reason"].value) == ("anna", REASON)
    assert (
        shown["what followed"].value
        == f"numbers {HUGE} {newest(engine, HUGE)[:16]} is published; what rests on it follows"
    )


def test_everything_has_to_be_said(engine: Engine, instance: dg.DagsterInstance) -> None:
    job = decision_job()
    with pytest.raises(dg.DagsterInvalidConfigError, match=r"action.*by.*reason.*version"):
        job.execute_in_process(run_config={}, instance=instance, resources={"engine": engine})
    assert "by whom" in failure(decide(engine, instance, "accept", newest(engine, HUGE), by=" "))


@pytest.mark.parametrize(
    ("action", "partition", "why"), [("accept", DAY, "nothing to accept"), ("reject", HUGE, "quarantined already")]
)
def test_a_decision_that_cannot_be_made_fails_with_the_reason(
    engine: Engine, instance: dg.DagsterInstance, action: str, partition: str, why: str
) -> None:
    assert why in failure(decide(engine, instance, action, newest(engine, partition)))
    assert "names no version" in failure(decide(engine, instance, action, "0123456789abcdef"))
    assert engine.ledger.all_decisions(PRODUCTION) == []


def test_of_two_people_who_decide_at_once_one_wins_and_the_other_is_told(
    home: Path, engine: Engine, instance: dg.DagsterInstance
) -> None:
    recipe, people = newest(engine, HUGE), ("anna", "ben")
    found: dict[str, dg.ExecuteInProcessResult] = {}

    def click(by: str) -> None:
        found[by] = decide(toy_engine(home, stages=watched()), instance, "accept", recipe, by)

    clicks = [Thread(target=click, args=(by,)) for by in people]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    (winner,) = (by for by in people if found[by].success)
    (other,) = (by for by in people if by != winner)
    assert f"{winner} " in failure(found[other])
    assert REASON in failure(found[other])
    assert [item.by for item in engine.ledger.all_decisions(PRODUCTION)] == [winner]


def test_a_decision_made_without_knowing_of_another_one_is_not_recorded(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    recipe = newest(engine, HUGE)
    assert decide(engine, instance, "accept", recipe, by="anna").success
    second = decide(engine, instance, "accept", recipe, by="ben")
    assert "anna decided to accept it" in failure(second)
    assert [item.by for item in engine.ledger.all_decisions(PRODUCTION)] == ["anna"]


def test_nobody_reads_the_servers_environment_through_a_reason(
    engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "the key of the tests")
    entered = {"action": "accept", "version": newest(engine, HUGE), "by": "anna", "reason": {"env": "SECRET"}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="reason"):
        toy_location(engine).resolve_job_def("decide").execute_in_process(run_config=entered, instance=instance)


# Suspicions


def launch(
    instance: dg.DagsterInstance, entered: Mapping[str, Any], problem: str | None = None
) -> tuple[dg.ExecuteInProcessResult, list[dict[str, Any]]]:
    """Launch the job with what a person enters; also what was asked of who decides, who raises `problem` if there is one."""
    asked: list[dict[str, Any]] = []

    def decide_suspicion(**fields: Any) -> Mapping[str, str]:
        asked.append(fields)
        if problem:
            raise PipelineError(problem)
        return {"covers": "3 devices", "reason": str(fields["reason"])}

    job = suspicion_job(decide_suspicion)
    return job.execute_in_process(run_config=entered, instance=instance, raise_on_error=False), asked


ENTERED = {"action": "confirm", "suspicion": "5f0c2e81", "by": "anna", "reason": REASON}


def test_a_suspicion_is_decided_with_what_was_entered_and_shown_as_text(instance: dg.DagsterInstance) -> None:
    result, asked = launch(instance, ENTERED)
    assert result.success
    assert asked == [{**ENTERED, "devices": []}]
    (output,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_OUTPUT]
    assert output.step_output_data.metadata == {
        "covers": dg.MetadataValue.text("3 devices"),
        "reason": dg.MetadataValue.text(REASON),
    }


def test_a_suspicion_is_narrowed_in_the_launchpad(instance: dg.DagsterInstance) -> None:
    part = {"first_day": "2026-01-02", "last_day": "2026-01-03", "devices": ["key:0000000000000001"]}
    _, asked = launch(instance, {**ENTERED, **part})
    assert asked == [{**ENTERED, **part}]


def test_a_suspicion_that_cannot_be_decided_fails_the_run_with_the_reason(instance: dg.DagsterInstance) -> None:
    result, _ = launch(instance, ENTERED, "5f0c2e81: ben cleared it already")
    assert failure(result) == "5f0c2e81: ben cleared it already"


@pytest.mark.parametrize("wrong", [{"action": "accept"}, {"devices": "all"}, {"reason": {"env": "SECRET"}}])
def test_fields_of_another_kind_are_not_launched(instance: dg.DagsterInstance, wrong: Mapping[str, Any]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        launch(instance, {**ENTERED, **wrong})
