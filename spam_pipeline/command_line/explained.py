"""The tables of an explained payment for people: money in its currency's decimals, shares in percent, time in hours.

The pipeline computes in minor units, parts per million and milliseconds; JSON has those too.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.royalties.explanation import Explanation

_MINOR, _SHARE, _MS = "_minor", "share_ppm", "ms_played"
_TITLES = {
    "balances": "amounts owed, paid and carried forward",
    "pools": "lines of each pool, as they stand now and as they were issued",
    "tracks": "plays of each track, counted and excluded",
    "settled": "adjustments to earlier months that this month pays",
    "changes": "changes since it was issued, still open",
}
_TRACK = ("track_id", _SHARE, "in_escrow", "status", "incident_id")
"""What tells the plays of tracks apart here; by country and tier there are too many lines to read."""


_OF_ISSUED = ("issued_minor", "settled_minor", "open_minor")


class ExplainedTable(NamedTuple):
    """One table of an explanation, with its title above it."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def explained_tables(found: Explanation) -> Iterator[ExplainedTable]:
    """The tables of an explanation that are not empty, in reading order."""
    for name, table in found.tables().items():
        if not table.is_empty():
            yield _formatted(_TITLES[name], _shortened(name, table))


def _of_all_countries(tracks: pl.DataFrame) -> pl.DataFrame:
    counted = (pl.col(name).sum() for name in ("plays", _MS))
    summed = tracks.group_by(_TRACK).agg(*counted).sort("plays", "track_id", "status", descending=[True, False, False])
    return summed if summed["in_escrow"].any() else summed.drop("in_escrow")


def _amounts_first(pools: pl.DataFrame) -> pl.DataFrame:
    """Lines of pools with what is paid before what it rests on, and no columns of an issued month in which nothing has happened."""
    audience = pl.concat_str("country", "tier", separator=" ").alias("country, tier")
    changed = [name for name in pools.columns if name in _OF_ISSUED and (pools[name] != 0).any()]
    return pools.select(audience, "currency", "line", "incident_id", "amount_minor", *changed, "plays", "pool_minor")


def _shortened(name: str, table: pl.DataFrame) -> pl.DataFrame:
    match name:
        case "tracks":
            return _of_all_countries(table)
        case "pools":
            return _amounts_first(table)
    return table


def _formatted(title: str, table: pl.DataFrame) -> ExplainedTable:
    formats = [_format(name) for name in table.columns]
    rows = [
        tuple(write(row, name) for write, name in zip(formats, table.columns, strict=True))
        for row in table.iter_rows(named=True)
    ]
    return ExplainedTable(title, tuple(_heading(name) for name in table.columns), rows)


def _heading(column: str) -> str:
    headings = {
        _SHARE: "share",
        _MS: "listened",
        "in_escrow": "in escrow",
        "incident_id": "incident",
        "track_id": "track",
    }
    return headings.get(column, column.removesuffix(_MINOR))


def _format(column: str) -> Callable[[dict[str, Any], str], str]:
    if column.endswith(_MINOR):
        return lambda row, name: as_amount(row[name], row["currency"])
    return {_SHARE: _percent, _MS: _hours}.get(column, _plain)


def _percent(row: dict[str, Any], name: str) -> str:
    return f"{row[name] / 10_000:.6g} %"


def _hours(row: dict[str, Any], name: str) -> str:
    """Hours, minutes and seconds."""
    minutes, seconds = divmod(row[name] // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{seconds:02}"


def _plain(row: dict[str, Any], name: str) -> str:
    value = row[name]
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
