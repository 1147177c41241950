"""Listening for these tests: rows that name only what matters, a small platform of organic devices, and a farm on it.

The same arguments give the same rows. Nothing here claims to be realistic beyond what the tests of this folder need.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.suspicions_contract import Listening

FIRST_DAY = date(2026, 1, 1)
DAYS = 14

DEVICES, GENRES = 300, 6
TRACKS_OF_GENRE = 100
"""Organic devices have the keys from 0 on; each hears mostly one genre of a hundred tracks, two tracks to an uploader."""

HITS = tuple(genre * TRACKS_OF_GENRE for genre in range(GENRES))
"""The most heard track of each genre."""

FARM = tuple(range(9_000, 9_012))
"""The devices of the farm."""

PAID = tuple(range(5_000, 5_009))
"""The tracks that the farm is paid for: three of each of three uploaders."""

HIJACKED = tuple(range(0, DEVICES, 8))

SPREAD = pl.lit(0x9E3779B97F4A7C15, pl.UInt64)
"""Keys times this are spread over 64 bits, as hashes are."""

Row = dict[str, Any]


def day(number: int) -> date:
    """The day `number`, counted from 0."""
    return FIRST_DAY + timedelta(days=number)


def listening_of(rows: Iterable[Row]) -> pl.LazyFrame:
    """Listening from rows that name only what matters, in canonical order; a device is its own user and address."""
    return pl.LazyFrame([_filled(row) for row in rows], schema=pl.Schema(column_types(Listening))).sort(
        "day", "device_key", "track_key"
    )


def heard(device: int, track: int, plays: int = 1, **others: Any) -> Row:
    """One row: a device heard a track so many times."""
    return {"device_key": device, "track_key": track, "plays": plays, **others}


def _filled(row: Row) -> Row:
    device, track = row.get("device_key", 1), row.get("track_key", 1)
    usual = {
        "device_key": device,
        "track_key": track,
        "track_id": f"t{track}",
        "uploader_key": None,
        "user_key": device,
        "ip_key": device,
        "account_since": date(2020, 1, 1) + timedelta(days=device * 37 % 2_000),
        "country": "SE",
        "tier": "free",
        "setting": "web search",
        "hour": 12,
        "day": FIRST_DAY,
        "plays": 1,
        "cut_off": 0,
    }
    return usual | row


def organic(devices: int = DEVICES, days: int = DAYS) -> list[Row]:
    """A platform: unequal listeners, and tracks with a long tail of popularity within each genre."""
    rng = np.random.default_rng(1)
    popularity = 1 / np.arange(1, TRACKS_OF_GENRE + 1)
    zeal = np.minimum(rng.pareto(1.5, devices) + 1, 8)
    counted: dict[tuple[int, int, int], int] = {}
    for device in range(devices):
        plays = rng.poisson(5 * zeal[device] * days / 7)
        position = rng.choice(TRACKS_OF_GENRE, plays, p=popularity / popularity.sum())
        genre = np.where(rng.random(plays) < 0.7, device % GENRES, rng.integers(0, GENRES, plays))
        track = genre * TRACKS_OF_GENRE + position
        for pair in zip(rng.integers(0, days, plays).tolist(), track.tolist(), strict=True):
            counted[pair[0], device, pair[1]] = counted.get((pair[0], device, pair[1]), 0) + 1
    return [
        _as_people(heard(device, track, plays, uploader_key=100_000 + track // 2, day=day(number)), rng)
        for (number, device, track), plays in counted.items()
    ]


def farm(days: int = DAYS, plays_a_day: int = 12, camouflage: int = 6) -> list[Row]:
    """The farm: every device hears the paid tracks evenly, and as camouflage the hits of every genre, on each of the last days."""
    rng = np.random.default_rng(2)
    rows: dict[tuple[int, int, int], int] = {}
    for number in range(DAYS - days, DAYS):
        for device in FARM:
            chosen = [*rng.choice(PAID, plays_a_day).tolist(), *rng.choice(HITS, camouflage).tolist()]
            for track in chosen:
                rows[number, device, track] = rows.get((number, device, track), 0) + 1
    return [
        _as_people(heard(device, track, plays, uploader_key=uploader_of(track), day=day(number)), rng)
        for (number, device, track), plays in rows.items()
    ]


def hijacked() -> list[Row]:
    """One track on every eighth device of the platform, beside what its owner hears: one address, setting and hour, each play cut off."""
    automated = {"ip_key": 1, "setting": "bot api", "hour": 3, "account_since": date(2025, 12, 20)}
    return [
        heard(device, PAID[0], plays, cut_off=plays, uploader_key=uploader_of(PAID[0]), day=day(number), **automated)
        for device in HIJACKED
        for number, plays in ((3, 1 + device % 5), (10, 1 + device % 7))
    ]


def uploader_of(track: int) -> int:
    """The uploader of a track of the farm or of the platform."""
    return 200_000 + (track - PAID[0]) // 3 if track in PAID else 100_000 + track // 2


def _as_people(row: Row, rng: np.random.Generator) -> Row:
    return row | {
        "setting": str(rng.choice(["web search", "ios playlist", "android feed"])),
        "hour": int(rng.integers(7, 23)),
        "tier": "premium" if row["device_key"] % 3 else "free",
        "country": ["SE", "DE", "US"][row["device_key"] % 3],
    }
