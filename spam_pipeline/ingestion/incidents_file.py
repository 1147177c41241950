"""The file of incidents as text: the lines of one incident, found, and replaced without touching any other byte.

People edit this file by hand; whatever else is in it stays as they wrote it. What a line means is in `reference`; what may be
written is decided by whoever writes it.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from spam_pipeline.ingestion.csv_rows import Header, header_of, lines_of, rows_of
from spam_pipeline.protocol import PipelineError

INCIDENTS_PATH = "incidents.csv"
"""Where the file lies, below the landing zone's root."""

_REQUIRED = ("incident_id", "status", "attack_type", "entity_type", "entity_id", "starts_at", "ends_at")


class WrongIncidentsFile(PipelineError):
    """A file of incidents to which no line can be added, because its header is missing, cannot be read or lacks a column."""


class IncidentLine(NamedTuple):
    """A line of the file as text, one field a column; what it lacks is empty."""

    incident_id: str
    status: str
    attack_type: str
    entity_type: str
    entity_id: str
    starts_at: str
    ends_at: str
    decided_by: str = ""
    decided_at: str = ""
    note: str = ""

    @property
    def scope(self) -> tuple[str, ...]:
        """What the line decides about what, without who decided it, when and why."""
        return self[:7]


def lines_of_incident(content: bytes, incident_id: str) -> list[IncidentLine]:
    """The lines of an incident, in the order of the file; none in an empty one. Raises `WrongIncidentsFile`."""
    if not content.strip():
        return []
    header = _header(content)
    found = (dict(zip(header.names, cells, strict=False)) for _, _, cells in _rows_of(content, header, incident_id))
    return [IncidentLine(*(by_name.get(name, "") for name in IncidentLine._fields)) for by_name in found]


def with_lines(content: bytes, incident_id: str, lines: Sequence[IncidentLine]) -> bytes:
    """The file with these lines, at its end, in the place of those that the incident has; every other byte is kept.

    An empty file gets a header. Raises `WrongIncidentsFile`.
    """
    content = content if content.strip() else _as_csv([IncidentLine._fields])
    header = _header(content)
    replaced = {number for first, after, _ in _rows_of(content, header, incident_id) for number in range(first, after)}
    kept = b"".join(
        line for number, line in enumerate(content.splitlines(keepends=True), start=1) if number not in replaced
    )
    if not kept.endswith((b"\n", b"\r")):
        kept += b"\n"
    cells = (line._asdict() for line in lines)
    return kept + _as_csv([[of_line.get(name, "") for name in header.names] for of_line in cells])


def _header(content: bytes) -> Header:
    header = header_of(content, lines_of(content))
    problem = "there is none" if header is None else header.problem and header.problem.reason
    if header is not None and not problem:
        problem = next(
            (f"{name} is not there once" for name in IncidentLine._fields if header.names.count(name) != 1), None
        )
    if header is None or problem:
        raise WrongIncidentsFile(
            f"the header of {INCIDENTS_PATH}: {problem}; expected {','.join(IncidentLine._fields)}"
        )
    return header


def _rows_of(content: bytes, header: Header, incident_id: str) -> Iterator[tuple[int, int, list[str]]]:
    """The first line of each row of an incident, the one after its last, and its cells.

    Blank lines behind a row are nothing and go with it.
    """
    lines = lines_of(content)
    rows = rows_of(lines, header, _REQUIRED)
    starts = sorted({*rows.cells, *rows.broken, len(lines) + 1})
    at = header.names.index("incident_id")
    for first, after in pairwise(starts):
        cells = rows.cells.get(first)
        if cells is not None and len(cells) > at and cells[at] == incident_id:
            yield first, after, cells


def _as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
