"""Canonical digests: one hash of one value, the same on every machine and in every release of Python.

The encoding is type-tagged and length-prefixed, so that different values never share it: `1` differs from `"1"`, from `True`
and from `1.0`, and `["a;b"]` from `["a", "b"]`. A value of any other type is an error, never a constant. `SCHEME` is part of
every digest and is raised when the encoding, or the way versions are written, changes.

>>> digest(1) == digest("1"), digest(["a;b"]) == digest(["a", "b"]), digest([1, 2]) == digest((1, 2))
(False, False, True)
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

SCHEME = 1
"""Number of the hash scheme. Raising it makes every version stale, on purpose."""


def digest(value: object) -> str:
    """The SHA-256 of the canonical encoding of `value`, as 64 hex digits. Raises `TypeError` for what has no encoding."""
    return hashlib.sha256(_encoded(("scheme", SCHEME, value))).hexdigest()


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, the number that `sha256sum` prints."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encoded(value: object) -> bytes:  # noqa: C901 - one case per type reads as the table it is
    """Return type tag, payload length and payload. Subclasses come before their bases: a bool is an int, a datetime a date."""
    match value:
        case None:
            tag, payload = b"n", b""
        case bool():
            tag, payload = b"b", b"1" if value else b"0"
        case int():
            tag, payload = b"i", str(value).encode()
        case float():
            tag, payload = b"f", struct.pack(">d", value)
        case str():
            tag, payload = b"s", value.encode("utf-8", "surrogatepass")
        case bytes():
            tag, payload = b"y", value
        case datetime():
            tag, payload = b"t", value.isoformat().encode()
        case date():
            tag, payload = b"d", value.isoformat().encode()
        case Mapping():
            tag, payload = b"m", b"".join(sorted(_encoded(key) + _encoded(item) for key, item in value.items()))
        case Sequence():
            tag, payload = b"l", b"".join(_encoded(item) for item in value)
        case _:
            kind = type(value).__name__
            raise TypeError(f"no canonical encoding for {kind}: use numbers, text, bytes, dates, sequences or mappings")
    return tag + struct.pack(">Q", len(payload)) + payload
