"""Decoded records: the common shape of play events of every encoding, and of rejections.

Types are right here, values not yet validated. Decoding is in `decode_json` and `decode_protobuf`, validation in
`event_rules`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

KEPT_BYTES = 64 * 1024
"""The most bytes of a rejected record that are kept."""

FIELD_TYPES: dict[str, pl.DataType] = {
    "schema_version": pl.Int64(),
    "event_id": pl.String(),
    "occurred_at": pl.String(),
    "track_id": pl.String(),
    "user_id": pl.String(),
    "device_id": pl.String(),
    "ip": pl.String(),
    "country": pl.String(),
    "user_agent": pl.String(),
    "client": pl.String(),
    "source": pl.String(),
    "ms_played": pl.Int64(),
}
"""The fields of a play event in the order of the event's table; `occurred_at` is RFC 3339 or milliseconds, as text."""

RECORD_TYPES: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "raw": pl.Binary(),
    **FIELD_TYPES,
    "unknown_fields": pl.Int64(),
}

REJECTION_TYPES: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "field": pl.String(),
    "reason": pl.String(),
    "raw": pl.Binary(),
}


@dataclass(frozen=True)
class Rejection:
    """The reason to reject a record. `reason` never quotes the record; `field` is None when no single field is at fault."""

    reason: str
    field: str | None = None


@dataclass(frozen=True)
class Decoded:
    """The result of decoding: `records` of `RECORD_TYPES`, and `rejections` of `REJECTION_TYPES` for undecodable input."""

    records: pl.DataFrame
    rejections: pl.DataFrame


def rejection_of(field: str, problem: str) -> Rejection:
    """Reject a record for one of its fields."""
    return Rejection(f"{field}: {problem}", field)


def rejections_frame(rows: Sequence[tuple[int, Rejection, bytes]]) -> pl.DataFrame:
    """Build a frame of rejections by line, with the bytes of their records."""
    cells = [(line, rejection.field, rejection.reason, raw[:KEPT_BYTES]) for line, rejection, raw in rows]
    return pl.DataFrame(cells, schema=REJECTION_TYPES, orient="row")
