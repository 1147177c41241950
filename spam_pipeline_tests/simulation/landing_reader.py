"""Reads a landing zone as its documentation says, line by line and with protobuf's own runtime: slow, and nobody's code but ours."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import zstandard
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from spam_pipeline.simulation import Simulated

TEXTS = ("event_id", "track_id", "user_id", "device_id", "ip", "country", "user_agent", "client", "source")
REQUIRED = ("event_id", "occurred_at", "track_id", "device_id", "ms_played")
COUNTRIES = {"US", "GB", "DE", "FR", "BR", "IN", "JP", "MX", "ID", "SE", "PL", "NG", "CA", "AU", "ZA", "KW"}
FAR_FUTURE_MS = 4_000_000_000_000


@dataclass(frozen=True)
class Read:
    """Good events in the order of their files, each with its file's arrival hour; and how many lines were something else."""

    events: list[dict[str, Any]]
    broken: int
    blank: int
    files: list[Path]


@dataclass(frozen=True)
class Week:
    """A simulated week: what was written, what was read back, and the truth."""

    home: Path
    simulated: Simulated
    read: Read
    events: pl.DataFrame
    truth: pl.DataFrame


def read_landing(landing: Path) -> Read:
    files = sorted(path for path in (landing / "plays").rglob("*") if path.is_file())
    events: list[dict[str, Any]] = []
    broken = blank = 0
    for path in files:
        day, hour = path.parts[-3], path.parts[-2]
        arrival = datetime.fromisoformat(f"{day}T{hour}:00:00+00:00")
        for event in _events_of(path):
            blank += event == ""
            broken += event is None
            if isinstance(event, dict):
                events.append({**event, "arrival": arrival, "path": path})
    return Read(events, broken, blank, files)


def _events_of(path: Path) -> Iterator[dict[str, Any] | str | None]:
    content = _decompressed(path)
    if ".pb" in path.name:
        yield from _messages(content)
    else:
        assert content.endswith(b"\n")
        yield from map(event_of, content.split(b"\n")[:-1])


def _decompressed(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    return zstandard.ZstdDecompressor().decompress(content) if path.suffix == ".zst" else content


def event_of(line: bytes) -> dict[str, Any] | str | None:
    """The event, an empty text for a blank line, nothing for a broken one."""
    if not line.strip():
        return ""
    try:
        event = json.loads(line.decode())
    except ValueError:
        return None
    return _checked(event) if isinstance(event, dict) else None


def _checked(event: dict[str, Any]) -> dict[str, Any] | None:
    moment = _moment(event.get("occurred_at"))
    is_good = (
        all(event.get(field) is not None for field in REQUIRED)
        and moment is not None
        and event.get("schema_version", 1) == 1
        and event["event_id"]
        and len(event["event_id"]) <= 64
        and isinstance(event["track_id"], str)
        and isinstance(event["ms_played"], int)
        and event["ms_played"] >= 0
        and (event["country"] is None or event["country"] in COUNTRIES)
        and event["ip"] != "999.1.2.3"
    )
    return {**event, "occurred_at": moment} if is_good else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC) if value < FAR_FUTURE_MS else None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def message_type() -> Any:
    """The documented message, as protobuf's own runtime understands it."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="documented.proto", package="documented", syntax="proto3")
    message = file.message_type.add(name="PlayEvent")
    numbers = {
        **dict.fromkeys(TEXTS, field.TYPE_STRING),
        "schema_version": field.TYPE_INT32,
        "occurred_at_ms": field.TYPE_INT64,
        "ms_played": field.TYPE_INT64,
    }
    names = "schema_version event_id occurred_at_ms track_id user_id device_id ip country user_agent client source ms_played"
    for number, name in enumerate(names.split(), start=1):
        message.field.add(name=name, number=number, type=numbers[name], label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("documented.PlayEvent"))


def messages_of(content: bytes) -> list[Any]:
    kind, position, found = message_type(), 0, []
    while position < len(content):
        size, position = _length_at(content, position)
        found.append(kind.FromString(content[position : position + size]))
        position += size
    return found


def _length_at(content: bytes, position: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        group = content[position]
        size |= (group & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if group < 0x80:
            return size, position


def _messages(content: bytes) -> Iterator[dict[str, Any] | None]:
    for message in messages_of(content):
        texts = {name: getattr(message, name) or None for name in TEXTS}
        occurred_at = datetime.fromtimestamp(message.occurred_at_ms / 1000, UTC)
        yield {**texts, "occurred_at": occurred_at, "ms_played": message.ms_played}
