"""Landing zones and pipelines for the stories: small, but with everything in them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import spam_pipeline
from spam_pipeline.ingestion.stated_arrivals import Gap, gap_as_json
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import PRODUCTION, Converged, converge
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.shared_homes import copied, filled_once

START = date(2026, 1, 1)
KEY = "the key of the stories, long enough"

Digests = Mapping[tuple[str, str], str]
"""The content of what is published, by stage and partition."""

CONVERGE = """
import json
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.execution.convergence import converge
did = []
done = converge(Pipeline().engine, on_outcome=lambda need, why, outcome: did.append(
    (need.stage, need.partition, outcome.action.value, str(why))))
print(json.dumps([did, done.computed, done.reused]))
"""


def open_pipeline(home: Path, **settings: Any) -> Pipeline:
    return Pipeline(Settings(home=home, start_date=START, identifier_key=KEY, **settings))


def run(pipeline: Pipeline) -> tuple[Converged, set[tuple[str, str]]]:
    """Observe and converge; also tell which partitions ran."""
    did: set[tuple[str, str]] = set()
    pipeline.engine.observe()
    done = converge(
        pipeline.engine, on_outcome=lambda status, _why, _outcome: did.add((status.stage, status.partition))
    )
    assert done.converged
    return done, did


def digests(pipeline: Pipeline) -> Digests:
    published = pipeline.engine.ledger.published(PRODUCTION, list(pipeline.graph.stages))
    return {(name, key): item.content for name, by_key in published.items() for key, item in by_key.items()}


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the package below `folder` with one edit; what is imported is there."""
    shutil.copytree(Path(spam_pipeline.__file__).parent, folder / "spam_pipeline")
    edit(folder, file, old, new)
    return folder


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a piece of a copy's code, which has to be there."""
    path = folder / "spam_pipeline" / file
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")


def converge_with(folder: Path, home: Path) -> tuple[list[tuple[str, str, str, str]], int, int]:
    """Converge in a process of its own with the code below `folder`: what ran and why, how much was computed and reused."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPAM_PIPELINE_")},
        "PYTHONPATH": str(folder),
        "SPAM_PIPELINE_HOME": str(home),
        "SPAM_PIPELINE_START_DATE": START.isoformat(),
        "SPAM_PIPELINE_IDENTIFIER_KEY": KEY,
    }
    done = subprocess.run(
        [sys.executable, "-c", CONVERGE], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    did, computed, reused = json.loads(done.stdout)
    return [tuple(item) for item in did], computed, reused


def declare(home: Path, *lines: str) -> str:
    """Add lines to `incidents.csv`, the way an expert does; return what the file was before."""
    file = home / "landing" / "incidents.csv"
    before = file.read_text(encoding="utf-8")
    file.write_text(before + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return before


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


def land_gaps(home: Path, first: str, last: str) -> None:
    """Declare a gap for each day from one to another on which nothing has landed."""
    for number in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1):
        day = date.fromordinal(number).isoformat()
        folder = home / "landing" / "plays" / day
        if not folder.exists():
            folder.mkdir(parents=True)
            gap = Gap("Ada", datetime(2026, 3, 5, tzinfo=UTC), "nobody listened")
            (folder / "gap.json").write_bytes(gap_as_json(gap))


def take_back(pipeline: Pipeline, home: Path, day: str) -> None:
    """Remove what has landed on a day, and say that it was wrong and that nothing else comes."""
    shutil.rmtree(home / "landing" / "plays" / day)
    pipeline.engine.observe()
    version = pipeline.engine.reader.version("received_plays", day)
    pipeline.decide("reject", version.recipe, by="Ada", reason="made up by the sender")
    pipeline.declare_gap(day, by="Ada", reason="made up by the sender")


def land_play(home: Path, arrival: str, name: str, day: str, **said: object) -> None:
    """Land one more file with one play of a track that the catalogue knows."""
    track = pl.read_csv(home / "landing/reference/tracks.csv")["track_id"][-1]
    own = {"event_id": f"event of {name}", "device_id": f"device of {name}", "track_id": track}
    land(home, arrival, name, [a_play(day, **{**own, **said})])


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with eight simulated days and nothing else. Copy it before changing it."""
    return filled_once(
        tmp_path_factory, "eight_days", lambda home: simulate(home, days=8, plays_per_day=600, seed=11, start=START)
    )


@pytest.fixture(scope="session")
def converged(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with everything published. Copy it before changing it."""

    def fill(home: Path) -> None:
        pipeline = open_pipeline(copied(simulated, home))
        done, _ = run(pipeline)
        assert done.held == ()
        pipeline.engine.ledger.close()

    return filled_once(tmp_path_factory, "eight_days_converged", fill)


@pytest.fixture
def home(converged: Path, tmp_path: Path) -> Iterator[Path]:
    """A converged home to play with."""
    copy = copied(converged, tmp_path / "home")
    yield copy
    shutil.rmtree(copy)
