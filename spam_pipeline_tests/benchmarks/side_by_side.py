"""How much sooner a convergence ends when partitions run side by side, in threads or in processes, and what that costs in CPU and memory.

    python -m spam_pipeline_tests.benchmarks.side_by_side [DAYS] [PLAYS A DAY] [PAIRS] [EXECUTOR]...

Simulates days once, then converges a copy of them from nothing with each executor in turn, in a process of its own, and as many times as there are
pairs. Prints a line for each run: seconds by the clock, CPU of the coordinator and of its workers, the largest process, and the digest
of everything published, which has to be the same. On a machine that does other things, compare neighbouring lines.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import digest
from spam_pipeline.protocol.operating import PRODUCTION, converge
from spam_pipeline.settings import ExecutorChoice, Settings
from spam_pipeline.simulation import simulate

START = date(2026, 1, 1)
DEFAULTS = (10, 20_000, 3)
EXECUTORS = ("in_process:1", "in_process", "processes:2")


def converge_once(home: Path, executor: str) -> dict[str, float | str]:
    """Converge a home from nothing, and return what that took."""
    kind, _, number = executor.partition(":")
    choice = ExecutorChoice(kind, int(number) if number else None)
    pipeline = Pipeline(Settings(home=home, start_date=START, identifier_key="the key of processes", executor=choice))
    pipeline.engine.observe()
    before = _cpu(resource.RUSAGE_SELF)
    started = time.perf_counter()
    with pipeline.executor() as workers:
        done = converge(pipeline.engine, executor=workers)
    seconds = time.perf_counter() - started
    published = pipeline.engine.ledger.published(PRODUCTION, list(pipeline.graph.stages))
    found = [(stage, key, item.content) for stage, by_key in published.items() for key, item in sorted(by_key.items())]
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "executor": executor,
        "seconds": round(seconds, 1),
        "coordinator's CPU": round(_cpu(resource.RUSAGE_SELF) - before, 1),
        "workers' CPU": round(_cpu(resource.RUSAGE_CHILDREN), 1),
        "MB": largest // 1024,
        "computed": done.computed,
        "digest": digest(found)[:12],
    }


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run it."""
    if len(sys.argv) > 2 and sys.argv[1] == "once":
        print(json.dumps(converge_once(Path(sys.argv[2]), sys.argv[3])))  # noqa: T201 - for the process that asked
        return
    given = [int(value) for value in sys.argv[1:4]]
    days, plays, pairs = (*given, *DEFAULTS[len(given) :])
    with tempfile.TemporaryDirectory() as folder:
        simulated = Path(folder) / "simulated"
        simulate(simulated, days=days, plays_per_day=plays, seed=3, start=START)
        for _ in range(pairs):
            for executor in sys.argv[4:] or EXECUTORS:
                home = Path(folder) / "home"
                shutil.copytree(simulated, home)
                command = [sys.executable, "-m", __spec__.name, "once", str(home), executor]
                subprocess.run(command, check=True, env=os.environ)
                shutil.rmtree(home)


if __name__ == "__main__":
    main()
