"""What a day or an hour of plays was to be, as stated in a small JSON file beside them: a gap or a manifest.

A gap is a person's: nothing arrives. A manifest is the producer's: so much was sent. Reading and writing these files belongs here; what a day lacks is decided by the protocol, which never opens them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from spam_pipeline.ingestion.sources import GAP
from spam_pipeline.protocol import PipelineError

_LONGEST_BYTES = 64 * 1024
_TOO_MANY = 10**18


class WrongStatement(PipelineError):
    """A gap or a manifest that cannot be read as one. The message never quotes the file."""


class Gap(NamedTuple):
    """A declaration that nothing was played, or nothing will ever be delivered: who declared it, when (UTC), and why."""

    declared_by: str
    declared_at: datetime
    reason: str


UNITS = ("files", "records", "bytes")
"""The units in which a manifest may count what was sent."""


def read_manifest(content: bytes) -> dict[str, int]:
    """Read a manifest: how much was sent in some of the units. Raises `WrongStatement` when it says nothing or anything else."""
    stated = _stated(content)
    counts = {unit: stated[unit] for unit in UNITS if stated.get(unit) is not None}
    if not counts:
        raise WrongStatement(f"expected at least one of {', '.join(UNITS)}")
    for unit, count in counts.items():
        if type(count) is not int or not 0 <= count < _TOO_MANY:  # bool is an int to isinstance
            raise WrongStatement(f"{unit}: expected a whole number from 0")
    return counts


def gap_path(day: str, hour: str | None) -> str:
    """The path of a gap below the landing zone's root, of one hour or of a whole day."""
    return "/".join(filter(None, ("plays", day, hour, GAP)))


def gap_as_json(gap: Gap) -> bytes:
    """A gap as the bytes of its file."""
    stated = {
        "declared_by": gap.declared_by,
        "declared_at": gap.declared_at.astimezone(UTC).isoformat(timespec="seconds"),
        "reason": gap.reason,
    }
    return json.dumps(stated, ensure_ascii=False, indent=2).encode() + b"\n"


def read_gap(content: bytes) -> Gap:
    """Read a gap from the bytes of its file. Raises `WrongStatement` when it does not say by whom, when and why."""
    stated = _stated(content)
    try:
        declared_at = datetime.fromisoformat(_text(stated, "declared_at"))
    except ValueError:
        raise WrongStatement("declared_at: expected RFC 3339 with offset") from None
    if declared_at.tzinfo is None:
        raise WrongStatement("declared_at: expected RFC 3339 with offset")
    return Gap(_text(stated, "declared_by"), declared_at, _text(stated, "reason"))


def _stated(content: bytes) -> Mapping[str, Any]:
    if len(content) > _LONGEST_BYTES:
        raise WrongStatement("longer than 64 KiB")
    try:
        stated = json.loads(content)
    except (ValueError, RecursionError):
        raise WrongStatement("not valid JSON") from None
    if not isinstance(stated, dict):
        raise WrongStatement("expected a JSON object")
    return stated


def _text(stated: Mapping[str, Any], name: str) -> str:
    value = stated.get(name)
    if not isinstance(value, str) or not value.strip():
        raise WrongStatement(f"{name}: required")
    return value
