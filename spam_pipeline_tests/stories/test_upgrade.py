"""A home of the last release goes on under this one: everything is computed at most once, and means what it meant.

`releases/0.5.0.tar.xz` is a home that release 0.5.0 made: `simulate --days 7 --plays-per-day 30 --start 2026-01-28 --seed 50`,
converged, January issued, converged again.
"""

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from spam_pipeline import Pipeline
from spam_pipeline.protocol.operating import Outcome, converge
from spam_pipeline.settings import Settings

RELEASE = Path(__file__).parents[1] / "releases" / "0.5.0.tar.xz"

RENAMED = {"royalty_grounds": "statement_basis", "issued_grounds": "issued_basis"}

NEW = {
    "received_files": "the landed files of plays had no account",
    "incident_listeners": "nothing showed the rhythm of an incident and who is behind it",
    "held_out_examples": "model and evaluation each made the fits that they are scored by",
    **dict.fromkeys(
        ("listening", "suspicious_groups", "suspected_plays", "suspected_incidents", "carried_devices"),
        "groups were not suspected",
    ),
}

CHANGED_ON_PURPOSE = {
    "incidents": "a row names the day that it is of",
    "received_plays": "it has a part with the account of each landed file, and small files are stored together",
    "labelled_examples": "the plays of a pool are a part of their own",
    "spam_model": "its file is JSON",
    "reports": "its pages come from templates, and are case files and reports",
    "statement_basis": "it says which code divided the pools",
    "warehouse": "it lists the contents of all stages, by name",
}

Contents = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("of-the-last-release")
    with tarfile.open(RELEASE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def contents(pipeline: Pipeline, stages: list[str]) -> Contents:
    published = pipeline.engine.ledger.published("production", stages)
    return {
        (RENAMED.get(stage, stage), key): version.content
        for stage, by_key in published.items()
        for key, version in by_key.items()
    }


def test_a_home_of_the_last_release_is_brought_over_once_and_says_the_same(home: Path) -> None:
    pipeline = Pipeline(Settings(home=home))
    before = contents(pipeline, [name for name in pipeline.graph.stages if name not in RENAMED.values()] + [*RENAMED])
    ran: Counter[tuple[str, str]] = Counter()
    pipeline.engine.observe()
    done = converge(
        pipeline.engine,
        on_outcome=lambda status, _, outcome: ran.update(
            [(status.stage, status.partition)] if isinstance(outcome, Outcome) else ()
        ),
    )
    assert (done.converged, done.failed, done.held) == (True, (), ())
    assert set(ran.values()) == {1}, "nothing runs twice"
    after = contents(pipeline, list(pipeline.graph.stages))
    assert before.keys() == {(stage, key) for stage, key in after if stage not in NEW}
    days_of = {stage: {key for name, key in after if name == stage} for stage in ("received_plays", *NEW)}
    assert days_of["received_files"] == days_of["received_plays"]
    assert {stage for stage, key in before if before[stage, key] != after[stage, key]} <= CHANGED_ON_PURPOSE.keys()
    again = converge(pipeline.engine)
    assert (again.converged, again.computed, again.reused, again.audited) == (True, 0, 0, 0)
