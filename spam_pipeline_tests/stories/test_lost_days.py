"""Stories of what does not arrive: a lost day, a partly lost one, a manifest that is not kept, hours that are missing."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import Cadence
from spam_pipeline.protocol.operating import Converged, converge
from spam_pipeline_tests.stories.conftest import digests, land, open_pipeline

LOST = "2026-01-04"
NOT_SETTLED = tuple(
    f"royalty_usage 2026-01-0{day}: its day is not settled: it lacks received_plays {LOST}" for day in (2, 3, 4)
)


def converged(pipeline: Pipeline) -> Converged:
    pipeline.engine.observe()
    done = converge(pipeline.engine)
    assert done.failed == ()
    return done


def day_of(home: Path) -> Path:
    return home / "landing" / "plays" / LOST


def findings(pipeline: Pipeline, stage: str, partition: str) -> list[str]:
    return [str(finding) for finding in pipeline.versions(stage, partition)[-1][1].findings]


def test_a_lost_folder_moves_no_number_and_is_as_if_it_had_never_been_once_it_is_back(home: Path) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    aside = shutil.move(day_of(home), home / "aside")
    done = converged(pipeline)
    assert (done.computed, digests(pipeline)) == (0, before)
    assert done.held[1:] == NOT_SETTLED
    assert done.held[0].startswith(f"received_plays {LOST}: what it was made from is gone")
    shutil.move(aside, day_of(home))
    assert converged(pipeline).held == ()
    assert digests(pipeline) == before


def test_a_day_of_which_most_is_lost_is_refused_and_everybody_keeps_what_they_had(home: Path) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    for hour in sorted(day_of(home).iterdir())[:-1]:
        shutil.rmtree(hour)
    done = converged(pipeline)
    assert done.held == (f"received_plays {LOST}: its version was refused", *NOT_SETTLED)
    assert digests(pipeline) == before
    (told,) = [
        text for text in findings(pipeline, "received_plays", LOST) if text.startswith("records: expected at most")
    ]
    assert "less than the" in told


def test_a_day_that_never_came_is_missing_and_its_few_late_plays_are_not_taken_for_the_day(
    simulated: Path, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(simulated, tmp_path / "home"))
    last = "2026-01-07"
    shutil.rmtree(home / "landing" / "plays" / last)
    pipeline = open_pipeline(home)
    done = converged(pipeline)
    assert f"received_plays {last}: nothing has landed for it" in done.held
    assert f"plays {last}: its version was refused" in done.held
    assert last not in pipeline.partitions("daily_plays")
    assert pipeline.partitions("royalty_usage") == [f"2026-01-0{day}" for day in range(1, 5)]


def test_a_day_is_held_to_its_manifests(home: Path) -> None:
    pipeline = open_pipeline(home)
    account = pipeline.read("received_files", LOST).collect()
    records = int((account["accepted"] + account["rejected"]).sum())
    sent = {"files": account.height, "records": records + 1, "bytes": int(account["bytes"].sum())}
    (day_of(home) / "manifest.json").write_text(json.dumps(sent), encoding="utf-8")
    noon = account.filter(pl.col("arrival_hour").dt.hour() == 12)
    (day_of(home) / "12" / "manifest.json").write_text(json.dumps({"files": noon.height + 2}), encoding="utf-8")
    assert f"received_plays {LOST}: its version was refused" in converged(pipeline).held
    assert {
        f"records: expected {records + 1:,}, as sent, got {records:,}",
        f"files of hour 12: expected {noon.height + 2}, as sent, got {noon.height}",
    } <= set(findings(pipeline, "received_plays", LOST))
    (day_of(home) / "manifest.json").write_text(json.dumps(sent | {"records": records}), encoding="utf-8")
    (day_of(home) / "12" / "manifest.json").write_text(json.dumps({"files": noon.height}), encoding="utf-8")
    assert converged(pipeline).held == ()


def test_where_something_lands_every_hour_a_day_without_some_settles_nothing(home: Path) -> None:
    pipeline = open_pipeline(home, plays_cadence=Cadence.HOUR)
    hours = sorted(folder.name for folder in day_of(home).iterdir())
    missing = [f"{hour:02}" for hour in range(24) if f"{hour:02}" not in hours]
    assert missing == [], "the simulated day is complete"
    assert converged(pipeline).held == ()
    land(home, "2026-01-09", "newest", [])
    shutil.rmtree(day_of(home) / "05")
    held = converged(pipeline).held
    assert f"received_plays {LOST}: is read as it is, but lacks hours 05" in held
    assert set(NOT_SETTLED) <= set(held)
    (day_of(home) / "05").mkdir()
    pipeline.declare_gap(LOST, "05", by="anna", reason="the collector was restarted")
    assert not [line for line in converged(pipeline).held if LOST in line]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"declared_by": "anna"}'])
def test_a_gap_that_says_nothing_is_rejected_and_settles_nothing(home: Path, content: bytes) -> None:
    pipeline = open_pipeline(home)
    arrival = "2026-01-09"
    land(home, "2026-01-10", "newest", [])
    folder = home / "landing" / "plays" / arrival
    folder.mkdir(parents=True)
    (folder / "gap.json").write_bytes(content)
    assert f"received_plays {arrival}: its version was refused" in converged(pipeline).held
