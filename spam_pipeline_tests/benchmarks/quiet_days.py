"""How often an audit raises an alarm on days on which nothing happens, by the number of plays a day.

    python -m spam_pipeline_tests.benchmarks.quiet_days [SEEDS] [SIZE]...

Simulates organic days with everyday hard negatives (an office, a shop, from the first day on), converges them through the real
pipeline, and counts the stage-days with a finding that warns or refuses among those judged against a history. Prints a line for
each size, and each alarm.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import Finding, Grain, Severity
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import Settings
from spam_pipeline.simulation import simulate

START = date(2026, 1, 1)
DAYS = 14
EVERYDAY = ("office_network", "shop_radio")
SIZES = (1_000, 10_000, 100_000)
LEAST_HISTORY = 4


class StageDay(NamedTuple):
    """A stage's partition of one day, and the findings about it that are alarms."""

    stage: str
    day: str
    alarms: tuple[Finding, ...]


def quiet_days(home: Path, plays_per_day: int, seed: int, days: int = DAYS) -> list[StageDay]:
    """Simulate quiet days below `home`, converge them, and return every stage-day that was judged against a history."""
    simulate(home, days=days, plays_per_day=plays_per_day, seed=seed, start=START, scenarios=EVERYDAY)
    pipeline = Pipeline(Settings(home=home, start_date=START, identifier_key="the key of quiet days"))
    pipeline.engine.observe()
    converge(pipeline.engine, _of_days(pipeline))
    found = list(_judged(pipeline))
    pipeline.engine.ledger.close()
    return found


def _judged(pipeline: Pipeline) -> Iterator[StageDay]:
    for name in _of_days(pipeline):
        by_day = {day: pipeline.versions(name, day) for day in sorted(pipeline.engine.planner.statuses([name])[name])}
        for day in sorted(by_day)[LEAST_HISTORY:]:
            findings = [finding for _, audit in by_day[day] for finding in audit.findings]
            yield StageDay(name, day, tuple(item for item in findings if item.severity is not Severity.NOTE))


def _of_days(pipeline: Pipeline) -> list[str]:
    """The stages with a partition for each day; what they rest on converges with them."""
    return [name for name, stage in pipeline.graph.stages.items() if stage.partitions.grain is Grain.DAY]


def main() -> None:
    """Print how many of how many stage-days raised an alarm, at each size."""
    seeds, *sizes = [int(argument) for argument in sys.argv[1:]] or [3]
    for size in sizes or SIZES:
        found: list[StageDay] = []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                found += quiet_days(Path(folder) / "home", size, 100 + seed)
        sys.stdout.write("\n".join(_report(size, found)) + "\n")


def _report(size: int, found: list[StageDay]) -> Iterator[str]:
    alarms = [item for item in found if item.alarms]
    yield f"{size:>9,} plays a day: {len(alarms)} of {len(found):,} stage-days raised an alarm ({len(alarms) / len(found):.2%})"
    for item in alarms:
        yield f"          {item.stage} {item.day}: {'; '.join(map(str, item.alarms))}"


if __name__ == "__main__":
    main()
