"""Stories of exactness: a change recomputes what rests on it, and nothing else. Told on a few plays, so that one can count."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spam_pipeline
from spam_pipeline.pipeline import Pipeline
from spam_pipeline.protocol.convergence import converge
from spam_pipeline_tests.stories.conftest import KEY, START, a_play, land, open_pipeline

Ran = set[tuple[str, str]]

FAR_DAY, NEAR_DAY, ATTACKED = "2026-01-05", "2026-01-20", "2026-11-18"
DAYS = (FAR_DAY, NEAR_DAY, ATTACKED, "2026-11-29")
LAST_ARRIVAL = "2026-11-29"
DAILY_REPORTS = {"daily_plays", "top_countries", "plays_by_spam_probability", "track_play_counts"}
DAILY_STAGES = {"plays", "play_signals", "labelled_examples", "classified_plays", "royalty_usage", *DAILY_REPORTS}

CONVERGE = """
import json
from spam_pipeline.pipeline import Pipeline
from spam_pipeline.protocol.convergence import converge
did = []
done = converge(Pipeline().runner, on_outcome=lambda need, why, outcome: did.append(
    (need.stage, need.partition, outcome.action.value, str(why))))
print(json.dumps([did, done.computed, done.reused]))
"""


def land_plays(home: Path, arrival: str, name: str, day: str, count: int, **said: object) -> None:
    """Land one file with some plays of one day, each by a listener of its own."""
    usual = {"source": "search", **said}
    land(
        home,
        arrival,
        name,
        (
            a_play(
                day,
                **{
                    "event_id": f"{name} {number}",
                    "track_id": f"track {number % 5}",
                    "user_id": f"listener {name} {number}",
                    "device_id": f"device {name} {number}",
                    "ip": f"192.0.2.{number % 250}",
                    **usual,
                },
            )
            for number in range(count)
        ),
    )


def run(pipeline: Pipeline) -> Ran:
    did: Ran = set()
    pipeline.runner.observe()
    done = converge(pipeline.runner, on_outcome=lambda need, _why, _outcome: did.add((need.stage, need.partition)))
    assert done.converged
    return did


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Four days of a year with plays; on one of them, a fifth of the plays are barely long enough to earn, all from one address."""
    home = tmp_path / "home"
    for day in DAYS:
        land_plays(home, day, "usual", day, 160 if day == ATTACKED else 40)
    land_plays(home, ATTACKED, "bots", ATTACKED, 40, ip="198.51.100.7", ms_played=31_000)
    reference = home / "landing" / "reference"
    reference.mkdir()
    (reference / "revenue.csv").write_text(
        "month,country,tier,currency,net_revenue_minor\n2026-01,SE,free,SEK,100000\n2026-11,SE,free,SEK,100000\n",
        encoding="utf-8",
    )
    run(open_pipeline(home))
    return home


def test_a_file_eleven_months_late_touches_its_day_and_its_month(home: Path) -> None:
    land_plays(home, LAST_ARRIVAL, "late", FAR_DAY, 1)
    assert run(open_pipeline(home)) == {
        ("received_plays", LAST_ARRIVAL),
        *((stage, FAR_DAY) for stage in DAILY_STAGES),
        *(
            (stage, "2026-01")
            for stage in ("royalty_statements", "royalty_grounds", "royalty_adjustments", "royalty_payments")
        ),
        ("royalty_payments", "2026-11"),
        ("widget_counts", "all"),
        ("warehouse", "all"),
    }


def converge_with(package: Path, home: Path) -> tuple[list[tuple[str, str, str, str]], int, int]:
    """Converge in a process of its own with the code below `package`."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPAM_PIPELINE_")},
        "PYTHONPATH": str(package),
        "SPAM_PIPELINE_HOME": str(home),
        "SPAM_PIPELINE_START_DATE": START.isoformat(),
        "SPAM_PIPELINE_IDENTIFIER_KEY": KEY,
    }
    done = subprocess.run(
        [sys.executable, "-c", CONVERGE], env=environment, cwd=package, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    did, computed, reused = json.loads(done.stdout)
    return [tuple(item) for item in did], computed, reused


def test_another_threshold_reclassifies_every_day_and_goes_on_only_where_that_changes_a_verdict(
    home: Path, tmp_path: Path
) -> None:
    package = tmp_path / "edited"
    shutil.copytree(Path(spam_pipeline.__file__).parent, package / "spam_pipeline")
    assert converge_with(package, home)[0] == [], "the copy is the same code"
    model = package / "spam_pipeline" / "trust_and_safety" / "model.py"
    source = model.read_text(encoding="utf-8")
    model.write_text(
        source.replace('Rule("network_short_share", 0.3, 0.8, 0.15)', 'Rule("network_short_share", 0.3, 0.8, 0.05)'),
        encoding="utf-8",
    )

    did, _, reused = converge_with(package, home)

    reclassified = [item for item in did if item[0] == "classified_plays"]
    assert {partition for _, partition, *_ in reclassified} == set(DAYS)
    assert {cause for *_, cause in reclassified} == {"code: spam_pipeline.trust_and_safety.model.HEURISTIC_RULES"}
    assert {partition for stage, partition, *_ in did if stage in DAILY_REPORTS} == {ATTACKED}
    assert not {stage for stage, *_ in did} & {"received_plays", "plays", "play_signals", "labelled_examples"}
    assert reused == 0

    model.write_text(source, encoding="utf-8")
    did, computed, reused = converge_with(package, home)
    assert computed == 0
    assert reused == len(did) > len(DAYS)
