"""Metadata and tags of versions in the Dagster UI, from the ledger's records alone.

Numbers of the fingerprint are separate entries, so that the UI plots each of them over the partitions; its tables are tables.
"""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any

import dagster as dg

from spam_pipeline.protocol import WHOLE, Version, digest
from spam_pipeline.protocol.fingerprint import MARKDOWN, Recorded, numbers
from spam_pipeline.protocol.operating import InputRef, Outcome, Publication

CONTRACT_CHECK = "contract"
"""Name of the check of a version by its own contract and people's decisions."""

_INPUTS_SHOWN = 20
_ROWS_SHOWN = 60
_CHARACTERS_SHOWN = 80
"""Inputs, rows of a recorded table and characters of a cell that are shown at most: events are kept for ever."""

_LONGEST_TEXT = 60_000
"""Characters of a text that is Markdown, with the pictures in it."""

_DIGITS = 3
"""Significant digits of a fraction: as precise as people compare by eye. Whole numbers keep all of theirs."""

_RECIPE_DIGITS = 16
"""The first digits of a recipe, by which commands take it."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")

_KEYS = ("_key", "_keys")
"""Suffixes of hashes' names, which are shown in hexadecimal, because the UI reads numbers as floats of 53 bits."""


def trigger_metadata(publication: Publication) -> dict[str, Any]:
    """Cause, action and time of a publication."""
    return {
        "why": publication.trigger.cause,
        "action": publication.trigger.action,
        "published_at": dg.MetadataValue.timestamp(publication.published_at),
    }


def outcome_metadata(outcome: Outcome) -> dict[str, Any]:
    """Metadata of a version that a run has published, or found published; then without a cause, because nothing happened."""
    shown = trigger_metadata(outcome.publication) if outcome.publication else {"action": outcome.action.value}
    return {**shown, **version_metadata(outcome.version)}


def version_metadata(version: Version) -> dict[str, Any]:
    """The first digits of the recipe, size, inputs and fingerprint of a version, and behind them its digests in full.

    Where it is no frame, also the `file` that it is, below the store's root: people open a page, or load a model. Columns are
    those of the asset's definition: the UI prefers the schema of an event, and would hide their constraints.
    """
    counted = "dagster/row_count" if version.partition == WHOLE else "dagster/partition_row_count"
    file = {} if version.columns else {"file": dg.MetadataValue.path(version.parts[0].files[0].path)}
    return {
        "version": version.recipe[:_RECIPE_DIGITS],
        counted: version.rows,
        "size": format_bytes(version.bytes),
        "size_bytes": version.bytes,
        "inputs": _inputs_table(version.inputs),
        "rows_read": version.rows_read,
        "computed_in_seconds": legible(version.seconds),
        "computed_at": dg.MetadataValue.timestamp(version.computed_at),
        **file,
        **fingerprint_metadata(version),
        **recorded_metadata(version),
        "recipe": version.recipe,
        "content": version.content,
        "code_version": version.code_version,
        "inputs_digest": digest([item.content for item in version.inputs]),
    }


def version_tags(version: Version) -> dict[str, str]:
    """The tag by which Dagster itself compares versions.

    Not with `dagster/code_version`: next to it Dagster expects one data version for each upstream asset, which cannot say that
    a version read some parts of some partitions, and without those it calls every version unsynced.
    """
    return {"dagster/data_version": version.content}


def fingerprint_metadata(version: Version) -> dict[str, dg.MetadataValue[Any]]:
    """The numbers of a fingerprint by name.

    The UI plots an asset's numbers over its latest 120 partitions or so, and a check's over every evaluation.
    """
    found = sorted(numbers(version.fingerprint).items())
    return {f"fingerprint/{name}": dg.MetadataValue.float(legible(float(value))) for name, value in found}


def recorded_metadata(version: Version) -> dict[str, dg.MetadataValue[Any]]:
    """The tables of a fingerprint by name, their first rows if they are long; one without rows is left out.

    A text is shown under its own name, as the page that it is, unless it is longer than an event should be.
    """
    shown: dict[str, dg.MetadataValue[Any]] = {}
    for name, measured in sorted(version.fingerprint.items()):
        if isinstance(measured, Recorded) and measured.rows:
            if measured.rows[0].keys() == {MARKDOWN}:
                shown[name] = dg.MetadataValue.md(_text(measured))
            else:
                shown[f"fingerprint/{_title(name, measured)}"] = _recorded_table(measured)
    return shown


def legible(value: float) -> float:
    """A number with at least three significant digits, and with all of those before the point.

    >>> [legible(value) for value in (0.123456, 1234.56, 1234567.0)]
    [0.123, 1235.0, 1234567.0]
    """
    if not isfinite(value) or value.is_integer():
        return value
    return round(value, max(0, _DIGITS - 1 - floor(log10(abs(value)))))


def format_bytes(size: int) -> str:
    """A size in the unit that leaves the fewest digits.

    >>> format_bytes(999), format_bytes(1_234_567)
    ('999 bytes', '1.18 MiB')
    """
    power = max(0, size.bit_length() - 1) // 10
    return f"{legible(size / 1024**power):g} {_UNITS[power]}"


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> dg.TableMetadataValue:
    """Rows as a table in the UI; `columns` gives the names and types."""
    schema = dg.TableSchema([dg.TableColumn(name, dtype) for name, dtype in columns.items()])
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows], schema)


def _text(recorded: Recorded) -> str:
    text = "\n\n".join(str(row[MARKDOWN]) for row in recorded.rows)
    return text if len(text) <= _LONGEST_TEXT else "too long to be shown"


def _title(name: str, recorded: Recorded) -> str:
    rows = len(recorded.rows)
    return name if rows <= _ROWS_SHOWN else f"{name} ({_ROWS_SHOWN} of {rows} rows)"


def _recorded_table(recorded: Recorded) -> dg.TableMetadataValue:
    shown = recorded.rows[:_ROWS_SHOWN]
    columns = dict.fromkeys(name for row in shown for name in row)
    rows = [{name: _cell(name, row.get(name)) for name in columns} for row in shown]
    return table(rows, {name: _type([row[name] for row in rows]) for name in columns})


def _cell(name: str, value: Any) -> str | float | bool | None:
    """Convert a value of the column `name` to a cell; lists and structures to text that is cut where it gets long."""
    match value:
        case None | bool():
            return value
        case int():
            return f"{value:016x}" if name.endswith(_KEYS) else value
        case float():
            return legible(value)
        case _:
            text = _as_text(name, value)
            return text if len(text) <= _CHARACTERS_SHOWN else f"{text[: _CHARACTERS_SHOWN - 1]}…"


def _as_text(name: str, value: Any) -> str:
    match value:
        case str():
            return value
        case Mapping():
            return " ".join(f"{inner} {_as_text(inner, item)}" for inner, item in value.items())
        case Sequence():
            return ", ".join(_as_text(name, item) for item in value)
        case None:
            return "-"
        case float():
            return str(legible(value))
        case _:
            return str(_cell(name, value))


def _type(cells: Sequence[str | float | bool | None]) -> str:
    """The type of a column as the UI names it: `string` unless all its cells are numbers, or all are truth values."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int"
    return "float" if kinds and kinds <= {int, float} else "string"


def _inputs_table(inputs: tuple[InputRef, ...]) -> dg.TableMetadataValue:
    """The first inputs, one a row; `inputs_digest` stands for all of them."""
    names = ("input", "from", "partition", "part", "content")
    rows = [(item.parameter, item.upstream, item.partition, item.part, item.content) for item in inputs[:_INPUTS_SHOWN]]
    return table([dict(zip(names, row, strict=True)) for row in rows], dict.fromkeys(names, "string"))
