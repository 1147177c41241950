"""What the past costs a delivery of the warehouse, and what reading one day of the past costs a reader, by the length of history.

Run as `python -m spam_pipeline_tests.benchmarks.warehouse_history [DAYS ...]`. Every day 17 stages publish a file, and every partition was
published twice. The files are made up and tiny, and those of one stage are links to one another, so what is measured is their number.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import polars as pl

from spam_pipeline.reporting.stage_views import CONNECTION, store_history

STAGES = 17
FIRST = datetime(2016, 1, 1, tzinfo=UTC)


def history_of(folder: Path, days: int) -> pl.DataFrame:
    rows = []
    for stage in range(STAGES):
        store = folder / "reporting" / f"stage_{stage}"
        store.mkdir(parents=True)
        pl.DataFrame({"number": [stage]}).write_parquet(store / "made_up.parquet")
        for day in range(days):
            published = [FIRST + timedelta(days=day), FIRST + timedelta(days=day + 2), None]
            for time_, (since, until) in enumerate(pairwise(published)):
                digest = f"{stage:02}{day:010}{time_}{'':0>51}"
                place = store / f"{FIRST + timedelta(days=day):%Y-%m-%d}" / f"{digest}.parquet"
                place.parent.mkdir(exist_ok=True)
                place.hardlink_to(store / "made_up.parquet")
                partition = place.parent.name
                file = str(place.relative_to(folder))
                rows.append(
                    ("reporting", f"stage_{stage}", partition, "all", file, 1, digest, str(place), since, until)
                )
    columns = ("context", "stage", "partition", "part", "file", "rows", "content", "location")
    times = dict.fromkeys(("published_at", "superseded_at"), pl.Datetime("us", "UTC"))
    return pl.DataFrame(rows, schema={**dict.fromkeys(columns, pl.String), "rows": pl.Int64, **times}, orient="row")


def main(all_days: list[int]) -> None:
    """Print a line for each number of days."""
    for days in all_days:
        with tempfile.TemporaryDirectory() as folder:
            history, file = history_of(Path(folder), days), Path(folder) / "warehouse.duckdb"
            started = time.perf_counter()
            with duckdb.connect(file, config=CONNECTION) as database:
                store_history(database, history)
                database.execute("CHECKPOINT")
            stored = time.perf_counter() - started
            started = time.perf_counter()
            with duckdb.connect(file, read_only=True, config=CONNECTION) as database:
                opened = time.perf_counter() - started
                day = f"{FIRST + timedelta(days=days // 2):%Y-%m-%d}"
                found = database.execute("SELECT count(*) FROM reporting.stage_0_as_of(?)", [day]).fetchone()
            asked = time.perf_counter() - started - opened
            sys.stdout.write(
                f"{days} days, {history.height:,} files: stored in {stored:.2f} s, {file.stat().st_size / 1e6:.2f} MB; opened in "
                f"{opened:.3f} s; a stage as of {day}, {found}: {asked:.3f} s\n"
            )


if __name__ == "__main__":
    main([int(days) for days in sys.argv[1:]] or [10, 100, 1000])
