"""Processes of this machine as workers: they start when it pays, end with the coordinator, and may die."""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.executor import Batch, terms_of
from spam_pipeline.protocol.execution.processes import Processes, cores
from spam_pipeline.protocol.foundation.errors import WorkerDiffers
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.protocol.deadly_stages import deadly_engine
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests

DAYS = tuple(f"2026-01-0{day}" for day in range(1, 8))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for day in DAYS:
        land(home, day, "a", f"{day} 1", f"{day} 2", "broken")
    return home


def attempts(home: Path) -> Counter[tuple[str, str]]:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        return Counter(ledger.execute("select stage, partition from attempts").fetchall())


def test_a_worker_that_is_killed_in_the_middle_is_replaced_and_nothing_is_lost(home: Path, tmp_path: Path) -> None:
    engine = deadly_engine(home)
    engine.observe()
    with Processes(partial(deadly_engine, home), 2, start_seconds=0) as executor:
        done = converge(engine, executor=executor)
    assert (home / "killed").exists()
    assert done.converged
    assert done.computed == 3 * len(DAYS) == len(engine.ledger.publications_after(0, PRODUCTION))
    tried = attempts(home)
    assert tried.pop(("deadly_copy", "2026-01-03")) == 2
    assert set(tried.values()) == {1}, "only what was killed was tried again"
    shutil.copytree(home / "landing", tmp_path / "alone" / "landing")
    alone = deadly_engine(tmp_path / "alone")
    alone.observe()
    converge(alone)
    assert digests(engine) == digests(alone)


def test_a_process_with_other_settings_refuses(home: Path) -> None:
    engine = toy_engine(home)
    engine.observe()
    with (
        Processes(partial(toy_engine, home, factor=2), 2, start_seconds=0) as executor,
        pytest.raises(WorkerDiffers, match="two_day_total and has other settings"),
    ):
        converge(engine, executor=executor)


def test_processes_start_once_the_time_they_would_have_saved_pays_for_it(home: Path) -> None:
    engine = toy_engine(home)
    batch = Batch("numbers", dict.fromkeys(DAYS, "missing"), terms_of(engine, "numbers"), None)
    never = Processes(partial(_must_not_start, home), 2, start_seconds=10)
    assert list(never.run(batch, seconds_each=0.5)) == []
    assert list(never.run(Batch("numbers", {"2026-01-01": "missing"}, batch.terms, None), seconds_each=100)) == []
    assert list(Processes(partial(_must_not_start, home), 1).run(batch, seconds_each=100)) == []


def test_cores_are_those_that_this_process_may_use() -> None:
    assert cores() >= 1


def _must_not_start(home: Path) -> None:
    raise AssertionError(home)
