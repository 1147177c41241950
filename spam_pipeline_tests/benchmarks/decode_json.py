"""How fast landed JSON becomes plays, against Polars' own reader on the same file without its bad lines, and against protobuf.

Run as `python -m spam_pipeline_tests.benchmarks.decode_json [MEGABYTES]`; the input is made in a temporary folder. The figure
covers everything `received_batches` does (cutting, decoding, rules, pseudonyms, handing over frames) and no writing. Lines and
messages per second are those of CPU time, of cutting and decoding the same events alone.
"""

import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from spam_pipeline.ingestion.blocks import blocks_of_lines, blocks_of_messages
from spam_pipeline.ingestion.compression import Piece
from spam_pipeline.ingestion.decode_json import decode_lines
from spam_pipeline.ingestion.decode_protobuf import decode_messages, play_event
from spam_pipeline.ingestion.received_plays import REJECTED, received_batches
from spam_pipeline.ingestion.records import Decoded
from spam_pipeline.protocol import LandedFile
from spam_pipeline.protocol.operating import LandingZone
from spam_pipeline_tests.ingestion.landing import observed

PATH = "plays/2026-01-05/13/benchmark.jsonl"
BAD_SHARE = 0.001
PIECE = 128 * 1024
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


def per_second(
    cut: Callable[[Iterator[Piece]], Iterator[Any]], decode: Callable[[Any], Decoded], content: bytes
) -> float:
    """The best rate of three runs at which content that is at hand is cut and decoded, in records per second of CPU time."""
    rates = []
    for _ in range(3):
        started = time.process_time()
        pieces = (Piece(content[at : at + PIECE], PIECE) for at in range(0, len(content), PIECE))
        records = sum(decode(block).records.height for block in cut(pieces))
        rates.append(records / (time.process_time() - started))
    return max(rates)


def framed(line: bytes) -> bytes:
    """The event of a line as a message behind its length, which takes two bytes here."""
    event = json.loads(line)
    moment = event.pop("occurred_at")
    moment = int(datetime.fromisoformat(moment).timestamp() * 1000) if isinstance(moment, str) else moment
    present = {name: value for name, value in event.items() if value is not None}
    message = play_event()(occurred_at_ms=moment, **present).SerializeToString()
    return bytes([len(message) % 128 | 128, len(message) // 128]) + message


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
        lines = clean.read_bytes()
        messages = b"".join(map(framed, lines.splitlines()))
        by_line = per_second(blocks_of_lines, decode_lines, lines)
        by_message = per_second(blocks_of_messages, decode_messages, messages)
        report = (
            f"machine                  {platform.machine()}, {os.cpu_count()} cores, polars {pl.__version__}",
            f"received_batches         {received:.0f} MB/s, {rejected_rows(file)} records rejected",
            f"scan_ndjson, clean file  {plain:.0f} MB/s",
            f"ratio                    {received / plain:.2f}",
            f"lines, messages          {by_line / 1e6:.2f}, {by_message / 1e6:.2f} million/s, ratio {by_message / by_line:.1f}",
        )
        sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
