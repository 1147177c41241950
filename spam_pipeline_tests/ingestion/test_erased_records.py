"""The account of erased records, and manifests that say what is left of what was sent."""

import json
from pathlib import Path

import pytest

from spam_pipeline.ingestion.erased_records import (
    Account,
    Erased,
    account_as_json,
    account_path,
    erased_of_day,
    manifest_paths,
    manifest_without,
    noted,
    read_account,
)
from spam_pipeline.ingestion.stated_arrivals import WrongStatement
from spam_pipeline_tests.ingestion.landing import landed

FILE = "plays/2026-01-05/13/a.jsonl"
SENT, LEFT, REST = (digit * 64 for digit in "abc")
ONCE = noted({}, FILE, SENT, Erased(LEFT, 2, 100))


def test_an_account_is_read_as_it_was_written() -> None:
    assert read_account(account_as_json(ONCE)) == ONCE


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": [["x", 1, 1]]}', b'{"a": [1]}', b'{"a": [["' + b"a" * 64 + b'", true, 1]]}']
)
def test_what_is_no_account_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(WrongStatement, match="expected an account of erased records"):
        erased_of_day(landed(tmp_path, account_path("2026-01-05"), content))


def test_what_goes_later_adds_up_and_a_crash_in_between_counts_nothing_twice() -> None:
    twice = noted(ONCE, FILE, LEFT, Erased(REST, 1, 40))
    assert twice[FILE][-1] == Erased(REST, 3, 140)
    assert noted(twice, FILE, LEFT, Erased(REST, 1, 40)) == twice, "the file was not rewritten yet, and is now"
    assert noted(twice, FILE, REST, Erased(REST, 0, 0)) == twice


def test_a_file_that_is_sent_anew_begins_at_nothing() -> None:
    assert noted(ONCE, FILE, REST, Erased(REST, 0, 0))[FILE][-1] == Erased(REST, 0, 0)
    assert noted(ONCE, FILE, SENT, Erased(LEFT, 2, 100)) == ONCE, "it is the file that was sent before"
    assert noted({}, FILE, SENT, Erased(SENT, 0, 0)) == {}, "and one that nobody is in has no account"


def test_a_manifest_says_what_is_left_and_what_was_sent() -> None:
    sent = b'{"files": 1, "records": 10, "bytes": 1000, "by": "collector-3"}'
    account: Account = {FILE: ONCE[FILE], "plays/2026-01-05/14/b.jsonl": (Erased(LEFT, 1, 7),)}
    of_hour = manifest_without(sent, account, "plays/2026-01-05/13")
    of_day = manifest_without(sent, account, "plays/2026-01-05")
    assert of_hour is not None
    assert of_day is not None
    first = {"files": 1, "records": 10, "bytes": 1000}
    assert json.loads(of_hour) == {"files": 1, "records": 8, "bytes": 900, "by": "collector-3", "sent": first}
    assert json.loads(of_day) == {"files": 1, "records": 7, "bytes": 893, "by": "collector-3", "sent": first}
    assert manifest_without(of_day, account, "plays/2026-01-05") is None
    assert json.loads(manifest_without(of_hour, account, "plays/2026-01-05") or b"") == json.loads(of_day)
    assert manifest_without(b'{"records": "many"}', account, "plays/2026-01-05") is None


def test_manifests_of_an_hour_and_of_its_day_are_concerned() -> None:
    assert manifest_paths(ONCE) == ["plays/2026-01-05/13/manifest.json", "plays/2026-01-05/manifest.json"]


def test_the_stage_reads_what_has_gone_from_each_file(tmp_path: Path) -> None:
    account = noted(ONCE, FILE, LEFT, Erased(REST, 1, 40))
    found = erased_of_day(landed(tmp_path, account_path("2026-01-05"), account_as_json(account))).collect()
    assert found.select("file", "erased").rows() == [(FILE, 3)]
    assert found["arrival_hour"].dt.hour().to_list() == [13]
