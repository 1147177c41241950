"""The file of incidents as text: an incident's lines are replaced, and nothing else in it changes."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.ingestion.incidents_file import (
    IncidentLine,
    WrongIncidentsFile,
    lines_of_incident,
    with_lines,
)
from spam_pipeline.ingestion.pseudonyms import key_as_text, keyed_hash
from spam_pipeline.ingestion.reference import incidents_by_day
from spam_pipeline_tests.ingestion.landing import KEY, landed

HEADER = b"incident_id,status,attack_type,entity_type,entity_id,starts_at,ends_at,decided_by,decided_at,note\n"
WINDOW = "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"
OTHERS = b"a,suspected,x,user,u,2026-01-05,2026-01-06,,,\n"


def line(incident_id: str = "i", device: int = 1, note: str = "why", by: str = "Ada") -> IncidentLine:
    decided = (by, "2026-01-09T10:00:00Z", note)
    return IncidentLine(incident_id, "confirmed", "bot_farm", "device", key_as_text(device), *WINDOW, *decided)


def test_an_incident_that_is_new_is_added_behind_the_others() -> None:
    changed = with_lines(HEADER + OTHERS, "i", [line(device=1), line(device=2)])
    assert changed.startswith(HEADER + OTHERS)
    assert lines_of_incident(changed, "i") == [line(device=1), line(device=2)]
    assert lines_of_incident(HEADER + OTHERS, "i") == []


def test_lines_take_the_place_of_those_that_the_incident_has_wherever_they_are() -> None:
    old = (
        with_lines(HEADER, "i", [line(device=1)]) + OTHERS + b"i,cleared,x,user,u,2026-01-05,2026-01-06,m,2026-01-09\n"
    )
    assert with_lines(old, "i", [line(device=3)]) == with_lines(HEADER + OTHERS, "i", [line(device=3)])


def test_an_empty_file_gets_a_header() -> None:
    assert with_lines(b"", "i", [line()]) == with_lines(HEADER, "i", [line()])
    assert lines_of_incident(b"\n", "i") == []


@pytest.mark.parametrize(
    "others",
    [
        b"a,cleared,x,user,u,2026-01-05,2026-01-06,m,2026-01-09,no end of line",
        b'a,cleared,x,user,u,2026-01-05,2026-01-06,m,2026-01-09,"two\nlines, ""quoted"""\r\n',
        b"a,cleared,x,user,u,2026-01-05,2026-01-06,m,2026-01-09,caf\xe9\r",
        b"\r\n\nnot,enough\r\n",
        b'a,cleared,x,user,u,2026-01-05,2026-01-06,m,2026-01-09,"not closed\n',
        b"a,cleared,x,user,u,2026-01-05,2026-01-06,m,2026-01-09,,one too many\x00\n",
    ],
)
def test_what_others_wrote_stays_as_they_wrote_it(others: bytes) -> None:
    for head in (HEADER, b"\xef\xbb\xbf" + HEADER, HEADER.replace(b"\n", b"\r\n")):
        once = with_lines(head + others, "i", [line()])
        assert once.startswith(head + others)
        assert lines_of_incident(once, "i") == [line()]
        assert with_lines(once, "i", [line(device=2)]).startswith(head + others)


def test_columns_are_those_of_the_file_in_its_order_and_its_own_ones_stay_empty() -> None:
    names = [*reversed(IncidentLine._fields), "count", "ticket"]
    changed = with_lines(",".join(names).encode(), "i", [line()])
    assert changed.splitlines()[1].endswith(b",i,,")
    assert lines_of_incident(changed, "i") == [line()]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x00\n", "there is none"),
        (HEADER.replace(b",note", b""), "note is not there once"),
        (HEADER.replace(b"note", b"note,note"), "note is not there once"),
        (HEADER.decode().encode("utf-16"), "encoded in UTF-16"),
        (b'"incident_id\n', "a quote that is not closed"),
    ],
)
def test_a_header_that_has_no_place_for_a_decision_is_an_error(content: bytes, problem: str) -> None:
    with pytest.raises(WrongIncidentsFile, match=problem):
        with_lines(content, "i", [line()])
    with pytest.raises(WrongIncidentsFile, match=r"expected incident_id,status,"):
        lines_of_incident(content, "i")


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), min_size=1)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3), TEXT)
def test_whatever_people_write_is_read_back_and_accepted(written: Sequence[tuple[str, str]], incident_id: str) -> None:
    lines = [line(incident_id, device, note, by) for device, (note, by) in enumerate(written)]
    before = HEADER + OTHERS if incident_id != "a" else HEADER
    changed = with_lines(with_lines(before, incident_id, lines[:1]), incident_id, lines)
    assert changed.startswith(before)
    assert lines_of_incident(changed, incident_id) == lines


def test_the_stage_reads_the_lines_as_they_were_meant(tmp_path: Path) -> None:
    hostile = '=cmd|" /C calc"!A0, \'; drop table incidents; -- "",\\'
    device = keyed_hash_of("device-1")
    content = with_lines(HEADER + OTHERS, "i", [line(device=device, note=hostile)])
    parts = incidents_by_day(landed(tmp_path, "incidents.csv", content), KEY)
    day = parts["2026-01-05"].collect()
    assert parts["rejected"].collect().is_empty()
    assert day.select("incident_id", "status", "entity_type", "entity_key", "decided_by").rows() == [
        ("a", "suspected", "user", keyed_hash_of("u", "user"), None),
        ("i", "confirmed", "device", device, "Ada"),
    ]


def keyed_hash_of(value: str, kind: str = "device") -> int:
    return int(keyed_hash(pl.Series([value]), kind, KEY).item())
