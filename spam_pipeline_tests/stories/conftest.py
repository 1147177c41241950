"""Landing zones and pipelines for the stories: small, but with everything in them."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spam_pipeline.pipeline import Pipeline
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate

START = date(2026, 1, 1)
KEY = "the key of the stories, long enough"


def open_pipeline(home: Path, **settings: Any) -> Pipeline:
    return Pipeline(Settings(home=home, start_date=START, identifier_key=KEY, **settings))


def a_play(day: str, **said: object) -> dict[str, object]:
    """A play at noon of a day, by nobody who is logged in."""
    usual = {"ip": "192.0.2.7", "country": "SE", "user_agent": "story", "client": "web", "source": "direct"}
    return {"occurred_at": f"{day}T12:00:00Z", "ms_played": 90_000, **usual, **said}


def land(home: Path, arrival: str, name: str, plays: Iterable[Mapping[str, object]]) -> None:
    """Land one more file, as a whole."""
    folder = home / "landing" / "plays" / arrival / "23"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}"
    unfinished.write_text("".join(json.dumps(play) + "\n" for play in plays), encoding="utf-8")
    unfinished.replace(folder / f"{name}.jsonl")


def land_play(home: Path, arrival: str, name: str, day: str, **said: object) -> None:
    """Land one more file with one play of a track that the catalogue knows."""
    track = pl.read_csv(home / "landing/reference/tracks.csv")["track_id"][-1]
    own = {"event_id": f"event of {name}", "device_id": f"device of {name}", "track_id": track}
    land(home, arrival, name, [a_play(day, **{**own, **said})])


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with eight simulated days and nothing else. Copy it before changing it."""
    home = tmp_path_factory.mktemp("simulated")
    simulate(home, days=8, plays_per_day=600, seed=11, start=START)
    return home
