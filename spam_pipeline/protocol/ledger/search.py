"""Searching the ledger: every row of every table is looked through, its packed values unpacked, for texts and keys.

For proving that somebody occurs nowhere. It reads the whole ledger, and nothing else needs to.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import sqlalchemy as sa

from spam_pipeline.protocol.fingerprint import KeySample, fingerprint_from_json
from spam_pipeline.protocol.ledger.tables import connect, fingerprints, metadata

_AT_ONCE = 1_000


class FoundRow(NamedTuple):
    """A row in which something was found: its table, what it is about, and the id of the version that its fingerprint measures."""

    table: str
    about: str
    version_id: int | None


def rows_with(url: str, is_hit: Callable[[str], bool], keys: Collection[int]) -> Iterator[FoundRow]:
    """Yield the rows of the ledger at a SQLAlchemy URL with a text that is one, or with one of the keys in a sample of keys."""
    engine, wanted = connect(url), frozenset(keys)
    try:
        for table in metadata.sorted_tables:
            with closing(engine.connect()) as connection:
                rows = connection.execution_options(yield_per=_AT_ONCE).execute(sa.select(table))
                for row in rows.mappings():
                    if is_in_row(table.name, row, is_hit, wanted):
                        yield FoundRow(table.name, _about(row), row.get("version_id"))
    finally:
        engine.dispose()


def is_in_row(table: str, row: Mapping[Any, Any], is_hit: Callable[[str], bool], keys: frozenset[int]) -> bool:
    """Tell whether a row of a table has a text that is one, or one of the keys in a sample of keys."""
    return _has(row, is_hit) or (table == fingerprints.name and _samples(row["measures"], keys))


def _has(row: Mapping[Any, Any], is_hit: Callable[[str], bool]) -> bool:
    values = (value if isinstance(value, str) else json.dumps(value, default=str) for value in row.values())
    return is_hit("\n".join(values))


def _samples(measures: Any, keys: frozenset[int]) -> bool:
    """Tell whether a fingerprint samples or lists one of the keys: sampled ones lie as differences, which no text shows."""
    samples = (item for item in fingerprint_from_json(measures).values() if isinstance(item, KeySample))
    return any(keys & item.sample.keys() or keys & {top.key for top in item.top} for item in samples)


def _about(row: Any) -> str:
    named = (f"{name} {row[name]}" for name in ("id", "version_id", "stage", "partition") if row.get(name) is not None)
    return ", ".join(named)
