"""Plays as bytes: JSON lines in the dialects of several collectors, length-delimited protobuf, and broken lines.

It follows the documented format of the landing zone and does not use ingestion's code, so that ingestion is tested against
the documentation and not against itself. Field numbers of the message: `_TEXT_FIELDS` and the comments beside the numbers.
"""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.geography import HOUR_MS
from spam_pipeline.simulation.randomness import Indices, chance

_TEXT_FIELDS: Final = {
    "event_id": 2,
    "track_id": 4,
    "user_id": 5,
    "device_id": 6,
    "ip": 7,
    "country": 8,
    "user_agent": 9,
    "client": 10,
    "source": 11,
}
_VARINT, _LENGTH_DELIMITED = 0, 2
_SCHEMA_VERSION_1: Final = bytes([1 << 3 | _VARINT, 1])
_OCCURRED_AT_MS: Final = bytes([3 << 3 | _VARINT])
_MS_PLAYED: Final = bytes([12 << 3 | _VARINT])
_MORE: Final = 0x80
_JSON_FIELDS: Final = (
    "track_id",
    "user_id",
    "device_id",
    "ip",
    "country",
    "user_agent",
    "client",
    "source",
    "ms_played",
)
_ISO_MS: Final = "%Y-%m-%dT%H:%M:%S%.3f"


def _in_utc() -> pl.Expr:
    return pl.from_epoch("occurred_ms", time_unit="ms").dt.to_string(_ISO_MS + "Z")


def _with_offset() -> pl.Expr:
    return pl.from_epoch(pl.col("occurred_ms") + 2 * HOUR_MS, time_unit="ms").dt.to_string(_ISO_MS + "+02:00")


_DIALECTS: Final[tuple[list[pl.Expr], ...]] = (
    [pl.lit(1).alias("schema_version"), pl.col("event_id"), _in_utc().alias("occurred_at"), *map(pl.col, _JSON_FIELDS)],
    [pl.col("event_id"), pl.col("occurred_ms").alias("occurred_at"), *map(pl.col, _JSON_FIELDS)],
    [
        *map(pl.col, _JSON_FIELDS),
        pl.lit(1).alias("schema_version"),
        pl.col("event_id"),
        _with_offset().alias("occurred_at"),
        pl.lit("9.4.1").alias("app_version"),
        (pl.col("ms_played") > 0).alias("is_foreground"),
    ],
)
"""Collectors of different ages: time stamps in three forms, fields in another order, no schema version, unknown fields."""


def json_lines(plays: pl.DataFrame, dialect: int, inserted: Sequence[tuple[int, bytes]]) -> bytes:
    """Write one line per play, and the `inserted` lines, each before the play at its position (ascending)."""
    rows = plays.select(*_DIALECTS[dialect % len(_DIALECTS)])
    lines = BytesIO()
    begin = 0
    for position, line in inserted:
        rows[begin:position].write_ndjson(lines)
        lines.write(line + b"\n")
        begin = position
    rows[begin:].write_ndjson(lines)
    return lines.getvalue()


def length_delimited(plays: pl.DataFrame) -> bytes:
    """Write one protobuf message per play, each after its length as a varint. By hand: the wire format is a page long."""
    occurred = [_OCCURRED_AT_MS + _varint(value) for value in plays["occurred_ms"].to_list()]
    played = [_MS_PLAYED + _varint(value) for value in plays["ms_played"].to_list()]
    texts = [_text_field(number, plays[name].to_list()) for name, number in _TEXT_FIELDS.items()]
    messages = (b"".join((_SCHEMA_VERSION_1, *fields)) for fields in zip(occurred, *texts, played, strict=True))
    return b"".join(_varint(len(message)) + message for message in messages)


def _text_field(number: int, values: Sequence[str | None]) -> list[bytes]:
    tag = bytes([number << 3 | _LENGTH_DELIMITED])
    encoded = ("" if value is None else value for value in values)
    return [tag + _varint(len(text)) + text if text else b"" for text in map(str.encode, encoded)]


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >= _MORE:
        groups.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _changed(**fields: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda play: json.dumps({**play, **fields}).encode()


def _without(field: str) -> Callable[[dict[str, Any]], bytes]:
    return lambda play: json.dumps({name: value for name, value in play.items() if name != field}).encode()


_BREAKAGES: Final[tuple[Callable[[dict[str, Any]], bytes], ...]] = (
    lambda play: json.dumps(play).encode()[:-40],
    lambda play: json.dumps(play).encode().replace(b'"track_id": "', b'"track_id": "\xff\xfe'),
    lambda _play: b"<html><body>502 Bad Gateway</body></html>",
    lambda play: json.dumps([play]).encode(),
    _changed(ms_played="long"),
    _changed(ms_played=-5),
    _changed(track_id=["t1", "t2"]),
    _changed(country="Germany"),
    _changed(country="QX"),
    _changed(occurred_at="yesterday"),
    _changed(occurred_at="2019-13-45T99:00:00Z"),
    _changed(occurred_at=4_102_444_800_000),
    _changed(ip="999.1.2.3"),
    _changed(schema_version=2),
    _changed(event_id="x" * 65),
    _changed(event_id=""),
    *map(_without, ("event_id", "occurred_at", "track_id", "device_id", "ms_played")),
)
BREAKAGES: Final = len(_BREAKAGES)
"""The number of ways to break a line."""


def broken_lines(plays: pl.DataFrame, positions: Indices, manners: Indices) -> list[tuple[int, bytes]]:
    """Break the plays at these positions, each in its manner: failed deliveries before the one that succeeded."""
    rows = plays.select(*_DIALECTS[0])[positions].to_dicts()
    return [
        (position, _BREAKAGES[manner](row))
        for position, manner, row in zip(positions.tolist(), manners.tolist(), rows, strict=True)
    ]


def blank_lines(rng: np.random.Generator, positions: Indices) -> list[tuple[int, bytes]]:
    """Make blank lines, empty or of spaces, at these positions."""
    return [
        (position, b"  " if is_wide else b"")
        for position, is_wide in zip(positions.tolist(), chance(rng, 0.3, len(positions)), strict=True)
    ]
