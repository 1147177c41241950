"""What a tick costs while nothing happens: CPU time and memory of the look at a landing zone of many files, and of planning.

Run as `python -m spam_pipeline_tests.benchmarks.idle_look [FILES] [DAYS]`. The files are empty; what the ledger says of them, and a published
version of every partition, is filled in directly. What is timed is real, in a process of its own: its first look, ticks of the sensors
after that, and a look at everything, as `spam-pipeline converge` begins. Memory is the peak of that whole process.
"""

import gc
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from spam_pipeline.protocol.ledger.tables import connect, observations, writing
from spam_pipeline.protocol.operating import Engine
from spam_pipeline_tests.benchmarks.plan_years import FIRST_DAY, open_pipeline, publish_everything

REFERENCES = ("tracks", "rights", "agreements", "accounts", "revenue")
TICKS = 20


def paths(count: int, days: int) -> list[str]:
    """The paths of so many files of plays, spread over days and their hours, and of the reference files."""
    found = ["incidents.csv", *(f"reference/{name}.csv" for name in REFERENCES)]
    for number in range(count):
        day = FIRST_DAY + timedelta(days=number % days)
        found.append(f"plays/{day}/{number // days % 24:02}/{number:07}.jsonl")
    return found


def land(home: Path, count: int, days: int) -> None:
    """Land empty files."""
    there = set[str]()
    for path in paths(count, days):
        folder = f"{home}/landing/{path.rpartition('/')[0]}"
        if folder not in there:
            Path(folder).mkdir(parents=True, exist_ok=True)
            there.add(folder)
        Path(f"{home}/landing/{path}").open("x", encoding="utf-8").close()


def record(engine: Engine, ledger: str) -> None:
    """Record the files as observed, which digesting a million of them would take minutes for."""
    digest, at = hashlib.sha256().hexdigest(), 1_780_000_000_000_000
    rows = []
    for state in engine.landing.files():
        source, partition = engine.classify(state.path) or ("", "")
        place = {"source": source, "partition": partition, "path": state.path}
        rows.append({**place, "digest": digest, "size": state.size, "marker": state.marker, "observed_at": at})
    with writing(connect(ledger)) as connection:
        connection.execute(sa.insert(observations), sorted(rows, key=lambda row: str(row["path"])))


def cpu(what: Callable[[], Any], times: int = 1) -> float:
    """The CPU seconds that something takes, on average."""
    started = time.process_time()
    for _ in range(times):
        what()
    return (time.process_time() - started) / times


def peak() -> float:
    """The largest memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(home: Path) -> None:
    """Look, and say what that took."""
    started = peak()
    engine = open_pipeline(home).engine

    def tick() -> None:
        seen = engine.observe_recent()
        if seen:
            raise AssertionError(f"{len(seen)} files have changed, such as {seen[0]}")
        engine.planner.statuses()

    lines = [f"imported: {started:.0f} MB", f"first look of a process: {cpu(tick):.2f} CPU s, {peak():.0f} MB"]
    gc.collect()
    lines.append(f"tick after that: {cpu(tick, TICKS):.3f} CPU s, {peak():.0f} MB")
    lines.append(f"planning alone: {cpu(engine.planner.statuses, TICKS):.3f} CPU s")
    lines.append(f"look at everything: {cpu(engine.observe):.2f} CPU s, {peak():.0f} MB")
    sys.stdout.write("\n".join(lines) + "\n")


def main(files: int, days: int) -> None:
    """Fill a landing zone and a ledger, and look at them in another process."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        land(home, files, days)
        pipeline = open_pipeline(home)
        pipeline.engine.ledger.observations.shard("none")  # the tables are there
        record(pipeline.engine, pipeline.settings.ledger)
        months = sorted({(FIRST_DAY + timedelta(days=number)).isoformat()[:7] for number in range(days)})
        published = publish_everything(home, months)
        sys.stdout.write(f"{files:,} files of {days:,} days, {published:,} partitions published\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", __spec__.name, "report", str(home)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["report"]:
        report(Path(sys.argv[2]))
    else:
        main(*(int(value) for value in (sys.argv[1:] + ["50000", "1000"][len(sys.argv) - 1 :])))
