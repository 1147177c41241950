"""Landing zones and pipelines for the stories: small, but with everything in them."""

from datetime import date
from pathlib import Path

import pytest

from spam_pipeline.pipeline import Pipeline
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate

START = date(2026, 1, 1)
KEY = "the key of the stories, long enough"


def open_pipeline(home: Path) -> Pipeline:
    return Pipeline(Settings(home=home, start_date=START, identifier_key=KEY))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with eight simulated days and nothing else. Copy it before changing it."""
    home = tmp_path_factory.mktemp("simulated")
    simulate(home, days=8, plays_per_day=600, seed=11, start=START)
    return home
