"""Decoded records: the shape in which every encoding hands play events to the rules, and in which records are turned down.

Types are right here, values may still be wrong. How bytes become records is said in `decode_json` and `decode_protobuf`,
which values are accepted in `event_rules`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

KEPT_BYTES = 64 * 1024
"""How much of a rejected record's bytes is kept."""

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
    """Why a record is rejected. `reason` never quotes the record; `field` is None when no single field is to blame."""

    reason: str
    field: str | None = None


@dataclass(frozen=True)
class Decoded:
    """What decoding gave: `records` of `RECORD_TYPES`, and `rejections` of `REJECTION_TYPES` for what is no record at all."""

    records: pl.DataFrame
    rejections: pl.DataFrame


def rejection_of(field: str, problem: str) -> Rejection:
    """A fault of one field."""
    return Rejection(f"{field}: {problem}", field)


def rejections_frame(rows: Sequence[tuple[int, Rejection, bytes]]) -> pl.DataFrame:
    """Faults by line, with the bytes of their records, as a frame."""
    cells = [(line, rejection.field, rejection.reason, raw[:KEPT_BYTES]) for line, rejection, raw in rows]
    return pl.DataFrame(cells, schema=REJECTION_TYPES, orient="row")
