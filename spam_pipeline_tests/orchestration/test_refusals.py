"""What is quarantined appears in a Dagster instance as failed checks, wherever it was refused, and goes when it is over."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus

from spam_pipeline.operations import reporter_process
from spam_pipeline.orchestration import sensors
from spam_pipeline.orchestration.grids import partitions_definition
from spam_pipeline.orchestration.sensors import publications_sensor
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import Limit
from spam_pipeline.protocol.operating import PRODUCTION, DecisionKind, Engine, converge, decide, quarantine
from spam_pipeline.reporter_messages import Assignment, Ending, to_line
from spam_pipeline_tests.orchestration.toy_location import START, last_check, materialize, observed, told
from spam_pipeline_tests.orchestration.watched_numbers import watched
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

ROOT = Path(__file__).parents[2]
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for number, day in enumerate(DAYS, 1):
        land(home, day, "a", f"{day} {number + 10}")
    return home


def tell(engine: Engine, instance: dg.DagsterInstance) -> str:
    """A tick of the sensor that tells what happened elsewhere."""
    result = publications_sensor(lambda: engine)(dg.build_sensor_context(instance=instance))
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def red(instance: dg.DagsterInstance, check: str = "history") -> set[str]:
    """The days of `numbers` that the UI shows as failed in a check's view of its partitions."""
    key, grid = dg.AssetCheckKey(dg.AssetKey("numbers"), check), partitions_definition(event_days, START)
    found = instance.event_log_storage.get_asset_check_state([(key, grid)])[key].subsets
    failed = found.get(AssetCheckExecutionResolvedStatus.FAILED)
    return set(failed.subset_value.get_partition_keys()) if failed else set()


def broken(home: Path) -> Engine:
    """A engine of bad code."""
    return observed(home, stages=watched(broken=True))


def test_what_was_refused_elsewhere_is_shown_and_not_materialized(home: Path, instance: dg.DagsterInstance) -> None:
    engine = broken(home)
    converge(engine)
    assert "3 refusals" in tell(engine, instance)
    assert red(instance) == set(DAYS)
    assert all(told(instance, "numbers", day) == [] for day in DAYS)


def test_it_is_told_once(home: Path, instance: dg.DagsterInstance) -> None:
    engine = broken(home)
    converge(engine)
    tell(engine, instance)
    assert tell(engine, instance) == "nothing was published elsewhere"


def test_a_convergence_shows_what_it_refused_and_leaves_nothing_for_the_sensor(
    home: Path, instance: dg.DagsterInstance
) -> None:
    engine = broken(home)
    materialize(engine, instance)
    assert red(instance) == set(DAYS)
    assert tell(engine, instance) == "nothing was published elsewhere"


def test_a_tick_tells_so_many_and_the_next_one_goes_on(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_REFUSALS_PER_TICK", 2)
    engine = broken(home)
    converge(engine)
    assert "2 refusals" in tell(engine, instance)
    assert tell(engine, instance) == "reported 1 refusals"
    assert red(instance) == set(DAYS)


def test_bad_code_that_was_taken_back_is_no_longer_shown(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(observed(home, stages=watched()), instance)
    materialize(broken(home), instance)
    assert red(instance) == set(DAYS)
    repaired = observed(home, stages=watched())
    converge(repaired)
    tell(repaired, instance)
    assert red(instance) == set()
    assert all(len(told(instance, "numbers", day)) == 1 for day in DAYS), "readers have what they had"


def test_what_is_accepted_is_no_longer_shown_as_refused(home: Path, instance: dg.DagsterInstance) -> None:
    engine = broken(home)
    converge(engine)
    tell(engine, instance)
    refused = engine.ledger.versions("numbers", DAYS[0])[-1][0]
    decide(engine, refused.recipe, DecisionKind.ACCEPT, "anna", "a release")
    tell(engine, instance)
    assert red(instance) == set(DAYS[1:])
    assert len(told(instance, "numbers", DAYS[0])) == 1


def test_what_another_environment_refuses_is_its_own_affair(
    home: Path, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    production = observed(home, stages=watched())
    converge(production)
    branch = toy_engine(home, environment="branch", stages=watched(broken=True))
    converge(branch)
    tell(production, instance)
    assert red(instance) == set()
    (tmp_path / "hers").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "hers")) as hers:
        assert "3 refusals" in tell(branch, hers)
    assert red(instance) == set()


def test_the_process_beside_a_convergence_reports_what_is_quarantined_and_what_consumers_need(
    home: Path, tmp_path: Path
) -> None:
    engine = broken(home)
    converge(engine)
    dagster_home = tmp_path / "dagster"
    expected = {"received_numbers": {"numbers": (Limit("total", at_least=12),)}}
    assignment = Assignment(f"sqlite:///{home / 'ledger.db'}", PRODUCTION, dagster_home, expected)
    quarantined = quarantine(engine.planner.report(), engine.planner.snapshot([]))
    ending = Ending({"numbers": {day: item for (_, day), item in quarantined.items()}})
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    subprocess.run(
        [sys.executable, "-m", reporter_process.__name__],
        input=to_line(assignment) + to_line(ending),
        cwd=ROOT,
        env=environment,
        check=True,
    )
    with dg.DagsterInstance.from_config(str(dagster_home)) as told_instance:
        assert red(told_instance) == set(DAYS)
        needed = [last_check(told_instance, "received_numbers", "expected_by_numbers", day) for day in DAYS]
        assert [item and item.passed for item in needed] == [False, True, True]
        assert tell(engine, told_instance) == "nothing was published elsewhere"
