"""How long planning takes over a grid of many years: all stages of the pipeline, every partition published.

Run as `python -m spam_pipeline_tests.benchmarks.plan_years [YEARS]`. The ledger is filled directly, with made-up contents; what is
timed is the real `plan`: in a process that has read nothing yet, again, and after one late file. The baseline is reading the
same publications with the database's driver alone, in the same run.
"""

import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.definition.contract import columns_of
from spam_pipeline.protocol.ledger.column_contents import DIGEST_BYTES
from spam_pipeline.protocol.ledger.shared_values import digest_of_value, keep_values
from spam_pipeline.protocol.ledger.tables import (
    audits,
    connect,
    fingerprints,
    part_columns,
    parts,
    publications,
    versions,
    writing,
)
from spam_pipeline.protocol.operating import PRODUCTION, AnyStage, Engine, Observation, PartitionStatus, plan
from spam_pipeline.settings import Settings

FIRST_DAY = date(2016, 1, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BY_MONTH = {"tracks", "agreements", "accounts", "revenue"}
REPETITIONS = 5
NOTHING = digest_of_value({})
BASELINE = """
    select p.stage, p.partition, v.recipe, v.content, q.name, q.content, q.rows from publications p
    join versions v on v.id = p.version_id join parts q on q.version_id = v.id
"""


def open_pipeline(home: Path) -> Pipeline:
    return Pipeline(Settings(home=home, start_date=FIRST_DAY, identifier_key="the key of a benchmark"))


def land(engine: Engine, days: list[str], name: str) -> None:
    seen = [Observation("landed_plays", day, f"plays/{day}/{name}", f"{day:>064}", 1, name, NOW) for day in days]
    engine.ledger.observations.record(seen)


def rows_of(
    stage: AnyStage, status: PartitionStatus, version_id: int, months: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of one published version: `received_plays` has the arrival day and the day before as its parts."""
    names = [WHOLE]
    if stage.name in BY_MONTH:
        names = months
    elif stage.name == "received_plays":
        names = sorted({status.partition, str(date.fromisoformat(status.partition) - timedelta(days=1))})
    made = {
        "content": f"{version_id:064x}",
        "code_version": "made up",
        "configuration": NOTHING,
        "columns": NOTHING,
        "inputs": NOTHING,
        "schema_version": 1,
    }
    columns = list(columns_of(stage.contract))
    place = {"stage": stage.name, "partition": status.partition}
    counts = {"rows_read": 1, "seconds": 0.1, "computed_at": 0}
    return {
        "versions": [{"id": version_id, "recipe": status.recipe, "context": stage.context, **place, **made, **counts}],
        "parts": [
            {
                "version_id": version_id,
                "name": name,
                "is_side_part": False,
                "content": f"{version_id:064x}",
                "rows": 1,
                "files": [],
            }
            for name in names
        ],
        "part_columns": [
            {
                "version_id": version_id,
                "part": name,
                "names": digest_of_value(columns),
                "digests": version_id.to_bytes(DIGEST_BYTES, "big") * len(columns),
            }
            for name in names
            if columns
        ],
        "audits": [
            {
                "version_id": version_id,
                "verdict": "passed",
                "findings": [],
                "history": "",
                "is_provisional": False,
                "decision": 0,
                "audited_at": 0,
            }
        ],
        "fingerprints": [
            {
                "version_id": version_id,
                "contract": "made up",
                "numbers": {f"number_{at}": at / 7 for at in range(20)},
                "measures": {f"number_{at}": list(range(300)) for at in range(20)},
                "measured_at": 0,
            }
        ],
        "publications": [
            {"environment": PRODUCTION, **place, "version_id": version_id, "action": "", "cause": "", "published_at": 0}
        ],
    }


def publish_everything(home: Path, months: list[str]) -> int:
    """Publish every partition that is wanted, stage after stage; return how many that are."""
    engine = open_pipeline(home).engine
    database = connect(f"sqlite:///{home / 'ledger.db'}")
    tables = {table.name: table for table in (versions, parts, part_columns, fingerprints, audits, publications)}
    count = 0
    with writing(database) as connection:
        shared: list[Any] = [{}, *(list(columns_of(stage.contract)) for stage in engine.graph.stages.values())]
        keep_values(connection, {digest_of_value(value): value for value in shared})
    for stage in engine.graph.stages.values():
        with writing(database) as connection:
            for status in engine.planner.statuses([stage.name])[stage.name].values():
                count += 1
                rows = rows_of(stage, status, count, months)
                rows["audits"][0]["contract"] = engine.graph.contract_digests[stage.name]
                for name, some in rows.items():
                    if some:
                        connection.execute(sa.insert(tables[name]), some)
    database.dispose()
    return count


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = what()
    return time.perf_counter() - started, result


def best(what: Callable[[], Any]) -> float:
    return min(timed(what)[0] for _ in range(REPETITIONS))


def land_everything(engine: Engine, days: list[str]) -> None:
    references = ("tracks", "rights", "agreements", "accounts", "revenue", "incidents")
    files = [Observation(f"{name}_file", WHOLE, f"{name}.csv", f"{name:>064}", 1, "1", NOW) for name in references]
    engine.ledger.observations.record(files)
    for start in range(0, len(days), 10_000):
        land(engine, days[start : start + 10_000], "a.jsonl")


def main(years: int) -> None:
    """Fill a ledger, plan, and say how long that took."""
    days = [(FIRST_DAY + timedelta(days=number)).isoformat() for number in range(365 * years)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        land_everything(open_pipeline(home).engine, days)
        count = publish_everything(home, sorted({day[:7] for day in days}))
        connection = sqlite3.connect(home / "ledger.db")
        driver = best(lambda: connection.execute(BASELINE).fetchall())
        connection.close()
        opened = [open_pipeline(home).engine for _ in range(REPETITIONS)]
        for each in opened:
            each.ledger.observations.shard("none")  # connected, and nothing read
        cold = min(timed(partial(plan, each))[0] for each in opened)
        engine = opened[0]
        planned = len(plan(engine))
        idle = best(engine.planner.statuses)
        land(engine, [days[len(days) // 2]], "late.jsonl")
        late, statuses = timed(engine.planner.statuses)
        stale = [status for by_partition in statuses.values() for status in by_partition.values() if status.can_run]
    report = [
        f"{platform.machine()}, {os.cpu_count()} cores; {years} years, {count:,} partitions published",
        f"reading the same rows with the driver alone: {driver:.2f} s",
        f"plan in a new process: {cold:.2f} s, ratio {cold / driver:.1f}; {planned} to run (two deliveries)",
        f"nothing new: {idle * 1000:.1f} ms",
        f"one late file: {late:.2f} s; to run: {', '.join(f'{status.stage} {status.partition}' for status in stale)}",
    ]
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
