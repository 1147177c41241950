"""Many machines, told on one: the processes of a deployment, each with a home of its own, over one ledger, one store, one landing zone.

What they converge to equals, digest for digest, what one process makes in one home, also when a worker is killed on the way.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import s3fs
import sqlalchemy as sa

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.batch_job import BATCH_JOB
from spam_pipeline.protocol.ledger.tables import attempts, versions
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import settings_from_environment
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.stories.conftest import KEY, START, Digests, digests, land_play, open_pipeline
from spam_pipeline_tests.stories.topology import WORKERS, Topology, topology

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
EXECUTOR = "dagster:2"
"""Runs of two seconds of work: with the default, which is worth the start of a run, so little would never leave the coordinator."""


STAGE_TAG = "spam_pipeline/stage"


class Story:
    """A topology, and what its ledger and its Dagster say."""

    def __init__(self, running: Topology, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.running = running
        self.pipeline = pipeline
        self.instance = instance

    def has_converged_to(self, expected: Digests) -> bool:
        """Whether just that is published and delivered, and nothing is left to do."""
        statuses = self.pipeline.engine.planner.statuses()
        is_left = any(status.can_run for by_key in statuses.values() for status in by_key.values())
        return not is_left and digests(self.pipeline) == expected

    def tries(self) -> Counter[str]:
        """How often each recipe was tried."""
        return Counter(self._column(attempts.c.recipe, attempts.c.stage != CONVERGENCE))

    def recipes(self) -> set[str]:
        return set(self._column(versions.c.recipe))

    def under_way(self) -> set[str]:
        """The recipes that are being computed."""
        return self.tries().keys() - self.recipes()

    def made_by(self, alone: Pipeline) -> Digests:
        """What one process makes of what has landed in a home."""
        alone.engine.observe()
        converge(alone.engine)
        made = digests(alone)
        self.running.say(f"one process in one home has made {len(made)} versions")
        return made

    def batches(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """The runs of batches, the youngest first."""
        return list(self.instance.get_runs(dg.RunsFilter(job_name=BATCH_JOB, statuses=list(statuses))))

    def kill_in_the_middle_of_a_batch(self) -> set[str]:
        """Kill a worker that is computing a batch, and start it again; return the recipes that were being computed."""
        while True:
            self.running.wait(lambda: self._busy() is not None, "a worker computes a batch")
            if not (busy := self._busy()):
                continue
            with self.running.stopped(busy):
                if self._busy() == busy and (killed := self.under_way()):
                    self.running.kill(busy)
                    break
        self.running.start(busy)
        return killed

    def _busy(self) -> str | None:
        """The worker that is computing a partition of a batch."""
        stages = set(self._column(attempts.c.stage, attempts.c.recipe.in_(self.under_way())))
        for run in self.batches(dg.DagsterRunStatus.STARTED):
            events = " ".join(entry.user_message for entry in self.instance.all_logs(run.run_id))
            pid = re.search(r"Executing steps in process \(pid: (\d+)\)", events)
            if pid and run.tags[STAGE_TAG] in stages:
                return self.running.of_process(int(pid[1]))
        return None

    def _column(self, column: sa.Column[str], *where: sa.ColumnElement[bool]) -> list[str]:
        engine = sa.create_engine(self.running.environment["SPAM_PIPELINE_LEDGER_URL"])
        with engine.connect() as connection:
            found = list(connection.scalars(sa.select(column).where(*where)))
        engine.dispose()
        return found


@contextmanager
def the_topology(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """All of it, started; the landing zone has what has landed in a home."""
    filled_in = {
        "POSTGRES_PASSWORD": "",
        "OBJECT_STORE_KEY": "key",
        "OBJECT_STORE_SECRET": "secret",
        "IDENTIFIER_KEY": KEY,
        "START_DATE": START.isoformat(),
        "NOTIFY": "",
        "DAGSTER_URL": "",
    }
    with topology(folder, **filled_in) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        running.environment["SPAM_PIPELINE_EXECUTOR"] = EXECUTOR
        monkeypatch.setenv("SPAM_PIPELINE_HOME", str(folder / "observer"))
        s3fs.S3FileSystem.clear_instance_cache()  # an earlier test of this process may have left one that knows its own server
        running.start("code-server", *WORKERS)
        running.run_once("buckets")
        with dg.DagsterInstance.from_config(str(running.dagster_home("observer"))) as instance:
            instance.get_runs(limit=1)
            running.wait(lambda: running.listens("4000"), "the code server answers")
            running.start("daemon", "webserver")
            running.wait(lambda: running.is_healthy("webserver"), "the webserver answers")
            with closing_ledger(Pipeline(settings_from_environment())) as pipeline:
                try:
                    yield Story(running, pipeline, instance)
                except BaseException:
                    for run in instance.get_runs():
                        running.say(f"run {run.run_id[:8]} {run.job_name} {run.status.value} {dict(run.tags)}")
                    raise


@contextmanager
def closing_ledger(pipeline: Pipeline) -> Iterator[Pipeline]:
    try:
        yield pipeline
    finally:
        pipeline.engine.ledger.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of one process in one home, where nothing has landed yet but reference files."""
    home, simulated = tmp_path / "alone", tmp_path / "simulated"
    simulate(simulated, days=len(DAYS), plays_per_day=200, seed=11, start=START)
    shutil.copytree(simulated, home, ignore=shutil.ignore_patterns(*DAYS))
    with closing_ledger(open_pipeline(home)) as pipeline:
        yield pipeline


def land(alone: Pipeline, *days: str) -> None:
    """Land days as they were simulated, in the one home."""
    landing = alone.settings.landing
    for day in days:
        shutil.copytree(landing.parents[1] / "simulated/landing/plays" / day, landing / "plays" / day)


def land_there_too(story: Story, alone: Pipeline) -> None:
    """Copy what has landed in the one home to the topology's landing zone."""
    bucket = s3fs.S3FileSystem()
    known = {path.removeprefix("landing/") for path in bucket.find("landing")}
    home = alone.settings.home
    new = [file for file in (home / "landing").rglob("*.*") if str(file.relative_to(home)) not in known]
    for file in sorted(new):
        bucket.put_file(str(file), f"landing/{file.relative_to(home)}")
    story.running.say(f"landed {len(new)} files")


def test_two_workers_with_homes_of_their_own_make_what_one_process_makes(
    tmp_path: Path, alone: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with the_topology(tmp_path, monkeypatch) as story:
        converges_to_the_same_digests(story, alone)
        takes_in_what_lands_late_though_a_worker_is_killed(story, alone)


def converges_to_the_same_digests(story: Story, alone: Pipeline) -> None:
    land(alone, *DAYS[:2])
    land_there_too(story, alone)
    expected = story.made_by(alone)
    story.running.wait(
        lambda: story.has_converged_to(expected), f"the topology published the same {len(expected)} digests"
    )
    tries, recipes = story.tries(), story.recipes()
    story.running.say(f"{tries.total()} attempts, {len(recipes)} recipes, {len(story.batches())} batches")
    assert tries == Counter(recipes), "no two processes computed the same"


def takes_in_what_lands_late_though_a_worker_is_killed(story: Story, alone: Pipeline) -> None:
    land(alone, DAYS[2])
    land_play(alone.settings.home, DAYS[2], "late", DAYS[0])
    land_there_too(story, alone)
    killed = story.kill_in_the_middle_of_a_batch()
    expected = story.made_by(alone)
    story.running.wait(
        lambda: story.has_converged_to(expected), f"the topology published the same {len(expected)} digests"
    )
    again = story.tries() - Counter(story.recipes())
    story.running.say(f"{len(story.recipes())} recipes, {again.total()} tried again, {len(story.batches())} batches")
    assert 1 <= again.total() <= len(killed)
    assert again.keys() <= killed
