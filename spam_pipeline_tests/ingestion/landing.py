"""Landed files for tests, and what is received from them."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from upath import UPath

from spam_pipeline.ingestion.received_plays import FILES, REJECTED, REJECTED_BYTES, received_batches
from spam_pipeline.protocol import LandedFile
from spam_pipeline.protocol.operating import LandingZone

KEY = "a key that only tests use"
START = date(2026, 1, 1)
HOUR = "plays/2026-01-05/13/"

EVENT: Mapping[str, Any] = {
    "schema_version": 1,
    "event_id": "event-1",
    "occurred_at": "2026-01-05T12:30:00.250Z",
    "track_id": "track-1",
    "user_id": "user-1",
    "device_id": "device-1",
    "ip": "192.0.2.44",
    "country": "DE",
    "user_agent": "Player/1.0",
    "client": "web",
    "source": "search",
    "ms_played": 31000,
}


def landed(root: Path | UPath, path: str, content: bytes) -> LandedFile:
    """Put `content` at `path` below `root`, as observed."""
    location = root / path
    location.parent.mkdir(parents=True, exist_ok=True)
    location.write_bytes(content)
    return observed(LandingZone(str(root)), path)


def observed(zone: LandingZone, path: str) -> LandedFile:
    """The file at `path`, as observed."""
    state = zone.state(path)
    assert state is not None
    return LandedFile("landed_plays", "2026-01-05", path, zone.digest(path), state.size, zone)


def received(file: LandedFile) -> dict[str, pl.DataFrame]:
    """All batches of a file, joined by part, without the account of the file."""
    parts = with_account(file)
    del parts[FILES]
    return parts


def with_account(file: LandedFile) -> dict[str, pl.DataFrame]:
    """All batches of a file, joined by part."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for part, frame in received_batches(file, KEY, START):
        parts.setdefault(part, []).append(frame)
    return {part: pl.concat(frames) for part, frames in parts.items()}


def plays_of(parts: Mapping[str, pl.DataFrame]) -> list[pl.DataFrame]:
    """The frames of the event days."""
    return [frame for part, frame in parts.items() if part not in (REJECTED, REJECTED_BYTES)]
