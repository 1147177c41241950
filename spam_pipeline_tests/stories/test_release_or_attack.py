"""The hard question, through the whole pipeline: a day spikes. A release passes; an attack waits for a person, with evidence."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from spam_pipeline.pipeline import Pipeline
from spam_pipeline.protocol.convergence import Converged, converge
from spam_pipeline.protocol.errors import NotPublished
from spam_pipeline.protocol.finding import Finding, Severity
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.stories.conftest import START, open_pipeline

EVERYDAY = ["office_network", "shop_radio"]
DAYS = 9


def run(pipeline: Pipeline) -> tuple[Converged, set[tuple[str, str]]]:
    did: set[tuple[str, str]] = set()
    pipeline.runner.observe()
    done = converge(pipeline.runner, on_outcome=lambda need, _why, _outcome: did.add((need.stage, need.partition)))
    assert done.converged
    return done, did


def spikes(pipeline: Pipeline) -> Mapping[str, list[Finding]]:
    """What the last audit of each day says of spikes."""
    days = pipeline.runner.needs(["classified_plays"])["classified_plays"]
    found = {day: pipeline.versions("classified_plays", day)[-1][1].findings for day in sorted(days)}
    return {day: [item for item in findings if item.rule == "spike"] for day, findings in found.items()}


def simulated(home: Path, scenario: str) -> Pipeline:
    simulate(home, days=DAYS, plays_per_day=2500, seed=8, start=START, scenarios=[*EVERYDAY, scenario])
    return open_pipeline(home)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Converged]:
    pipeline = simulated(tmp_path_factory.mktemp("attacked") / "home", "embedded_autoplay")
    # Without its incidents: nobody has told the model of the attack.
    incidents = pipeline.settings.landing / "incidents.csv"
    incidents.write_text(incidents.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    return pipeline, run(pipeline)[0]


def test_a_release_passes_and_its_evidence_is_noted(tmp_path: Path) -> None:
    pipeline = simulated(tmp_path / "home", "viral_release")
    done, _ = run(pipeline)
    assert done.held == ()
    noted = [finding for findings in spikes(pipeline).values() for finding in findings]
    assert noted
    assert {finding.severity for finding in noted} == {Severity.NOTE}
    assert any("looks like a release" in finding.seen for finding in noted)


def test_an_attack_is_quarantined_with_its_evidence_and_its_day_is_read_by_nobody(
    attacked: tuple[Pipeline, Converged],
) -> None:
    pipeline, done = attacked
    refused = {
        day: found for day, found in spikes(pipeline).items() if any(item.severity is Severity.REFUSE for item in found)
    }
    assert refused
    for day, found in refused.items():
        assert f"classified_plays {day}: its version was refused" in done.held
        evidence = next(item.evidence for item in found if item.severity is Severity.REFUSE)
        assert evidence is not None
        assert [clue for clue in evidence.clues if clue.speaks_for == "attack"]
        assert any(name.startswith("track ") for name in evidence.behind)
        assert any(name.startswith("network ") for name in evidence.behind)
        for stage in ("classified_plays", "daily_plays", "track_play_counts"):
            with pytest.raises(NotPublished):
                pipeline.read(stage, day)


def test_confirming_the_incident_frees_the_days_and_touches_no_other(attacked: tuple[Pipeline, Converged]) -> None:
    pipeline, _ = attacked
    refused = {
        day: [item for item in found if item.severity is Severity.REFUSE] for day, found in spikes(pipeline).items()
    }
    lines = [
        f"story-{day},confirmed,embedded_autoplay,track,{name.removeprefix('track ')},{day}T00:00:00Z,{day}T23:59:59Z,eve,{day}T23:59:59Z,"
        for day, found in refused.items()
        for finding in found
        for name in (finding.evidence.behind if finding.evidence else ())
        if name.startswith("track ")
    ]
    with (pipeline.settings.landing / "incidents.csv").open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    done, did = run(pipeline)
    days = {day for day, found in refused.items() if found}
    assert done.held == ()
    assert days <= {day for stage, day in did if stage == "daily_plays"}
    assert {day for stage, day in did if stage == "labelled_examples"} == days
    assert not [item for found in spikes(pipeline).values() for item in found if item.severity is Severity.REFUSE]
