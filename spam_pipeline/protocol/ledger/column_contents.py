"""Contents by column: the digests of the columns of a version's part. A record; `part_columns` has its rows.

A consumer that reads some columns enters them into its recipe instead of the content of the part. Versions of releases before 0.12 have
none, nor has what is no frame: of those the content counts.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

DIGEST_BYTES = 16
"""Bytes of a column's digest: half of SHA-256's, as there are some twenty of them in a part, and whoever found two equal ones would deceive himself."""


class ColumnContents(NamedTuple):
    """The columns of a part, in their order, and the digests of their contents, one after the other."""

    names: tuple[str, ...]
    digests: bytes

    def of(self, columns: Sequence[str]) -> str:
        """The digest of some columns, which names them in their order; empty if one is not there.

        >>> contents = ColumnContents(("day", "number"), bytes(32))
        >>> contents.of(["day"]) == contents.of(["number"]), contents.of(["place"])
        (False, '')
        """
        places = _places(self.names, tuple(columns))
        if places is None:
            return ""
        return hashlib.sha256(places.label + b"".join(places.digests_in(self.digests))).hexdigest()

    def changed(self, other: "ColumnContents", columns: Iterable[str]) -> list[str]:
        """Those of some columns that are not the same in another part."""
        return [name for name in columns if self.of([name]) != other.of([name])]


class _Places(NamedTuple):
    label: bytes
    digests_in: Callable[[bytes], Iterable[bytes]]


@lru_cache(4096)
def _places(names: tuple[str, ...], columns: tuple[str, ...]) -> _Places | None:
    """Where the digests of some columns lie, and the text that names these columns."""
    if not set(columns) <= set(names):
        return None
    label = "".join(f"{len(name)}:{name}" for name in columns).encode()
    starts = (names.index(name) * DIGEST_BYTES for name in columns)
    # A getter of one item gives no tuple, so an empty one comes first. Slicing in Python took four times as long, for every part of ten years.
    return _Places(label, itemgetter(slice(0), *(slice(at, at + DIGEST_BYTES) for at in starts)))
