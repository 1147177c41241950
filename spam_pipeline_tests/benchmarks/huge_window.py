"""What is summed of days with millions of plays, and what that costs: suspicions, usage and reports.

Run as `python -m spam_pipeline_tests.benchmarks.huge_window [PLAYS_PER_DAY] [DAYS] [FOLDER] [STAGE ...]`. Plays and facts are made up and written as the
pipeline would write them, into FOLDER if one is named, where another run finds them. Popularity and zeal have long tails, listeners have a
genre, and a farm of 200 devices plays forty tracks. Each line is a process of its own, with seconds, peak memory, and a digest of what it wrote,
to compare with that of other code. Groups and carried devices are those of all days, the rest is of the first one. `huge_day` measures what
goes through plays one by one.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.ingestion.contracts import Incidents
from spam_pipeline.protocol import column_types
from spam_pipeline.reporting.daily_plays import plays_by_country
from spam_pipeline.reporting.incident_listeners import plays_by_hour_and_listener
from spam_pipeline.reporting.incident_plays import plays_by_incident
from spam_pipeline.reporting.spam_by_type import spam_by_country_and_type
from spam_pipeline.reporting.spam_probability import plays_by_country_and_spam_probability
from spam_pipeline.reporting.top_countries import ranked_countries
from spam_pipeline.reporting.track_play_counts import plays_by_track
from spam_pipeline.royalties.usage import usage_of
from spam_pipeline.trust_and_safety.contracts import ACCOUNT, TRACK, EntityFacts
from spam_pipeline.trust_and_safety.suspicions.carried import carried_of
from spam_pipeline.trust_and_safety.suspicions.listening import listening_of_day
from spam_pipeline.trust_and_safety.suspicions.slices import suspicious_groups
from spam_pipeline_tests.benchmarks.divide_a_month import in_a_new_process, long_tail, written

FIRST_DAY = date(2026, 1, 1)
GENRES = 50
FARM_DEVICES, FARM_TRACKS, PLAYS_OF_FARM_DEVICE = 200, 40, 15
PLAYS_OF_FILE = 2_000_000
DEVICES_A_PLAY, TRACKS_A_PLAY = 0.1, 0.025
_SPREAD = np.uint64(0x9E3779B97F4A7C15)

Integers = npt.NDArray[np.int64]


class Platform(NamedTuple):
    """Its listeners' zeal and its tracks' popularity, as cumulative sums."""

    zeal: npt.NDArray[np.float64]
    popularity: npt.NDArray[np.float64]

    @classmethod
    def of(cls, plays_per_day: int) -> "Platform":
        """The platform with so many plays a day."""
        rng = np.random.default_rng(1)
        zeal = np.cumsum(rng.lognormal(0, 1.1, max(int(plays_per_day * DEVICES_A_PLAY), 20)))
        tracks_of_genre = max(int(plays_per_day * TRACKS_A_PLAY) // GENRES, 20)
        return cls(zeal, long_tail(rng, tracks_of_genre, 0.8))


def keys(numbers: Integers) -> pl.Series:
    """Keys as keyed hashes would be: spread over 64 bits."""
    return pl.Series((numbers.astype(np.uint64) + np.uint64(1)) * _SPREAD)


def pairs_of_day(platform: Platform, number: int, plays: int) -> tuple[Integers, Integers]:
    """The device and the track of each play of a day; the farm's come last."""
    rng = np.random.default_rng(100 + number)
    device = np.searchsorted(platform.zeal, rng.random(plays) * platform.zeal[-1])
    genre = np.where(rng.random(plays) < 0.7, device % GENRES, rng.integers(0, GENRES, plays))
    track = np.searchsorted(platform.popularity, rng.random(plays) * platform.popularity[-1]) * GENRES + genre
    farmed = FARM_DEVICES * PLAYS_OF_FARM_DEVICE
    farm = len(platform.zeal) + rng.integers(0, FARM_DEVICES, farmed)
    paid = len(platform.popularity) * GENRES + rng.integers(0, FARM_TRACKS, farmed)
    return np.concatenate([device, farm]), np.concatenate([track, paid])


def land_day(folder: Path, platform: Platform, number: int, plays: int) -> None:
    """Write the plays of a day, its facts and its listening."""
    device, track = pairs_of_day(platform, number, plays)
    rng = np.random.default_rng(200 + number)
    for start in range(0, len(device), PLAYS_OF_FILE):
        chosen = slice(start, start + PLAYS_OF_FILE)
        of_file = plays_of(device[chosen], track[chosen], FIRST_DAY + timedelta(days=number), rng)
        written(of_file.lazy().sort("occurred_at"), folder / f"plays-{number:02}-{start:09}.parquet")
    written(facts_of(device, track).lazy(), folder / f"facts-{number:02}.parquet")
    written(listening_of_day(*read_day(folder, number)), folder / f"listening-{number:02}.parquet")


def read_day(folder: Path, number: int) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The plays and the facts of a day."""
    return pl.scan_parquet(folder / f"plays-{number:02}-*.parquet"), pl.scan_parquet(
        folder / f"facts-{number:02}.parquet"
    )


def plays_of(device: Integers, track: Integers, day: date, rng: np.random.Generator) -> pl.DataFrame:
    """Plays of devices and tracks: a tenth is logged out, two devices share an account and six an address."""
    count, midnight = len(device), datetime.combine(day, datetime.min.time(), UTC)
    user = keys(device // 2 + 10**9).zip_with(pl.Series(device % 10 > 0), pl.Series([None], dtype=pl.UInt64))
    since_midnight = pl.Series(rng.integers(0, 86_400_000, count)).cast(pl.Duration("ms"))
    return pl.DataFrame(
        {
            "user_key": user,
            "device_key": keys(device),
            "ip_key": keys(device // 6 + 2 * 10**9),
            "track_key": keys(track + 3 * 10**9),
            "track_id": "track-" + pl.Series(track).cast(pl.String).str.zfill(12),
            "country": pl.Series(["SE", "DE", "US", "GB", "BR", None]).gather(device % 6),
            "occurred_at": pl.Series([midnight], dtype=pl.Datetime("ms", "UTC")) + since_midnight,
            "ms_played": rng.integers(20_000, 240_000, count),
            "client": pl.Series(["web", "ios", "android", "embed"]).gather(device % 4),
            "source": pl.Series(["search", "playlist", "feed", "radio"]).gather(rng.integers(0, 4, count)),
        }
    )


def facts_of(device: Integers, track: Integers) -> pl.DataFrame:
    """What is known of the accounts and tracks of a day."""
    accounts, tracks = np.unique(device // 2), np.unique(track)
    known = {
        "entity_kind": [ACCOUNT] * len(accounts),
        "entity_key": keys(accounts + 10**9),
        "since": pl.Series(accounts * 37 % 2_000).cast(pl.Int32).cast(pl.Date) + timedelta(days=18_000),
        "country": pl.Series(["SE", "DE", "US", "GB", "BR"]).gather(accounts % 5),
        "tier": pl.Series(["free", "premium"]).gather(accounts % 2),
    }
    catalogue = {
        "entity_kind": [TRACK] * len(tracks),
        "entity_key": keys(tracks + 3 * 10**9),
        "artist_key": keys(tracks // 5 + 4 * 10**9),
        "duration_ms": tracks * 7_919 % 200_000 + 60_000,
    }
    columns = pl.Schema(column_types(EntityFacts))
    frames = [pl.DataFrame(known), pl.DataFrame(catalogue)]
    return pl.concat([pl.DataFrame(schema=columns), *frames], how="diagonal_relaxed").cast(columns).select(*columns)


def incidents(platform: Platform) -> pl.LazyFrame:
    """Ten declared devices of the farm."""
    declared = keys(np.arange(10) + len(platform.zeal))
    columns = pl.Schema(column_types(Incidents))
    named = pl.DataFrame(
        {
            "incident_id": "i1",
            "attack_type": "device_farm",
            "entity_type": "device",
            "status": "confirmed",
            "entity_key": declared,
        }
    )
    return pl.concat([pl.DataFrame(schema=columns), named], how="diagonal_relaxed").lazy()


def classified(plays: pl.LazyFrame) -> pl.LazyFrame:
    """Verdicts on plays: 6 % spam, of which a third is declared, and some withheld or unknown."""
    chance = pl.col("track_key") ^ pl.col("device_key") ^ pl.col("occurred_at").cast(pl.Int64).cast(pl.UInt64) * _SPREAD
    percent = chance // (2**64 // 100)
    is_declared = percent < 2
    return plays.with_columns(
        pl.when(percent < 6).then(pl.lit("spam")).otherwise(pl.lit("legitimate")).alias("class"),
        arrival_hour=pl.col("occurred_at").dt.truncate("1h"),
        spam_probability=(pl.when(percent < 6).then(0.9).otherwise(percent / 400)).cast(pl.Float32),
        incident_id=pl.when(is_declared).then(pl.format("incident-{}", pl.col("track_key") % 50)),
        incident_status=pl.when(is_declared).then(pl.lit("suspected")),
        attack_type=pl.when(percent < 6).then(pl.lit("low_and_slow")),
    )


def accounts_of(facts: pl.LazyFrame) -> pl.LazyFrame:
    """The accounts of the day's facts, as royalties read them."""
    return facts.filter(pl.col("entity_kind") == ACCOUNT).select("country", "tier", user_key="entity_key")


def stages(folder: Path, plays_per_day: int) -> dict[str, Callable[[], pl.LazyFrame]]:
    """What is measured, by name."""
    plays, facts = read_day(folder, 0)
    window, verdicts = pl.scan_parquet(folder / "listening-*.parquet"), classified(plays)
    return {
        "listening": lambda: listening_of_day(plays, facts),
        "suspicious_groups": lambda: suspicious_groups(window),
        "carried_devices": lambda: carried_of(window, incidents(Platform.of(plays_per_day))),
        "royalty_usage": lambda: usage_of(verdicts, accounts_of(facts)),
        "daily_plays": lambda: plays_by_country(verdicts),
        "top_countries": lambda: ranked_countries(verdicts),
        "plays_by_spam_probability": lambda: plays_by_country_and_spam_probability(verdicts),
        "spam_by_type": lambda: spam_by_country_and_type(verdicts),
        "track_play_counts": lambda: plays_by_track(verdicts),
        "incident_plays": lambda: plays_by_incident(verdicts),
        "incident_listeners": lambda: plays_by_hour_and_listener(verdicts),
    }


def made(name: str, folder: Path, plays_per_day: int) -> pl.DataFrame:
    """Write a stage's result as the pipeline would; its rows, and its bytes as a number."""
    path = folder / f"{name}.parquet"
    written(stages(folder, plays_per_day)[name](), path)
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    return pl.DataFrame({"found": [f"{rows:,} rows, {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"]})


def main(plays_per_day: int, days: int, folder: Path, chosen: Sequence[str] = ()) -> None:
    """Make the window unless it is there, measure what it costs, and say what was found."""
    if not (folder / f"listening-{days - 1:02}.parquet").exists():
        platform = Platform.of(plays_per_day)
        for number in range(days):
            in_a_new_process(partial(_landed, folder, platform, number, plays_per_day))
    rows = pl.scan_parquet(folder / "listening-*.parquet").select(pl.len()).collect().item()
    sys.stdout.write(f"{days} days of {plays_per_day:,} plays: {rows:,} rows of devices, tracks and days\n")
    for name in chosen or stages(folder, plays_per_day):
        taken = in_a_new_process(partial(made, name, folder, plays_per_day))
        sys.stdout.write(f"{name}: {taken}; {taken.result}\n")
        sys.stdout.flush()


def _landed(folder: Path, platform: Platform, number: int, plays: int) -> pl.DataFrame:
    land_day(folder, platform, number, plays)
    return pl.DataFrame({"landed": [plays]})


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:3]]
    plays_per_day, days = [*numbers, *[1_000_000, 1][len(numbers) :]]
    with tempfile.TemporaryDirectory() as scratch:
        named = [Path(argument) for argument in sys.argv[3:4]] or [Path(scratch)]
        main(plays_per_day, days, named[0], sys.argv[4:])
