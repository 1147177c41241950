"""A person at the Dagster UI runs one day of a home of which nothing but the arrivals was ever converged."""

from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.definitions import build_definitions
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import Settings
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import KEY, START, open_pipeline


@pytest.fixture
def home(simulated: Path, tmp_path: Path) -> Path:
    return copied(simulated, tmp_path / "home")


def test_the_job_takes_one_day_from_the_landed_files_to_the_reports(home: Path) -> None:
    arrivals = open_pipeline(home)
    arrivals.engine.observe()
    converge(arrivals.engine, ["received_plays"])  # royalties of a day wait for the two after it
    definitions = build_definitions(Settings(home=home, start_date=START, identifier_key=KEY))
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("one_day").execute_in_process(
            partition_key="2026-01-01", instance=instance
        )
    made = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert {
        "received_plays",
        "plays",
        "spam_model",
        "classified_plays",
        "royalty_usage",
        "daily_plays",
        "warehouse",
    } <= made
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    pipeline = open_pipeline(home)
    assert pipeline.read("daily_plays", "2026-01-01").collect().height > 0
    assert (home / "warehouse.duckdb").exists()


def test_loading_the_code_location_touches_nothing(tmp_path: Path) -> None:
    build_definitions(Settings(home=tmp_path / "home", start_date=START, identifier_key=KEY))
    assert list(tmp_path.iterdir()) == []
