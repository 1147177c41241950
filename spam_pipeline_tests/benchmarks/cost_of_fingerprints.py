"""What fingerprints cost: per stage, the seconds of computing and writing its rows, of measuring and checking them, and the ratio.

Run as `python -m spam_pipeline_tests.benchmarks.cost_of_fingerprints [PLAYS_PER_DAY] [DAYS]`. The days are simulated and
converged. The ledger knows how long each version took, measuring and checking included; every version is then examined once more, in
the same process and with its files still in memory as they were when they had just been written, and that time is taken off.
"""

import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import Version
from spam_pipeline.protocol.execution.computation import Computation
from spam_pipeline.protocol.operating import Store, converge
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate

FIRST_DAY = date(2026, 1, 1)


@dataclass
class Cost:
    """What the versions of one stage took, in seconds, and how many rows they have."""

    rows: int = 0
    own: float = 0.0
    examining: float = 0.0

    def add(self, version: Version, examining: float) -> None:
        self.rows += version.rows
        self.own += version.seconds - examining
        self.examining += examining


def converged(home: Path, plays_per_day: int, days: int) -> Pipeline:
    simulate(home, days=days, plays_per_day=plays_per_day, seed=1, start=FIRST_DAY)
    pipeline = Pipeline(Settings(home=home, start_date=FIRST_DAY, identifier_key="the key of a benchmark"))
    pipeline.engine.observe()
    converge(pipeline.engine)
    return pipeline


def published(pipeline: Pipeline) -> Iterator[Version]:
    engine = pipeline.engine
    for stage, partition in dict.fromkeys((item.upstream, item.partition) for item in engine.reader.published()):
        yield engine.reader.version(stage, partition)


def costs(pipeline: Pipeline) -> dict[str, Cost]:
    """The costs of every stage, over all that is published of it."""
    settings, engine = pipeline.settings, pipeline.engine
    computation = Computation(
        graph=pipeline.graph,
        ledger=engine.ledger,
        reader=engine.reader,
        store=engine.stores[0],
        private_store=Store(settings.rejected, settings.cache / "rejected"),
        landing=pipeline.landing_zone,
    )
    found: dict[str, Cost] = defaultdict(Cost)
    for version in published(pipeline):
        stage = pipeline.graph.stages[version.stage]
        started = time.perf_counter()
        computation.examined(stage, version.parts, version.side_parts)
        found[version.stage].add(version, time.perf_counter() - started)
    return found


def line(name: str, cost: Cost) -> str:
    ratio = f"{cost.examining / cost.own:7.1%}"
    return f"{name:26}{cost.rows:>12,} rows{cost.own:9.2f} s{cost.examining:9.2f} s{ratio}"


def main(plays_per_day: int, days: int) -> None:
    """Simulate, converge, measure again, and say what that took."""
    with tempfile.TemporaryDirectory() as folder:
        found = costs(converged(Path(folder) / "home", plays_per_day, days))
    everything = Cost()
    for cost in found.values():
        everything.rows += cost.rows
        everything.own += cost.own
        everything.examining += cost.examining
    report = [
        f"{platform.machine()}, {os.cpu_count()} cores; {days} days of {plays_per_day:,} plays; own, examining, ratio",
        *(line(name, cost) for name, cost in found.items()),
        line("all", everything),
    ]
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]] + [500_000, 2][len(sys.argv) - 1 :]
    main(*numbers)
