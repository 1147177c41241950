"""The hard question, through the whole pipeline: a day spikes. A release passes; an attack that the verdicts miss waits for a person.

The attack of these stories is patient: it hears its track to the end, so nothing is cut off as soon as it is paid, which is
what the verdicts go by. What still gives it away is where it comes from, and that it never sleeps.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import Finding, NotPublished, Severity
from spam_pipeline.protocol.operating import Converged
from spam_pipeline.simulation import simulate
from spam_pipeline.simulation.user_agents import OFFICE_BROWSER
from spam_pipeline_tests.stories.conftest import START, a_play, declare, land, open_pipeline, run

EVERYDAY = ["office_network", "shop_radio"]
DAYS = 9
ATTACKED, PLAYS = "2026-01-08", 300


def spikes(pipeline: Pipeline) -> Mapping[str, list[Finding]]:
    """What the last audit of each day says of spikes."""
    days = pipeline.engine.planner.statuses(["classified_plays"])["classified_plays"]
    found = {day: pipeline.versions("classified_plays", day)[-1][1].findings for day in sorted(days)}
    return {day: [item for item in findings if item.rule == "spike"] for day, findings in found.items()}


def simulated(home: Path, *scenarios: str) -> Pipeline:
    simulate(home, days=DAYS, plays_per_day=2500, seed=8, start=START, scenarios=[*EVERYDAY, *scenarios])
    return open_pipeline(home)


def land_patient_attack(home: Path) -> None:
    """Plays of one track around the clock, each heard to the end, by devices in one network that nobody knows."""
    track = (
        pl.read_csv(home / "landing/reference/tracks.csv").filter(pl.col("duration_ms") > 120_000).row(7, named=True)
    )
    plays = (
        a_play(
            ATTACKED,
            event_id=f"patient {number}",
            occurred_at=f"{ATTACKED}T{number * 24 // PLAYS:02}:{number % 60:02}:00Z",
            track_id=track["track_id"],
            device_id=f"patient device {number % 90}",
            ip=f"91.3.7.{number % 90 + 1}",
            country="DE",
            user_agent=OFFICE_BROWSER,
            source="playlist",
            ms_played=track["duration_ms"],
        )
        for number in range(PLAYS)
    )
    land(home, ATTACKED, "patient", plays)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Converged]:
    pipeline = simulated(tmp_path_factory.mktemp("attacked") / "home")
    land_patient_attack(pipeline.settings.home)
    return pipeline, run(pipeline)[0]


def test_a_release_passes_and_its_evidence_is_noted(tmp_path: Path) -> None:
    pipeline = simulated(tmp_path / "home", "viral_release")
    done, _ = run(pipeline)
    assert done.held == ()
    noted = [finding for findings in spikes(pipeline).values() for finding in findings]
    assert noted
    assert {finding.severity for finding in noted} == {Severity.NOTE}
    assert any("looks like a release" in finding.seen for finding in noted)


def test_an_attack_that_the_verdicts_miss_is_quarantined_with_its_evidence_and_its_day_is_read_by_nobody(
    attacked: tuple[Pipeline, Converged],
) -> None:
    pipeline, done = attacked
    refused = [item for item in spikes(pipeline)[ATTACKED] if item.severity is Severity.REFUSE]
    assert f"classified_plays {ATTACKED}: its version was refused" in done.held
    evidence = refused[0].evidence
    assert evidence is not None
    assert [clue for clue in evidence.clues if clue.supports == "attack"]
    assert any(name.startswith("track ") for name in evidence.behind)
    assert any(name.startswith("network ") for name in evidence.behind)
    for stage in ("classified_plays", "daily_plays", "track_play_counts"):
        with pytest.raises(NotPublished):
            pipeline.read(stage, ATTACKED)


def test_confirming_the_incident_frees_the_day_and_is_a_label_of_that_day_alone(
    attacked: tuple[Pipeline, Converged],
) -> None:
    pipeline, _ = attacked
    refused = [item for item in spikes(pipeline)[ATTACKED] if item.severity is Severity.REFUSE]
    behind = [name for finding in refused for name in (finding.evidence.behind if finding.evidence else ())]
    window = f"{ATTACKED}T00:00:00Z,{ATTACKED}T23:59:59Z,eve,{ATTACKED}T23:59:59Z,"
    tracks = [name.removeprefix("track ") for name in behind if name.startswith("track ")]
    declare(pipeline.settings.home, *(f"story,confirmed,paid_plays,track,{track},{window}" for track in tracks))
    done, did = run(pipeline)
    assert done.held == ()
    assert ("daily_plays", ATTACKED) in did
    assert {day for stage, day in did if stage == "labelled_examples"} == {ATTACKED}
    assert not [item for item in spikes(pipeline)[ATTACKED] if item.severity is Severity.REFUSE]
