"""What the inputs of a stage that reads all of history cost a ledger, which gets a version of it every day.

Run as `python -m spam_pipeline_tests.benchmarks.ledger_growth [DAYS ...]`. Every day 17 stages get a version, and so does one that reads
all of them, as the warehouse does. The baseline is a row for each input of each version, as ledgers had until layout 3: 49 bytes, as
measured there.
"""

import sqlite3
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from spam_pipeline.protocol.ledger.layouts import open_database
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.tables import writing
from spam_pipeline.protocol.ledger.versions import add_version, inputs_of
from spam_pipeline_tests.protocol.made_up_records import a_version

STAGES = 17
BYTES_OF_A_ROW = 49


def grow(place: Path, days: int) -> tuple[int, float, float]:
    """Fill a ledger; return the inputs of the last version, and the seconds that adding and reading it took."""
    engine = open_database(f"sqlite:///{place}")
    read: list[list[InputRef]] = [[] for _ in range(STAGES)]
    for day in range(days):
        with writing(engine) as connection:
            for stage, items in enumerate(read):
                name = f"{stage} {day:06}"
                made = add_version(connection, replace(a_version(name, name), stage=f"stage {stage}"))
                items.append(InputRef("catalogue", f"stage {stage}", name, "all", "c1", made))
            everything = tuple(item for items in read for item in items)
            started = time.perf_counter()
            last = add_version(connection, a_version(f"warehouse {day}", "all", inputs=everything))
            added = time.perf_counter() - started
    started = time.perf_counter()
    with engine.connect() as connection:
        found = len(inputs_of(connection, [last])[last])
    engine.dispose()
    return found, added, time.perf_counter() - started


def bytes_of_shared_values(place: Path) -> int:
    connection = sqlite3.connect(place)
    (size,) = connection.execute("select sum(pgsize) from dbstat where name = 'shared_values'").fetchone()
    connection.close()
    return int(size)


def main(all_days: list[int]) -> None:
    """Print a line for each number of days."""
    for days in all_days:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "ledger.db"
            inputs, added, read = grow(place, days)
            rows = STAGES * days * (days + 1) // 2
            sys.stdout.write(
                f"{days} days: inputs in {bytes_of_shared_values(place) / 1e6:.2f} MB, as rows {rows:,} in "
                f"{rows * BYTES_OF_A_ROW / 1e6:.2f} MB; the last version read {inputs:,}: added in {added:.3f} s, read in {read:.3f} s\n"
            )


if __name__ == "__main__":
    main([int(days) for days in sys.argv[1:]] or [10, 100, 1000])
