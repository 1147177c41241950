"""Keys below a prefix: whatever Dagster hears of this location has it, so that nothing collides in a shared deployment."""

import io
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from spam_pipeline.definitions import build_definitions
from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.assets import READER
from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.event_reporting import report_from_standard_input
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.sensors import landing_sensor, publications_sensor
from spam_pipeline.protocol.operating import PRODUCTION, Engine, converge
from spam_pipeline.reporter_messages import Assignment, to_line
from spam_pipeline.settings import Settings
from spam_pipeline_tests.orchestration.toy_location import (
    START,
    observed,
    toy_location,
    with_unlucky_numbers,
)
from spam_pipeline_tests.protocol.toy_pipeline import land

KEYS = AssetKeys(("toys", "shared"))
FINE, UNLUCKY, REFUSED = "2026-01-01", "2026-01-02", "2026-01-03"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine over a home of which one day fails and one is refused."""
    home = tmp_path / "home"
    for day, number in ((FINE, 1), (UNLUCKY, 2), (REFUSED, -3)):
        land(home, day, "a", f"{day} {number}")
    return observed(home, stages=with_unlucky_numbers())


def heard_of(instance: dg.DagsterInstance) -> set[tuple[str, ...]]:
    """The prefixes of all assets that an instance has heard of."""
    return {tuple(key.path[:-1]) for key in instance.all_asset_keys()}


def published(instance: dg.DagsterInstance, keys: AssetKeys = KEYS) -> set[str]:
    """The days of `numbers` that an instance shows as published."""
    return set(instance.get_materialized_partitions(keys.key("numbers")))


def test_a_convergence_reports_under_the_prefix_alone(engine: Engine, instance: dg.DagsterInstance) -> None:
    job = toy_location(engine, keys=KEYS).resolve_implicit_global_asset_job_def()
    job.execute_in_process(asset_selection=[KEYS.key(CONVERGENCE)], instance=instance, raise_on_error=False)
    assert published(instance) == {FINE}
    for name, day in (("numbers", UNLUCKY), ("received_numbers", REFUSED)):
        key = dg.AssetCheckKey(KEYS.key(name), "contract")
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
        assert [item.status.value for item in history if item.partition == day] == ["FAILED"]
    assert heard_of(instance) == {KEYS.prefix}


def test_so_do_sensors_runs_and_decisions(engine: Engine, instance: dg.DagsterInstance) -> None:
    converge(engine)
    location = toy_location(engine, keys=KEYS)
    landing = landing_sensor(lambda: engine, KEYS)(dg.build_sensor_context(instance=instance))
    assert isinstance(landing, dg.SensorResult)
    assert {event.asset_key for event in landing.asset_events} == {KEYS.key("landed_numbers")}
    publications_sensor(lambda: engine, KEYS)(dg.build_sensor_context(instance=instance))
    assert published(instance) == {FINE}
    run = location.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[KEYS.key("numbers")], partition_key=FINE, instance=instance
    )
    assert {item.asset_key for item in run.get_asset_check_evaluations()} == {KEYS.key("numbers")}
    refused = engine.ledger.versions("received_numbers", REFUSED)[-1][0].recipe
    entered = {"action": "accept", "version": refused, "by": "anna", "reason": "a correction"}
    assert location.resolve_job_def("decide").execute_in_process(run_config=entered, instance=instance).success
    assert REFUSED in instance.get_materialized_partitions(KEYS.key("received_numbers"))
    assert heard_of(instance) == {KEYS.prefix}


def test_so_does_the_process_beside_a_convergence_on_the_command_line(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge(engine)
    home = tmp_path / "dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    ledger = f"sqlite:///{tmp_path / 'home' / 'ledger.db'}"
    assignment = Assignment(ledger, PRODUCTION, home, engine.graph.expected(), KEYS.prefix)
    monkeypatch.setattr(sys, "stdin", io.StringIO(to_line(assignment).decode()))
    report_from_standard_input()
    with dg.DagsterInstance.get() as instance:
        assert published(instance) == {FINE}
        assert heard_of(instance) == {KEYS.prefix}


def test_a_changed_prefix_shows_everything_again_under_the_new_keys(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    converge(engine)
    for keys in (AssetKeys(), KEYS):
        with EventReporter(instance, engine.ledger, PRODUCTION, engine.graph.expected(), keys) as reporter:
            assert reporter.report() > 0
        assert published(instance, keys) == {FINE}


def test_what_is_stale_is_asked_for_under_the_prefix(engine: Engine, instance: dg.DagsterInstance) -> None:
    location = toy_location(engine, keys=KEYS)
    found = dg.evaluate_automation_conditions(location, instance, dg.AssetSelection.all())
    assert found.get_requested_partitions(KEYS.key("received_numbers")) == {FINE, UNLUCKY, REFUSED}


def test_another_asset_reads_a_stage_by_its_key(engine: Engine, instance: dg.DagsterInstance) -> None:
    converge(engine)

    @dg.asset(
        ins={"numbers": dg.AssetIn(KEYS.key("numbers"), input_manager_key=READER)},
        partitions_def=dg.DailyPartitionsDefinition(START.isoformat(), end_offset=1),
    )
    def other_teams_asset(context: dg.AssetExecutionContext, numbers: pl.LazyFrame) -> None:
        context.add_output_metadata({"numbers": numbers.collect().height})

    location = dg.Definitions.merge(toy_location(engine, keys=KEYS), dg.Definitions([other_teams_asset]))
    result = location.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[other_teams_asset.key], partition_key=FINE, instance=instance
    )
    (event,) = result.asset_materializations_for_node("other_teams_asset")
    assert event.metadata["numbers"].value == 1


def test_every_asset_and_check_of_the_pipeline_has_the_prefix(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, asset_prefix=("music", "spam")))
    graph = definitions.resolve_asset_graph()
    assert {tuple(key.path[:-1]) for key in graph.get_all_asset_keys()} == {("music", "spam")}
    assert {tuple(key.asset_key.path[:-1]) for key in graph.asset_check_keys} == {("music", "spam")}
    job = definitions.resolve_job_def("one_day")
    assert dg.AssetKey(["music", "spam", "plays"]) in job.asset_layer.selected_asset_keys
