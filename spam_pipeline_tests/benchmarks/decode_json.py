"""How fast landed JSON becomes plays, against Polars' own reader on the same file without its bad lines.

Run as `python -m spam_pipeline_tests.benchmarks.decode_json [MEGABYTES]`; the input is made in a temporary folder. The figure
covers everything `received_batches` does (cutting, decoding, rules, pseudonyms, handing over frames) and no writing.
"""

import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import polars as pl

from spam_pipeline.ingestion.received_plays import REJECTED, received_batches
from spam_pipeline.protocol import LandedFile
from spam_pipeline.protocol.operating import LandingZone
from spam_pipeline_tests.ingestion.landing import observed

PATH = "plays/2026-01-05/13/benchmark.jsonl"
BAD_SHARE = 0.001
USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "SoundApp/8.1 (iPhone; iOS 17.2)",
)
SPOILERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda line: line[: len(line) // 2],
    lambda line: line.replace(b'"ms_played": ', b'"ms_played": "', 1),
    lambda line: line.replace(b'"event_id": "', b'"event_id": "\xff', 1),
    lambda line: line.replace(b'"track_id": "', b'"track_id": "\x00', 1),
    lambda line: line.replace(b'"country": ', b'"country": 1, "x": ', 1),
    lambda line: line.replace(b'"ip": "', b'"ip": "999.', 1),
    lambda line: line.replace(b'"client"', b'"x": NaN, "client"', 1),
    lambda line: b"[" * 2000 + line,
)


def clean_lines(megabytes: int, chance: random.Random) -> Iterator[bytes]:
    """Plausible events, one in five logged out, until there are `megabytes` of them."""
    written, number = 0, 0
    while written < megabytes * 1_000_000:
        moment = f"2026-01-05T12:{number % 60:02d}:{number % 59:02d}.{number % 1000:03d}Z"
        event = {
            "schema_version": 1,
            "event_id": f"{chance.getrandbits(128):032x}",
            "occurred_at": moment if number % 2 else 1767571200000 + number,
            "track_id": f"track-{number % 50_000}",
            "user_id": f"user-{number % 100_000}" if number % 5 else None,
            "device_id": f"{chance.getrandbits(64):016x}",
            "ip": f"10.{number % 256}.{number // 256 % 256}.{number % 251}",
            "country": ("DE", "US", "FR")[number % 3],
            "user_agent": USER_AGENTS[number % 2],
            "client": "web",
            "source": "search",
            "ms_played": number % 300_000,
        }
        line = json.dumps(event).encode() + b"\n"
        written += len(line)
        number += 1
        yield line


def seconds_of(work: Callable[[], object]) -> float:
    """The best of three runs."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def rejected_rows(file: LandedFile) -> int:
    """Read the file to its end and count what was rejected."""
    batches = received_batches(file, "benchmark", date(2026, 1, 1))
    return sum(frame.height for part, frame in batches if part == REJECTED)


def main(megabytes: int) -> None:
    """Make the two files, read each, and print the rates."""
    chance = random.Random(1)  # noqa: S311 - reproducible input, no secret
    with tempfile.TemporaryDirectory() as folder:
        clean, landed = Path(folder) / "clean.jsonl", Path(folder) / PATH
        landed.parent.mkdir(parents=True)
        with clean.open("wb") as clean_file, landed.open("wb") as landed_file:
            for line in clean_lines(megabytes, chance):
                clean_file.write(line)
                is_bad = chance.random() < BAD_SHARE
                landed_file.write(chance.choice(SPOILERS)(line).rstrip(b"\n") + b"\n" if is_bad else line)
        file = observed(LandingZone(folder), PATH)
        received = file.size / seconds_of(lambda: rejected_rows(file)) / 1e6
        plain = clean.stat().st_size / seconds_of(lambda: pl.scan_ndjson(clean).collect()) / 1e6
        report = (
            f"machine                  {platform.machine()}, {os.cpu_count()} cores, polars {pl.__version__}",
            f"received_batches         {received:.0f} MB/s, {rejected_rows(file)} records rejected",
            f"scan_ndjson, clean file  {plain:.0f} MB/s",
            f"ratio                    {received / plain:.2f}",
        )
        sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
