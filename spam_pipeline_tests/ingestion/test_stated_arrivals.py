"""Gaps and manifests: what is stated about a day or an hour of plays, in a file that lands beside them."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from spam_pipeline.ingestion.stated_arrivals import (
    Gap,
    WrongStatement,
    gap_as_json,
    gap_path,
    read_gap,
    read_manifest,
)

OUTAGE = Gap("anna", datetime(2026, 1, 6, 9, tzinfo=UTC), "the collectors were switched off: 'maintenance' ä")


def test_a_gap_is_read_as_it_was_written() -> None:
    assert read_gap(gap_as_json(OUTAGE)) == OUTAGE


def test_a_time_with_any_offset_is_written_in_utc() -> None:
    elsewhere = OUTAGE._replace(declared_at=OUTAGE.declared_at.astimezone(timezone(timedelta(hours=5))))
    assert json.loads(gap_as_json(elsewhere))["declared_at"] == "2026-01-06T09:00:00+00:00"


def test_a_gap_lies_in_the_folder_that_it_speaks_for() -> None:
    assert gap_path("2026-01-05", None) == "plays/2026-01-05/gap.json"
    assert gap_path("2026-01-05", "07") == "plays/2026-01-05/07/gap.json"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON"),
        (b"[" * 100_000, "longer than 64 KiB"),
        (b"[" * 60_000, "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "expected a JSON object"),
        (b"{}", "declared_at: required"),
        (b'{"declared_at": "2026-01-06T09:00:00"}', "declared_at: expected RFC 3339 with offset"),
        (b'{"declared_at": "yesterday"}', "declared_at: expected RFC 3339 with offset"),
        (b'{"declared_at": "2026-01-06T09:00:00Z"}', "declared_by: required"),
        (b'{"declared_at": "2026-01-06T09:00:00Z", "declared_by": "anna", "reason": " "}', "reason: required"),
        (b'{"declared_at": "2026-01-06T09:00:00Z", "declared_by": 5, "reason": "x"}', "declared_by: required"),
    ],
)
def test_what_does_not_say_by_whom_when_and_why_is_no_gap(content: bytes, reason: str) -> None:
    with pytest.raises(WrongStatement) as problem:
        read_gap(content)
    assert str(problem.value) == reason


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (b'{"files": 2, "records": 10, "bytes": 0}', {"files": 2, "records": 10, "bytes": 0}),
        (b'{"records": 10, "sender": "collector 3"}', {"records": 10}),
        (b'{"files": null, "bytes": 7}', {"bytes": 7}),
    ],
)
def test_a_manifest_counts_in_some_of_the_units(content: bytes, counts: dict[str, int]) -> None:
    assert read_manifest(content) == counts


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "expected at least one of files, records, bytes"),
        (b'{"files": -1}', "files: expected a whole number from 0"),
        (b'{"files": true}', "files: expected a whole number from 0"),
        (b'{"records": 1.0}', "records: expected a whole number from 0"),
        (b'{"records": "10"}', "records: expected a whole number from 0"),
        (b'{"bytes": 1e400}', "bytes: expected a whole number from 0"),
        (b'{"bytes": ' + b"9" * 30 + b"}", "bytes: expected a whole number from 0"),
        (b"[1]", "expected a JSON object"),
    ],
)
def test_what_counts_nothing_is_no_manifest(content: bytes, reason: str) -> None:
    with pytest.raises(WrongStatement) as problem:
        read_manifest(content)
    assert str(problem.value) == reason
