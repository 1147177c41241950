"""One simulated week, written once and read by many tests."""

from datetime import date

import polars as pl
import pytest

from spam_pipeline.simulation import simulate
from spam_pipeline_tests.simulation.landing_reader import Week, read_landing


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    home = tmp_path_factory.mktemp("home")
    simulated = simulate(home, days=7, plays_per_day=5000, seed=3, start=date(2026, 1, 1))
    read = read_landing(home / "landing")
    columns = ("event_id", "occurred_at", "track_id", "user_id", "device_id", "ip", "country", "ms_played", "arrival")
    rows = [{name: event[name] for name in (*columns, "user_agent", "client", "source")} for event in read.events]
    events = pl.DataFrame(rows, infer_schema_length=None)
    return Week(home, simulated, read, events, pl.read_parquet(home / "truth.parquet"))
