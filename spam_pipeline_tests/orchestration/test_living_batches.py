"""The real thing: a daemon, its queue and its launcher, and a worker that is killed in the middle of its batch."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg

from spam_pipeline.orchestration.automation import CONVERGENCE, convergence_tags
from spam_pipeline.orchestration.batch_job import BATCH_JOB
from spam_pipeline.orchestration.batch_runs import BATCH_TAG
from spam_pipeline.orchestration.instance import open_instance
from spam_pipeline.protocol.operating import PRODUCTION, converge
from spam_pipeline_tests.orchestration.toy_location import told
from spam_pipeline_tests.protocol.deadly_stages import deadly_engine
from spam_pipeline_tests.protocol.toy_pipeline import land

ROOT = Path(__file__).parents[2]
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
PATIENCE_SECONDS = 240


@contextmanager
def daemon(home: Path, dagster_home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The daemon of a code location, which ends with the block."""
    variables = {"DEADLY_HOME": str(home), "DAGSTER_HOME": str(dagster_home), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "dagster._daemon",
        "run",
        "-m",
        "spam_pipeline_tests.orchestration.deadly_location",
    ]
    with (dagster_home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def attempts(home: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        query = "select partition, count(*) from attempts where stage = 'deadly_copy' group by partition order by 1"
        return ledger.execute(query).fetchall()


def test_a_killed_worker_of_a_real_launcher_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for day in DAYS:
        land(home, day, "a", f"{day} 1", f"{day} 2")
    engine = deadly_engine(home)
    engine.observe()
    converge(engine, ["numbers"])
    dagster_home = tmp_path / "dagster"
    with open_instance(dagster_home) as instance, daemon(home, dagster_home) as process:
        started = time.monotonic()
        while not (
            ended := instance.get_runs(
                dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], tags=convergence_tags(engine))
            )
        ):
            assert process.poll() is None
            assert time.monotonic() - started < PATIENCE_SECONDS, (dagster_home / "daemon.log").read_text()
            time.sleep(0.3)
        batches = instance.get_runs(dg.RunsFilter(job_name=BATCH_JOB))
        shown = {day: [item["run"] for item in told(instance, "deadly_copy", day)] for day in DAYS}
    (convergence,) = ended
    assert convergence.asset_selection == frozenset({dg.AssetKey(CONVERGENCE)})
    assert {run.tags[BATCH_TAG] for run in batches} == {convergence.run_id}
    assert sorted(run.status.value for run in batches) == ["FAILURE", "SUCCESS"]
    assert attempts(home) == [(DAYS[0], 1), (DAYS[1], 1), (DAYS[2], 2)], "only what was killed was tried again"
    assert set(engine.ledger.published(PRODUCTION, ["deadly_copy"])["deadly_copy"]) == set(DAYS)
    assert shown == {day: [convergence.run_id] for day in DAYS}, "the coordinator reports everything, once"
