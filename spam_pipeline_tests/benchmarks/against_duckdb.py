"""What a convergence costs beside bare DuckDB: seconds, CPU and memory of each stage and of all, in one run on one machine.

    python -m spam_pipeline_tests.benchmarks.against_duckdb [PLAYS_PER_DAY] [DAYS]

Simulates days with every format, compression and kind of bad line. Then, each in a process of its own: DuckDB reads the JSON files, of which
ten in eleven are, leaves bad lines out, keeps one record of each event and writes typed Parquet by day; the pipeline converges from nothing, as it does by
default; and once more stage by stage, to tell them apart. Ratios are to DuckDB, which checks no values, hides no identifiers, keeps no rejected
record and says nothing about spam: it is the price of reading and writing the same bytes. Needs Linux, which tells a process its peak of memory.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import PRODUCTION, converge
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate

START = date(2026, 1, 1)
DEFAULTS = (1_500_000, 2)

DUCKDB, EVERYTHING = "bare DuckDB", "all, as by default"
INGESTION = ("received_plays", "plays")

_TEXTS = (
    *("event_id", "track_id", "user_id", "device_id", "ip", "country", "user_agent", "client", "source"),
    "occurred_at",  # text with an offset, or milliseconds
)
_NUMBERS = ("schema_version", "ms_played")

_INGESTION = """
    copy (
        with received as (
            select * replace (
                coalesce(
                    make_timestamp(try_cast(occurred_at as bigint) * 1000),
                    try_cast(occurred_at as timestamptz) at time zone 'UTC'
                ) as occurred_at
            )
            from read_json({files}, format = 'newline_delimited', ignore_errors = true, columns = {columns})
            where event_id is not null
        )
        select *, occurred_at::date as day from received
        where occurred_at is not null
        qualify row_number() over (partition by event_id) = 1
    ) to '{target}' (format parquet, compression zstd, partition_by (day))
"""


class Taken(NamedTuple):
    """What something took: seconds by the clock, seconds of CPU, the peak of its memory in MB, and the rows that came of it."""

    what: str
    seconds: float
    cpu: float
    megabytes: int
    rows: int


def measured(what: str, act: Callable[[], int]) -> Taken:
    """Do something that returns a number of rows."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    started, before = time.perf_counter(), _cpu()
    rows = act()
    return Taken(what, time.perf_counter() - started, _cpu() - before, _peak_megabytes(), rows)


def _cpu() -> float:
    return sum(os.times()[:2])


def _peak_megabytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def ingest_with_duckdb(home: Path) -> int:
    """Read, deduplicate and write with nothing but DuckDB; return the number of plays."""
    columns = dict.fromkeys(_TEXTS, "varchar") | dict.fromkeys(_NUMBERS, "bigint")
    files = sorted(str(path) for path in (home / "landing" / "plays").rglob("*.jsonl*"))
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")  # standard output is for what was measured
        found = connection.execute(_INGESTION.format(files=files, columns=columns, target=home / "bare")).fetchone()
    return int(found[0]) if found else 0


def _pipeline(home: Path) -> Pipeline:
    pipeline = Pipeline(Settings(home=home, start_date=START, identifier_key="the key of a benchmark"))
    pipeline.engine.observe()
    return pipeline


def _converged(pipeline: Pipeline, *stages: str) -> int:
    """Converge, and return the rows of what was published."""
    done = converge(pipeline.engine, stages or None)
    assert done.converged, done.failed
    published = pipeline.engine.ledger.published(PRODUCTION, stages or list(pipeline.graph.stages))
    return sum(part.rows for versions in published.values() for version in versions.values() for part in version.parts)


def by_stage(home: Path) -> Iterator[Taken]:
    """Converge stage by stage."""
    pipeline = _pipeline(home)
    for name in pipeline.graph.stages:
        yield measured(name, partial(_converged, pipeline, name))


KINDS: Mapping[str, Callable[[Path], Iterator[Taken]]] = {
    "duckdb": lambda home: iter([measured(DUCKDB, lambda: ingest_with_duckdb(home))]),
    "stages": by_stage,
    "everything": lambda home: iter([measured(EVERYTHING, lambda: _converged(_pipeline(home)))]),
}


def table(found: list[Taken]) -> str:
    """All that was measured, with its ratios to DuckDB's, as a table in Markdown."""
    base, ingestion = found[0], [item for item in found if item.what in INGESTION]
    together = Taken(
        " + ".join(INGESTION),
        sum(item.seconds for item in ingestion),
        sum(item.cpu for item in ingestion),
        max(item.megabytes for item in ingestion),
        ingestion[-1].rows,
    )
    lines = [
        "| | rows | seconds | CPU s | peak MB | seconds / DuckDB's | CPU / DuckDB's |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {item.what} | {item.rows:,} | {item.seconds:.1f} | {item.cpu:.1f} | {item.megabytes:,} | {item.seconds / base.seconds:.2f} | "
        f"{item.cpu / base.cpu:.2f} |"
        for item in [*found, together]
    ]
    return "\n".join(lines)


def compare(simulated: Path, folder: Path) -> list[Taken]:
    """Measure everything on copies of a simulated home, each in a new process."""
    found: list[Taken] = []
    for kind in KINDS:
        home = folder / kind
        shutil.copytree(simulated, home)
        command = [sys.executable, "-m", __spec__.name, kind, str(home)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout
        found += [Taken(**json.loads(line)) for line in output.splitlines()]
        shutil.rmtree(home)
    return found


def main(arguments: list[str]) -> None:
    """Run it, or one part of it for the process that asked."""
    if arguments and arguments[0] in KINDS:
        for taken in KINDS[arguments[0]](Path(arguments[1])):
            sys.stdout.write(json.dumps(taken._asdict()) + "\n")
        return
    given: Any = [int(argument) for argument in arguments]
    plays_per_day, days = (*given, *DEFAULTS[len(given) :])
    with tempfile.TemporaryDirectory() as folder:
        simulated = Path(folder) / "simulated"
        done = simulate(simulated, start=START, days=days, plays_per_day=plays_per_day)
        records = done.plays + done.duplicates + done.broken_lines
        where = f"{platform.machine()}, {os.cpu_count()} cores; {days} days, {records:,} records in {done.files} files"
        sys.stdout.write(f"{where}\n\n{table(compare(simulated, Path(folder)))}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
