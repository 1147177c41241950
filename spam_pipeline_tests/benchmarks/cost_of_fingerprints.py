"""What fingerprints cost: per stage, the seconds of computing, writing and auditing its rows, of measuring them, and the ratio.

Run as `python -m spam_pipeline_tests.benchmarks.cost_of_fingerprints [PLAYS_PER_DAY] [DAYS]`. The days are simulated and
converged. The ledger knows how long each version took, measuring included; every version is then measured once more, in the same
process and with its files still in memory as they were when they had just been written, and that time is taken off; what its
contract's columns, keys and rules take, which it would without a fingerprint too, is added.
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
from spam_pipeline.protocol.operating import PRODUCTION, Store, converge
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate

FIRST_DAY = date(2026, 1, 1)


@dataclass
class Cost:
    """What the versions of one stage took, in seconds, and how many rows they have."""

    rows: int = 0
    own: float = 0.0
    measuring: float = 0.0

    def add(self, version: Version, measuring: float, auditing: float) -> None:
        self.rows += version.rows
        self.own += version.seconds - measuring + auditing
        self.measuring += measuring


def converged(home: Path, plays_per_day: int, days: int) -> Pipeline:
    simulate(home, days=days, plays_per_day=plays_per_day, seed=1, start=FIRST_DAY)
    pipeline = Pipeline(Settings(home=home, start_date=FIRST_DAY, identifier_key="the key of a benchmark"))
    pipeline.engine.observe()
    converge(pipeline.engine)
    return pipeline


def published(pipeline: Pipeline) -> Iterator[Version]:
    engine = pipeline.engine
    for stage, by_partition in engine.ledger.published(PRODUCTION, list(pipeline.graph.stages)).items():
        for partition in by_partition:
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
        times = [time.perf_counter()]
        computation.fingerprint(stage, version.parts, version.side_parts)
        times.append(time.perf_counter())
        computation.findings(stage, version)
        times.append(time.perf_counter())
        found[version.stage].add(version, times[1] - times[0], times[2] - times[1])
    return found


def line(name: str, cost: Cost) -> str:
    ratio = f"{cost.measuring / cost.own:7.1%}"
    return f"{name:20}{cost.rows:>12,} rows{cost.own:9.2f} s{cost.measuring:9.2f} s{ratio}"


def main(plays_per_day: int, days: int) -> None:
    """Simulate, converge, measure again, and say what that took."""
    with tempfile.TemporaryDirectory() as folder:
        found = costs(converged(Path(folder) / "home", plays_per_day, days))
    everything = Cost()
    for cost in found.values():
        everything.rows += cost.rows
        everything.own += cost.own
        everything.measuring += cost.measuring
    report = [
        f"{platform.machine()}, {os.cpu_count()} cores; {days} days of {plays_per_day:,} plays; own, measuring, ratio",
        *(line(name, cost) for name, cost in found.items()),
        line("all", everything),
    ]
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]] + [500_000, 2][len(sys.argv) - 1 :]
    main(*numbers)
