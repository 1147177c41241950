"""How long verdicts on a day of millions of plays take, and how much memory, beside reading and writing the same plays.

    python -m spam_pipeline_tests.benchmarks.score_plays [PLAYS]

A simulated week is judged and its last day tiled to so many plays, every copy with listeners, devices, addresses, networks and tracks
of its own, so that there are as many entities as a platform of that size has. Each measurement runs in a process of its own and says
the most memory that it ever held.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from spam_pipeline.trust_and_safety.classification import Groups, classify
from spam_pipeline.trust_and_safety.contracts import TRACK
from spam_pipeline.trust_and_safety.model_file import read_model, write_model
from spam_pipeline_tests.simulated_weeks import observed, simulated

PLAYS, PLAYS_PER_DAY, SEED = 5_000_000, 50_000, 7_590
KEYS = ("user_key", "device_key", "ip_key", "network_key", "track_key", "user_agent_key")
PLAYS_FILE, SIGNALS_FILE, INCIDENTS_FILE, MODEL_FILE = "plays.parquet", "signals.parquet", "incidents.parquet", "model"
COLUMNS = (
    *("event_id", "occurred_at", "arrival_hour", "track_id", "client", "source", "country", "ms_played"),
    *KEYS,
)


def prepare(folder: Path, count: int) -> None:
    """Write the tiled plays and signals, the incidents and the model."""
    pipeline = simulated(folder / "home", SEED, days=7, plays_per_day=PLAYS_PER_DAY)
    week = observed(pipeline, "play_signals", "spam_model")
    day = max(week.plays)
    plays, signals = week.plays[day].select(COLUMNS).collect(), week.signals[day].collect()
    copies = -(-count // plays.height)
    tiled = pl.concat([_copy(plays, number, *KEYS) for number in range(copies)]).head(count)
    numbered = tiled.with_columns(event_id=pl.format("{}-{}", "event_id", pl.int_range(pl.len())))
    numbered.sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / PLAYS_FILE)
    of_entities = pl.concat([_copy(signals, number, "entity_key", "uploader_key") for number in range(copies)])
    of_entities.write_parquet(folder / SIGNALS_FILE)
    week.incidents.collect().write_parquet(folder / INCIDENTS_FILE)
    write_model(pipeline.read("spam_model"), folder / MODEL_FILE)


def _copy(frame: pl.DataFrame, number: int, *keys: str) -> pl.DataFrame:
    """The same with other keys, which are as evenly spread as before; the first copy is the original."""
    return frame.with_columns(pl.col(keys) ^ pl.lit(number * 0x9E37_79B9_7F4A_7C15 % 2**64, pl.UInt64))


def read_and_write(folder: Path) -> str:
    pl.scan_parquet(folder / PLAYS_FILE).sink_parquet(folder / "copy.parquet")
    return "reading and writing the plays"


def score(folder: Path) -> str:
    signals, incidents = (pl.scan_parquet(folder / name) for name in (SIGNALS_FILE, INCIDENTS_FILE))
    verdicts = classify(
        pl.scan_parquet(folder / PLAYS_FILE), signals, read_model(folder / MODEL_FILE), incidents, Groups()
    )
    verdicts.sink_parquet(folder / "verdicts.parquet")
    return "verdicts, written too"


MEASURED: dict[str, Callable[[Path], str]] = {"copy": read_and_write, "score": score}


def measure(what: str, folder: Path) -> None:
    """Do one of it in this process, and say what that took."""
    started = time.perf_counter()
    done = MEASURED[what](folder)
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{done:<32}{seconds:>8.1f} s{_most_memory_gib():>8.2f} GiB at most\n")


def _most_memory_gib() -> float:
    """The most memory that this process ever held; `getrusage` would count the process that started it too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024**2


def main(count: int) -> None:
    """Prepare, then measure in a fresh process each."""
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), count)
        rows = {kind: _rows_of_kind(Path(name), kind) for kind in ("actor", "device", TRACK)}
        entities = ", ".join(f"{number:,} {kind}s" for kind, number in rows.items())
        sys.stdout.write(f"{platform.machine()}, {os.cpu_count()} cores; {count:,} plays of {entities}\n")
        sys.stdout.flush()
        for what in MEASURED:
            subprocess.run([sys.executable, "-m", __spec__.name, what, name], check=True)


def _rows_of_kind(folder: Path, kind: str) -> int:
    of_kind = pl.scan_parquet(folder / SIGNALS_FILE).filter(pl.col("entity_kind") == kind)
    return int(of_kind.select(pl.len()).collect().item())


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else PLAYS)
