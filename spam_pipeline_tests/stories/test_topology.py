"""Many machines, told on one: the processes of a deployment, each with a home of its own, over one ledger, one store, one landing zone.

What they converge to equals, digest for digest, what one process makes in one home, also when a worker is killed on the way.
"""

import re
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
from spam_pipeline.protocol.ledger.tables import attempts, versions
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import settings_from_environment
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.stories.conftest import KEY, START, Digests, digests, land_play, open_pipeline
from spam_pipeline_tests.stories.topology import WORKERS, Topology, topology

DAYS = 2
LAST_DAY = "2026-01-02"
FIRST_DAY = "2026-01-01"
BUCKETS = ("landing", "store", "rejected", "reports")


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

    def kill_in_the_middle(self) -> set[str]:
        """Kill a worker that is computing something, and start it again; return the recipes that were being computed."""
        killed = set[str]()
        while not killed:
            self.running.wait(lambda: self._busy_worker() is not None, "a run is under way")
            if worker := self._busy_worker():
                with self.running.stopped(worker):
                    if killed := self.under_way():
                        self.running.kill(worker)
        self.running.start(worker)
        return killed

    def _busy_worker(self) -> str | None:
        """The worker of the youngest run that is under way, a batch rather than a convergence."""
        for run in self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            events = " ".join(entry.user_message for entry in self.instance.all_logs(run.run_id))
            if found := re.search(r"Executing steps in process \(pid: (\d+)\)", events):
                return self.running.of_process(int(found[1]))
        return None

    def _column(self, column: sa.Column[str], *where: sa.ColumnElement[bool]) -> list[str]:
        engine = sa.create_engine(self.running.environment["SPAM_PIPELINE_LEDGER_URL"])
        with engine.connect() as connection:
            found = list(connection.scalars(sa.select(column).where(*where)))
        engine.dispose()
        return found


@contextmanager
def the_topology(folder: Path, landed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """All of it, started; the landing zone has what has landed in a home."""
    filled_in = {
        "POSTGRES_PASSWORD": "",
        "OBJECT_STORE_KEY": "key",
        "OBJECT_STORE_SECRET": "secret",
        "IDENTIFIER_KEY": KEY,
        "START_DATE": START.isoformat(),
    }
    with topology(folder, **filled_in) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SPAM_PIPELINE_HOME", str(folder / "observer"))
        running.start("code-server", *WORKERS)
        bucket = s3fs.S3FileSystem()
        for name in BUCKETS:
            bucket.makedirs(name)
        bucket.put(str(landed / "landing"), "landing/", recursive=True)
        running.say(f"landed {len(bucket.find('landing'))} files of {DAYS} days")
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


def test_two_workers_with_homes_of_their_own_make_what_one_process_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = tmp_path / "landed"
    simulate(landed, days=DAYS, plays_per_day=200, seed=11, start=START)
    with (
        the_topology(tmp_path, landed, monkeypatch) as story,
        closing_ledger(open_pipeline(landed)) as alone,
    ):
        converges_to_the_same_digests(story, alone)
        takes_in_what_lands_late_though_a_worker_is_killed(story, alone)


def converges_to_the_same_digests(story: Story, alone: Pipeline) -> None:
    expected = story.made_by(alone)
    story.running.wait(
        lambda: story.has_converged_to(expected), f"the topology published the same {len(expected)} digests"
    )
    tries, recipes = story.tries(), story.recipes()
    story.running.say(f"{tries.total()} attempts, {len(recipes)} recipes")
    assert tries == Counter(recipes), "no two processes computed the same"


def takes_in_what_lands_late_though_a_worker_is_killed(story: Story, alone: Pipeline) -> None:
    land_play(alone.settings.home, LAST_DAY, "late", FIRST_DAY)
    late = f"plays/{LAST_DAY}/23/late.jsonl"
    s3fs.S3FileSystem().put(str(alone.settings.landing / late), f"landing/landing/{late}")
    story.running.say(f"landed {late}, with a play of {FIRST_DAY}")
    story.running.wait(lambda: bool(story.under_way()), "a worker computes what that touches")
    killed = story.kill_in_the_middle()
    expected = story.made_by(alone)
    story.running.wait(
        lambda: story.has_converged_to(expected), f"the topology published the same {len(expected)} digests"
    )
    tries, recipes = story.tries(), story.recipes()
    story.running.say(f"{tries.total()} attempts, {len(recipes)} recipes, {len(killed)} of them killed once")
    assert tries == Counter(recipes) + Counter(killed)
