"""People of a simulated home who do on a day what no scenario has them do, as plays that can land."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from spam_pipeline.simulation.listening import played_naturally
from spam_pipeline.simulation.randomness import generator
from spam_pipeline_tests.stories.conftest import a_play

Play = dict[str, object]


def at_work(home: Path, day: str, people: int, plays: int, **said: object) -> Iterator[Play]:
    """Each of so many people plays so many tracks between nine and five, and listens as people do."""
    rng = generator(1, f"people of {day}")
    users, tracks = _bystanders(home, people), _tracks_without_attack(home)
    morning = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=9)
    chosen = tracks[rng.integers(0, tracks.height, people * plays)]
    heard = played_naturally(rng, chosen["duration_ms"].to_numpy())
    after = rng.integers(0, 8 * 3_600_000, people * plays)
    for number, user in enumerate(np.repeat(users.to_numpy(), plays).tolist()):
        moment = morning + timedelta(milliseconds=int(after[number]))
        own = {
            "event_id": f"at work on {day} {number}",
            "occurred_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "track_id": chosen["track_id"][number],
            "user_id": user,
            "device_id": f"device at work of {user}",
            "ms_played": int(heard[number]),
        }
        yield a_play(day, **{**own, **said})


def _bystanders(home: Path, count: int) -> pl.Series:
    accounts = pl.read_csv(home / "landing/reference/accounts.csv")
    acting = pl.read_parquet(home / "truth.parquet")["user_id"].drop_nulls().unique()
    return accounts.filter(~pl.col("user_id").is_in(acting.implode()))["user_id"].head(count)


def _tracks_without_attack(home: Path) -> pl.DataFrame:
    attacked = pl.read_parquet(home / "truth.parquet").filter("is_spam")["track_id"].unique()
    tracks = pl.read_csv(home / "landing/reference/tracks.csv")
    known = pl.col("duration_ms").is_not_null() & ~pl.col("track_id").is_in(attacked.implode())
    return tracks.filter(known).select("track_id", "duration_ms")
