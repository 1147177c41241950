"""Whether a viral release is noted and an attack of the same height warned of, over seeds and sizes that no limit was chosen on.

Run as `python -m spam_pipeline_tests.benchmarks.release_or_attack [SIZE ...]`. Each row counts days on which one thing happens, at
5 % and at 10 % of the ordinary plays, by the worst severity that the rule for spikes finds, and how many days were judged as they
should be. The model lets everything through here, so that this rule sees each attack whole.
"""

import os
import platform as machine
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from spam_pipeline.trust_and_safety.spikes import spike_findings
from spam_pipeline.trust_and_safety.spikes.evidence import evidence_of_tracks
from spam_pipeline_tests.trust_and_safety.spikes.spike_days import (
    AT_ONE_TRACK,
    ODDITIES,
    RELEASE,
    TODAY,
    Platform,
    classified,
    fingerprint_of,
    history,
    judged_days,
    worst,
)

SEEDS_BY_SIZE = {1000: 40, 10_000: 20, 100_000: 6, 1_000_000: 1}
FIRST_SEED = 301
HEIGHTS = (0.05, 0.1)
QUIET_DAYS = {1000: 20, 10_000: 20, 100_000: 20, 1_000_000: 4}
VERDICTS = ("warn", "note", "nothing")
ACCEPTABLE = {
    "release": {"note"},
    "attack": {"warn"},
    "honest": {"note", "nothing"},
    "out of sight": {"nothing", "warn"},
}


class Case(NamedTuple):
    """One thing that happens on a day: how it should be judged, and on how many tracks (None: all that it has)."""

    kind: str
    scenario: str
    tracks: int | None = 1

    def __str__(self) -> str:
        return f"{self.scenario}{'' if self.tracks else ', all its tracks'}"


CASES = (
    Case("release", RELEASE),
    *(Case("attack", name) for name in AT_ONE_TRACK),
    *(Case("attack", name, None) for name in ("account_takeover", "device_farm", "embedded_autoplay")),
    *(Case("honest", name) for name in ODDITIES),
    *(Case("out of sight", name, None) for name in ("bot_farm", "low_and_slow")),
)


def judged(platform: Platform) -> Iterator[tuple[Case, str]]:
    """Each case on a platform, and the worst that is found."""
    organic = platform.organic(TODAY)
    past = history.__wrapped__(platform, 3 if platform.plays_per_day >= 1_000_000 else TODAY)
    for case in CASES:
        frame = classified([organic, platform.acted(case.scenario, TODAY, case.tracks)])
        yield case, worst(spike_findings(fingerprint_of(frame), past))


def rows_of(size: int) -> Iterator[str]:
    """The rows of the table for platforms of one size."""
    seeds = range(FIRST_SEED, FIRST_SEED + SEEDS_BY_SIZE[size])
    counts = {case: Counter[str]() for case in CASES}
    for platform in (Platform(seed, size, height) for seed in seeds for height in HEIGHTS):
        for case, verdict in judged(platform):
            counts[case][verdict] += 1
    for case, verdicts in counts.items():
        yield row(size, case.kind, str(case), verdicts)
    for name, present in (("ordinary days", ()), ("ordinary days with all oddities", ODDITIES)):
        found = [judged_days(Platform(seed, size, HEIGHTS[0]), QUIET_DAYS[size], present) for seed in seeds]
        yield row(size, "honest", name, Counter(worst(findings) for days in found for findings in days))


def row(size: int, kind: str, name: str, verdicts: Counter[str]) -> str:
    right = sum(verdicts[verdict] for verdict in ACCEPTABLE[kind]) / verdicts.total()
    return (
        f"{size:>9,}  {kind:<12}  {name:<32}" + "".join(f"{verdicts[each]:>9}" for each in VERDICTS) + f"{right:>9.1%}"
    )


def cost(size: int) -> str:
    """How long gathering the evidence of a day takes, against reading the same columns."""
    frame = classified([Platform(FIRST_SEED, size, HEIGHTS[0]).organic(TODAY)])
    started = time.perf_counter()
    frame.select(pl.all().null_count()).collect(engine="streaming")
    read = time.perf_counter()
    evidence_of_tracks(frame).collect()
    return f"evidence of {size:,} plays in memory: {time.perf_counter() - read:.2f} s; counting their nulls: {read - started:.2f} s"


def main(sizes: list[int]) -> None:
    """Print the table."""
    sys.stdout.write(f"{machine.machine()}, {os.cpu_count()} cores\n{cost(max(sizes))}\n\n")
    sys.stdout.write(
        f"{'plays':>9}  {'kind':<12}  {'a day of':<32}{''.join(f'{each:>9}' for each in VERDICTS)}    right\n"
    )
    for size in sizes:
        for line in rows_of(size):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SEEDS_BY_SIZE))
