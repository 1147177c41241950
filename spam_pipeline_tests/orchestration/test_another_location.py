"""Another team's code location: its sensor waits for a stage of ours, and starts on what was published and on nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration.sensors import publications_sensor
from spam_pipeline.protocol.operating import Engine, converge
from spam_pipeline_tests.orchestration.toy_location import materialize, observed, toy_location
from spam_pipeline_tests.orchestration.watched_numbers import watched
from spam_pipeline_tests.protocol.toy_pipeline import land

DAY, HUGE = "2026-01-02", "2026-01-03"


@dg.op
def look_at_numbers() -> None: ...


@dg.job
def other_teams_job() -> None:
    look_at_numbers()


@dg.asset_sensor(asset_key=dg.AssetKey("numbers"), job=other_teams_job)
def numbers_are_there(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry) -> Iterator[dg.RunRequest]:
    event = asset_event.dagster_event
    assert event is not None
    yield dg.RunRequest(run_key=context.cursor, tags={"day": str(event.partition)})


OTHER_LOCATION = dg.Definitions(jobs=[other_teams_job], sensors=[numbers_are_there])


@dataclass
class OtherTeam:
    """The sensor's daemon: it remembers the cursor from tick to tick."""

    instance: dg.DagsterInstance
    cursor: str | None = None

    def tick(self) -> list[str]:
        """The days that a tick of the sensor starts something for."""
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=OTHER_LOCATION.get_repository_def()
        )
        done = numbers_are_there.evaluate_tick(context)
        self.cursor = done.cursor or self.cursor
        return [request.tags["day"] for request in done.run_requests or ()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, DAY, "a", f"{DAY} 50")
    land(home, HUGE, "a", f"{HUGE} 5000")
    return home


def tell(engine: Engine, instance: dg.DagsterInstance) -> None:
    """A tick of our own sensor."""
    publications_sensor(lambda: engine)(dg.build_sensor_context(instance=instance))


def newest(engine: Engine, partition: str) -> str:
    """The recipe of the newest version of a partition of `numbers`."""
    return engine.ledger.versions("numbers", partition)[-1][0].recipe


def accept(engine: Engine, instance: dg.DagsterInstance) -> None:
    entered = {"action": "accept", "version": newest(engine, HUGE), "by": "anna", "reason": "a release"}
    job = toy_location(engine).resolve_job_def("decide")
    assert job.execute_in_process(run_config=entered, instance=instance).success


def test_it_never_starts_on_a_refused_version_and_once_on_its_acceptance(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine, other_team = observed(home, stages=watched()), OtherTeam(instance)
    converge(engine)
    tell(engine, instance)
    assert other_team.tick() == [DAY]
    assert not materialize(engine, instance, "numbers", HUGE).success
    assert materialize(engine, instance).success, "a convergence has nothing to say of it either"
    tell(engine, instance)
    assert other_team.tick() == []
    accept(engine, instance)
    assert other_team.tick() == [HUGE]
    materialize(engine, instance)
    tell(engine, instance)
    assert other_team.tick() == []


def test_bad_code_that_is_taken_back_starts_nothing(home: Path, instance: dg.DagsterInstance) -> None:
    engine, other_team = observed(home, stages=watched()), OtherTeam(instance)
    converge(engine)
    tell(engine, instance)
    assert other_team.tick() == [DAY]
    for broken in (True, False):
        edited = observed(home, stages=watched(broken=broken))
        materialize(edited, instance)
        tell(edited, instance)
        assert other_team.tick() == []
