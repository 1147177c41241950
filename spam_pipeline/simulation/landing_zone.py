"""Writing the landing zone: play files by arrival day and hour, and reference tables, each file atomically.

Lines are made in `encoding`, arrival times in `deliveries`.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import zstandard

from spam_pipeline.simulation.encoding import BREAKAGES, blank_lines, broken_lines, json_lines, length_delimited
from spam_pipeline.simulation.geography import DAY_MS, HOUR_MS
from spam_pipeline.simulation.randomness import generator

_LINES_PER_FILE: Final = 25_000
_BROKEN_SHARE: Final = 0.0005
_BLANK_SHARE: Final = 0.0001
_FORMATS: Final = (
    "jsonl.gz",
    "jsonl.zst",
    "jsonl.gz",
    "jsonl",
    "jsonl.zst",
    "jsonl.gz",
    "pb.zst",
    "jsonl.zst",
    "jsonl.gz",
    "jsonl",
    "jsonl.zst",
)
"""Taken in turn. Eleven formats and three dialects have no common divisor, so every pair occurs."""


@dataclass(frozen=True)
class Landed:
    """Totals of what was written: files, and lines (or messages) that are not plays."""

    files: int
    broken_lines: int
    blank_lines: int

    def __add__(self, other: "Landed") -> "Landed":
        return Landed(
            self.files + other.files, self.broken_lines + other.broken_lines, self.blank_lines + other.blank_lines
        )


def require_empty(landing: Path) -> None:
    """Raise `FileExistsError` if something has landed already."""
    if landing.exists() and any(landing.iterdir()):
        raise FileExistsError(
            f"{landing} is not empty: expected a home without a landing zone, so that nothing that landed is changed. "
            "Choose another home, or move the landing zone away."
        )


def land(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def land_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table to `path` as CSV, atomically."""
    land(path, table.write_csv().encode())


def land_day(landing: Path, arrived: pl.DataFrame, day_ms: int, seed: int) -> Landed:
    """Write everything that arrived on one day, hour by hour, in order of arrival."""
    hours = arrived.select((pl.col("arrival_ms") - day_ms) // HOUR_MS).to_series()
    landed = Landed(0, 0, 0)
    for hour in range(DAY_MS // HOUR_MS):
        plays = arrived.filter(hours == hour).sort("arrival_ms", "event_id", maintain_order=True)
        folder = landing / "plays" / _day_name(day_ms) / f"{hour:02}"
        for number, begin in enumerate(range(0, plays.height, _LINES_PER_FILE)):
            part = plays[begin : begin + _LINES_PER_FILE]
            turn = day_ms // HOUR_MS + hour + 5 * number
            rng = generator(seed, "landing", day_ms // HOUR_MS + hour, number)
            landed += _land_file(folder, part, turn, number, rng)
    return landed


def _day_name(day_ms: int) -> str:
    return str(np.datetime64(day_ms, "ms").astype("datetime64[D]"))


def _land_file(folder: Path, plays: pl.DataFrame, turn: int, number: int, rng: np.random.Generator) -> Landed:
    form = _FORMATS[turn % len(_FORMATS)]
    path = folder / f"collector-{turn % 7}-{number:03}.{form}"
    if form.startswith("pb"):
        land(path, _compressed(length_delimited(plays), form))
        return Landed(1, 0, 0)
    broken = np.sort(rng.integers(0, plays.height, rng.binomial(plays.height, _BROKEN_SHARE)))
    blank = np.sort(rng.integers(0, plays.height, rng.binomial(plays.height, _BLANK_SHARE)))
    manners = rng.integers(0, BREAKAGES, len(broken))
    inserted = sorted([*broken_lines(plays, broken, manners), *blank_lines(rng, blank)])
    land(path, _compressed(json_lines(plays, turn, inserted), form))
    return Landed(1, len(broken), len(blank))


def _compressed(content: bytes, form: str) -> bytes:
    if form.endswith(".gz"):
        return gzip.compress(content, compresslevel=1, mtime=0)
    if form.endswith(".zst"):
        return zstandard.ZstdCompressor(level=3).compress(content)
    return content
