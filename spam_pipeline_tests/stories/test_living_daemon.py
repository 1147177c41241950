"""The real thing: `dagster dev` over a copy of the package, and nobody who presses a button.

Files land, code is edited and reloaded, a stage is broken and repaired, a worker is killed. The test waits for what the ledger
and the instance say then. It starts no run itself.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.orchestration.automation import CONVERGENCE
from spam_pipeline.orchestration.metadata import CONTRACT_CHECK
from spam_pipeline.orchestration.staleness_check import CONVERGED_CHECK
from spam_pipeline.protocol import Version
from spam_pipeline.protocol.operating import PRODUCTION, Publication, State, converge
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.orchestration.toy_location import last_check
from spam_pipeline_tests.stories.conftest import KEY, START, land_play, open_pipeline
from spam_pipeline_tests.stories.topology import pause_after

ROOT = Path(__file__).parents[2]
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
LATE = DAYS[0]
PATIENCE_SECONDS = 180
RELOAD = """mutation { reloadRepositoryLocation(repositoryLocationName: "spam_pipeline") {
  __typename ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } } } }"""


@dataclass(frozen=True)
class Told:
    """What the instance says of the last materialization of a partition."""

    content: str
    why: str
    action: str


NOBODY_ISSUED_OR_ERASED = {"issued_statements", "issued_payments", "issued_basis", "erased_records"}


@dataclass
class Daemon:
    """`dagster dev` over `project`, a copy of the package, and what can be seen of it from outside."""

    project: Path
    home: Path
    instance: dg.DagsterInstance
    pipeline: Pipeline
    process: "subprocess.Popen[bytes]"
    url: str
    marks: list[int] = field(default_factory=lambda: [0])

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Return as soon as something is the case. Fails when it is not for too long."""
        started = looked = time.monotonic()
        while not until():
            assert self.process.poll() is None, "dagster dev has ended"
            assert time.monotonic() - started < PATIENCE_SECONDS, f"waited in vain: {what}"
            pause_after(time.monotonic() - looked)
            looked = time.monotonic()
        say(f"{time.monotonic() - started:.1f} s until {what}")

    def wait_until_fresh(self, but: Collection[str] = ()) -> None:
        """Wait for every stage to be fresh by the code of this process, which is that of the copy before it was edited."""
        self.wait(lambda: self._unsettled() <= set(but), f"all stages but {but} are fresh")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a piece of the copy's code, and reload it as a person does by pressing the button."""
        replace_in(self.project / "spam_pipeline" / file, old, new)
        body = json.dumps({"query": RELOAD}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - our own server
            reloaded = json.load(answer)["data"]["reloadRepositoryLocation"]
        assert reloaded["locationOrLoadError"]["__typename"] == "RepositoryLocation", reloaded

    def mark(self) -> None:
        """Remember how far the ledger is now."""
        known = self.pipeline.engine.ledger.publications_after(0, PRODUCTION)
        self.marks.append(known[-1][0].id)

    def published(self) -> list[tuple[Publication, Version]]:
        """What was published since the last mark."""
        after = self.pipeline.engine.ledger.publications_after(self.marks[-1], PRODUCTION)
        return [(publication, found[0]) for publication, found in after if found]

    def partitions(self, stage: str) -> set[str]:
        """The partitions of a stage that were published since the last mark."""
        return {publication.partition for publication, _ in self.published() if publication.stage == stage}

    def versions(self) -> int:
        """How many versions there are of everything."""
        stages = self.pipeline.engine.planner.statuses()
        return sum(len(self.pipeline.versions(name, key)) for name, by_key in stages.items() for key in by_key)

    def told(self, stage: str, partition: str | None) -> Told | None:
        """What the instance was told last of a partition."""
        partitions = None if partition is None else [partition]
        asked = dg.AssetRecordsFilter(dg.AssetKey(stage), asset_partitions=partitions)
        records = self.instance.fetch_materializations(asked, 1).records
        if not records or not records[0].asset_materialization:
            return None
        event = records[0].asset_materialization
        said = {name: str(event.metadata[name].value) for name in ("content", "why", "action")}
        return Told(**said)

    def is_told_of_all(self) -> bool:
        """Whether the instance shows the version that is published, for every partition of every stage."""
        published = self.pipeline.engine.ledger.published(PRODUCTION, list(self.pipeline.graph.stages))
        return all(
            (told := self.told(stage, None if key == "all" else key)) is not None and told.content == version.content
            for stage, by_key in published.items()
            for key, version in by_key.items()
        )

    def failed(self, stage: str) -> set[str]:
        """The partitions that the instance shows as failed."""
        grid = dg.DailyPartitionsDefinition(start_date=START.isoformat(), end_offset=1)
        statuses = self.instance.get_status_by_partition(dg.AssetKey(stage), list(DAYS), grid) or {}
        return {key for key, status in statuses.items() if status is not None and status.value == "FAILED"}

    def last_observed(self, source: str, partition: str) -> str | None:
        """The file that was observed last of a source's partition, as the instance shows it."""
        asked = dg.AssetRecordsFilter(dg.AssetKey(source), asset_partitions=[partition])
        records = self.instance.fetch_observations(asked, 1).records
        event = records[0].asset_observation if records else None
        return str(event.metadata["last"].value) if event else None

    def converging_run(self) -> dg.DagsterRun | None:
        """The convergence that is under way."""
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return next((run for run in runs if dg.AssetKey(CONVERGENCE) in (run.asset_selection or ())), None)

    def worker(self, run: dg.DagsterRun) -> int:
        """The process of a run."""
        told = " ".join(entry.user_message for entry in self.instance.all_logs(run.run_id))
        found = re.search(r"Executing steps in process \(pid: (\d+)\)", told)
        assert found, told
        return int(found[1])

    def _unsettled(self) -> set[str]:
        statuses = self.pipeline.engine.planner.statuses()
        states = {name: {status.state for status in by_key.values()} for name, by_key in statuses.items()}
        return {
            name
            for name, seen in states.items()
            if seen != ({State.FRESH} if name not in NOBODY_ISSUED_OR_ERASED else set())
        }


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def say(what: str) -> None:
    """Leave something for whoever looks at a failed test."""
    print(what)  # noqa: T201 - pytest shows it only then


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A home of three days, ingested by another process, and the daemon that was started over it."""
    home, project, dagster_home = tmp_path / "home", tmp_path / "project", tmp_path / "dagster"
    simulate(home, days=len(DAYS), plays_per_day=300, seed=11, start=START)
    pipeline = open_pipeline(home)
    pipeline.engine.observe()
    converge(pipeline.engine, ["plays"])
    shutil.copytree(ROOT / "spam_pipeline", project / "spam_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "workspace.yaml", project)
    replace_in(project / "spam_pipeline/orchestration/sensors.py", "_SECONDS = 10\n", "_SECONDS = 1\n")
    dagster_home.mkdir()
    (dagster_home / "dagster.yaml").write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    log = tmp_path / "dagster-dev.log"
    with (
        started(project, home, dagster_home, log) as (process, url),
        dg.DagsterInstance.from_config(str(dagster_home)) as instance,
    ):
        yield Daemon(project, home, instance, pipeline, process, url)


@contextmanager
def started(
    project: Path, home: Path, dagster_home: Path, log: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """`dagster dev` in a process group of its own, which ends with the block, and its GraphQL address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPAM_PIPELINE_")} | {
        "SPAM_PIPELINE_HOME": str(home),
        "SPAM_PIPELINE_IDENTIFIER_KEY": KEY,
        "SPAM_PIPELINE_START_DATE": START.isoformat(),
        "DAGSTER_HOME": str(dagster_home),
        "PYTHONPATH": str(project),
    }
    command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=project, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process, f"http://127.0.0.1:{port}/graphql"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        say(log.read_text(encoding="utf-8", errors="replace")[-20_000:])


def plays_in_the_report(daemon: Daemon) -> int:
    return int(daemon.pipeline.read("daily_plays", LATE).select(pl.col("plays").sum()).collect().item())


def test_nobody_has_to_do_anything(daemon: Daemon) -> None:
    converges_by_itself(daemon)
    takes_in_what_lands_late(daemon)
    republishes_what_an_edited_definition_touches(daemon)
    computes_nothing_when_the_edit_is_taken_back(daemon)
    shows_a_broken_stage_and_goes_on_with_the_others(daemon)
    survives_a_killed_worker_and_goes_on_once_the_stage_is_repaired(daemon)


def converges_by_itself(daemon: Daemon) -> None:
    ingested = {stage for (stage, _) in {(item.stage, item.partition) for item, _ in daemon.published()}}
    assert "classified_plays" not in ingested
    daemon.wait_until_fresh()
    daemon.wait(daemon.is_told_of_all, "the instance shows everything, with what another process had published")
    told = daemon.told("plays", LATE)
    assert told is not None
    assert (told.action, told.why) == ("computed", "missing")


def takes_in_what_lands_late(daemon: Daemon) -> None:
    before = plays_in_the_report(daemon)
    daemon.mark()
    land_play(daemon.home, DAYS[-1], "late", LATE)
    daemon.wait(lambda: "all" in daemon.partitions("warehouse"), "the warehouse is delivered again")
    daemon.wait(daemon.is_told_of_all, "the instance shows what the late file led to")
    landed = f"plays/{DAYS[-1]}/23/late.jsonl"
    daemon.wait(lambda: daemon.last_observed("landed_plays", DAYS[-1]) == landed, "the instance shows that it landed")
    assert plays_in_the_report(daemon) == before + 1
    assert (daemon.partitions("plays"), daemon.partitions("received_plays")) == ({LATE}, {DAYS[-1]})
    told = daemon.told("daily_plays", LATE)
    assert told is not None
    assert (told.action, told.why) == ("computed", f"data: classified_plays {LATE}")


def republishes_what_an_edited_definition_touches(daemon: Daemon) -> None:
    daemon.mark()
    daemon.edit("trust_and_safety/contracts.py", "REPORTING_TOLERANCE = 0.8\n", "REPORTING_TOLERANCE = 0.95\n")
    daemon.wait(lambda: "all" in daemon.partitions("warehouse"), "the warehouse is delivered again")
    causes = {item.partition: item.trigger.cause for item, _ in daemon.published() if item.stage == "classified_plays"}
    assert causes == dict.fromkeys(DAYS, "code: spam_pipeline.trust_and_safety.contracts.REPORTING_TOLERANCE")
    assert not {"plays", "play_signals", "royalty_usage"} & {item.stage for item, _ in daemon.published()}
    daemon.wait(daemon.is_told_of_all, "the instance shows what the edit led to")
    assert {told.why for key in DAYS if (told := daemon.told("classified_plays", key))} == set(causes.values())


def computes_nothing_when_the_edit_is_taken_back(daemon: Daemon) -> None:
    before = daemon.versions()
    touched = {(item.stage, item.partition) for item, _ in daemon.published()}
    daemon.mark()
    daemon.edit("trust_and_safety/contracts.py", "REPORTING_TOLERANCE = 0.95\n", "REPORTING_TOLERANCE = 0.8\n")
    daemon.wait_until_fresh()
    daemon.wait(daemon.is_told_of_all, "the instance shows the versions of before")
    assert {(item.stage, item.partition): item.trigger.action for item, _ in daemon.published()} == dict.fromkeys(
        touched, "reused"
    )
    assert daemon.versions() == before
    assert {told.action for key in DAYS if (told := daemon.told("classified_plays", key))} == {"reused"}


WHOLE_STAGE = "    return plays_by_track(classified_plays)\n"
BROKEN = '    raise ValueError("broken on purpose")\n'
HANGING = "    import threading\n    threading.Event().wait()\n"


def shows_a_broken_stage_and_goes_on_with_the_others(daemon: Daemon) -> None:
    before = plays_in_the_report(daemon)
    land_play(daemon.home, DAYS[-1], "while-broken", LATE)
    daemon.edit("reporting/assets.py", WHOLE_STAGE, BROKEN)
    daemon.wait(lambda: daemon.failed("track_play_counts") == set(DAYS), "the partitions are shown as failed")
    daemon.wait_until_fresh(but={"track_play_counts", "widget_counts", "warehouse"})
    assert plays_in_the_report(daemon) == before + 1
    audit, converged = (
        last_check(daemon.instance, "track_play_counts", name) for name in (CONTRACT_CHECK, CONVERGED_CHECK)
    )
    assert audit is not None
    assert "ValueError: broken on purpose" in str(audit.description)
    assert converged is not None
    assert not converged.passed


def survives_a_killed_worker_and_goes_on_once_the_stage_is_repaired(daemon: Daemon) -> None:
    daemon.edit("reporting/assets.py", BROKEN, HANGING)
    daemon.wait(lambda: daemon.converging_run() is not None, "a convergence is under way")
    run = daemon.converging_run()
    assert run is not None
    daemon.wait(
        lambda: any("track_play_counts" in entry.user_message for entry in daemon.instance.all_logs(run.run_id)),
        "it has come to the stage that hangs",
    )
    os.kill(daemon.worker(run), signal.SIGKILL)
    daemon.edit("reporting/assets.py", HANGING, WHOLE_STAGE)
    daemon.wait_until_fresh()
    daemon.wait(daemon.is_told_of_all, "the instance shows the repaired stage and what rests on it")
    ended = daemon.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert LATE not in daemon.failed("track_play_counts")
