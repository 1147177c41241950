"""A Dagster instance hears of one environment: production's of production alone."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.instance import InstanceOfAnother, engine_resource, open_instance, require_instance_of
from spam_pipeline.orchestration.sensors import landing_sensor, publications_sensor
from spam_pipeline.protocol.operating import PRODUCTION, Engine
from spam_pipeline_tests.orchestration.toy_location import materialize, observed, requested, toy_location
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home where something landed."""
    land(tmp_path, "2026-01-01", "a", "2026-01-01 1")
    return tmp_path


@pytest.fixture
def branch(home: Path) -> Engine:
    return observed(home, environment="branch", factor=2)


def events_in(instance: dg.DagsterInstance) -> tuple[int | None, int]:
    return instance.event_log_storage.get_maximum_record_id(), len(instance.get_runs())


def test_an_instance_belongs_to_the_environment_that_used_it_first(instance: dg.DagsterInstance) -> None:
    require_instance_of(instance, "branch")
    require_instance_of(instance, "branch")
    with pytest.raises(InstanceOfAnother, match=r"belongs to the environment branch, and hears nothing of production"):
        require_instance_of(instance, PRODUCTION)


def test_one_that_an_earlier_release_reported_to_is_production_s(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(observed(home), instance)
    with pytest.raises(InstanceOfAnother, match=r"a DAGSTER_HOME of its own for branch"):
        require_instance_of(instance, "branch")
    require_instance_of(instance, PRODUCTION)


def test_to_open_the_instance_under_a_home_names_it_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(tmp_path / "dagster") as opened:
        assert Path(opened.root_directory) == tmp_path / "dagster"
    assert "DAGSTER_HOME" not in os.environ


Look = Callable[[Engine, dg.DagsterInstance], Any]


def requested_by_conditions(engine: Engine, instance: dg.DagsterInstance) -> object:
    """What the conditions request, with the error of a condition as it is: Dagster wraps it."""
    try:
        return requested(engine, instance)
    except Exception as wrapped:  # noqa: BLE001 - Dagster raises nothing more specific
        raise wrapped.__cause__ or wrapped from None


LOOKS: dict[str, Look] = {
    "for what landed": lambda engine, instance: landing_sensor(lambda: engine)(
        dg.build_sensor_context(instance=instance)
    ),
    "for what was published": lambda engine, instance: publications_sensor(lambda: engine)(
        dg.build_sensor_context(instance=instance)
    ),
    "for what is stale": requested_by_conditions,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_starts_by_itself_for_a_branch_does_nothing_in_production_s(
    branch: Engine, instance: dg.DagsterInstance, look: Look
) -> None:
    require_instance_of(instance, PRODUCTION)
    before = events_in(instance)
    with pytest.raises(InstanceOfAnother):
        look(branch, instance)
    assert events_in(instance) == before


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_it_does_its_work_in_an_instance_of_the_branch_s_own(
    branch: Engine, instance: dg.DagsterInstance, look: Look
) -> None:
    look(branch, instance)
    with pytest.raises(InstanceOfAnother):
        require_instance_of(instance, PRODUCTION)


def run(engine: Engine, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Materialize the convergence as a deployment does, with the engine as a resource of the run."""
    location = toy_location(engine)
    with_resource = dg.Definitions.merge(
        dg.Definitions(resources={ENGINE: engine_resource(lambda: engine)}),
        dg.Definitions(
            assets=location.assets,
            asset_checks=location.asset_checks,
            resources={name: item for name, item in (location.resources or {}).items() if name != ENGINE},
            executor=location.executor,
        ),
    )
    job = with_resource.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(asset_selection=[dg.AssetKey(CONVERGENCE)], instance=instance, raise_on_error=False)


def test_a_run_of_a_branch_fails_in_production_s_before_anything_is_done(
    branch: Engine, instance: dg.DagsterInstance
) -> None:
    require_instance_of(instance, PRODUCTION)
    assert not run(branch, instance).success
    assert branch.ledger.published("branch", ["numbers"])["numbers"] == {}
    assert not any(instance.get_latest_materialization_events(instance.get_asset_keys()).values())


def test_a_run_in_an_instance_of_its_own_converges(home: Path, instance: dg.DagsterInstance) -> None:
    engine = toy_engine(home, environment="branch", factor=2)
    assert run(engine, instance).success
    assert engine.ledger.published("branch", ["numbers"])["numbers"]
