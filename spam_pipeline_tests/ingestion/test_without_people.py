"""Landed files without some people: their records go, whatever is wrong with them, and everybody else's bytes stay."""

import gzip
import io
import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
import zstandard

from spam_pipeline.ingestion.decode_protobuf import play_event
from spam_pipeline.ingestion.erased_people import ErasedPeople, keys_of
from spam_pipeline.ingestion.pseudonyms import key_as_text
from spam_pipeline.ingestion.without_people import (
    ACCOUNTS_PATH,
    records_of_people,
    rows_without_people,
    write_without,
)
from spam_pipeline_tests.ingestion.landing import EVENT, KEY
from spam_pipeline_tests.ingestion.test_erased_people import erasure, people

LATER = datetime(2026, 6, 1, tzinfo=UTC)
GONE = people(erasure("user", "user-1", LATER))
DEVICE = key_as_text(keys_of(pl.Series(["device-1"]), "device", KEY).item())


def line(**changed: Any) -> bytes:
    return json.dumps({**EVENT, **changed}).encode() + b"\n"


OTHER = line(user_id="user-2", event_id="event-2")


def without(content: bytes, path: str, erased: ErasedPeople = GONE) -> tuple[bytes, list[int]]:
    records, left = records_of_people(io.BytesIO(content), path, erased), io.BytesIO()
    write_without(io.BytesIO(content), path, records, left)
    return left.getvalue(), sorted(records)


def test_lines_of_people_go_and_all_other_bytes_stay() -> None:
    broken = b'{"user_id": "user-2", "oh\n\n'
    content = OTHER + line() + broken + line(event_id=None) + b'{"user_id": "user-1", "ms_pl\n' + OTHER.strip()
    assert without(content, "a.jsonl") == (OTHER + broken + OTHER.strip(), [2, 5, 6])


def test_an_id_in_any_spelling_of_json_is_found() -> None:
    assert without(OTHER + line().replace(b"user-1", b"\\u0075ser-1"), "a.jsonl") == (OTHER, [2])


def test_records_from_after_the_erasure_stay() -> None:
    later = line(occurred_at="2026-06-02T00:00:00Z")
    assert without(line() + later, "a.jsonl") == (later, [1])


def test_devices_and_addresses_are_found_in_their_fields() -> None:
    erased = people(erasure("device", "device-1", LATER), erasure("ip", "192.0.2.7", LATER))
    elsewhere = {"device_id": "device-2", "ip": "192.0.2.8"}
    content = line() + line(**elsewhere) + line(**{**elsewhere, "ip": "::ffff:192.0.2.7"})
    assert without(content, "a.jsonl", erased) == (line(**elsewhere), [1, 3])


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_files_are_compressed_again_and_equal_each_time(ending: str) -> None:
    pack, unpack = {
        ".gz": (gzip.compress, gzip.decompress),
        ".zst": (zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    }[ending]
    content = pack(OTHER + line())
    left, records = without(content, f"a.jsonl{ending}")
    assert (unpack(left), records) == (OTHER, [2])
    assert without(content, f"a.jsonl{ending}")[0] == left
    assert records_of_people(io.BytesIO(left), f"a.jsonl{ending}", GONE) == frozenset()


def message(user: str) -> bytes:
    known = {"event_id": "e", "occurred_at_ms": 1767616200000, "track_id": "t", "device_id": "d", "user_id": user}
    encoded: bytes = play_event()(**known, user_agent="x" * 200).SerializeToString()
    assert 128 <= len(encoded) < 2**14
    return bytes([len(encoded) & 127 | 128, len(encoded) >> 7]) + encoded


def test_messages_of_people_go_and_all_others_stay() -> None:
    unreadable = b"\x0c\x2a\x0auser-1\xff\xff\xff\xff"
    content = message("user-2") + message("user-1") + unreadable + message("user-3")
    assert without(content, "a.pb") == (message("user-2") + message("user-3"), [2, 3])


def test_of_a_damaged_file_with_people_the_unreadable_rest_goes_too() -> None:
    whole = gzip.compress(OTHER * 3 + line() + OTHER * 3)
    damaged = whole[:-9]
    left, records = without(damaged, "a.jsonl.gz")
    assert gzip.decompress(left).count(b"user-1") == 0
    assert records[0] == 4
    assert len(records) == 2
    assert without(gzip.compress(OTHER)[:-9], "a.jsonl.gz")[1] == [], "nobody can tell who is in a rest"


def test_rows_of_accounts_go() -> None:
    header = b"user_id,country,tier,created_on\n"
    others = b'user-2,DE,free,2026-01-01\n"user-\n3",DE,free,2026-01-01\n'
    content = header + b"user-1,DE,free,2026-01-01\r\n" + others + b"user-1,DE,premium,2026-07-01\nuser-1\n"
    left = header + others + b"user-1,DE,premium,2026-07-01\n"
    assert rows_without_people(content, ACCOUNTS_PATH, GONE) == (left, 2)
    assert rows_without_people(left, ACCOUNTS_PATH, GONE) == (left, 0)


def test_a_file_whose_header_cannot_be_used_is_searched_line_by_line() -> None:
    content = b"user;country\nuser-1;DE\nuser-2;DE\n"
    assert rows_without_people(content, ACCOUNTS_PATH, GONE) == (b"user;country\nuser-2;DE\n", 1)
    assert rows_without_people(b"", ACCOUNTS_PATH, GONE) == (b"", 0)


def test_lines_of_incidents_go_by_id_and_by_pseudonym() -> None:
    from_file = "incident_id,status,attack_type,entity_type,entity_id,starts_at,ends_at,decided_by,decided_at,note\n"
    lines = [
        f"a,confirmed,bot_farm,device,{DEVICE},2026-01-01,2026-01-02,Ada,2026-01-03,\n",
        "a,confirmed,bot_farm,device,device-2,2026-01-01,2026-01-02,Ada,2026-01-03,\n",
        "b,confirmed,bot_farm,ip,::ffff:192.0.2.7,2026-01-01,2026-01-02,Ada,2026-01-03,\n",
        "b,confirmed,bot_farm,user,device-1,2026-01-01,2026-01-02,Ada,2026-01-03,\n",
    ]
    erased = people(erasure("device", "device-1", LATER), erasure("ip", "192.0.2.7", LATER))
    left, rows = rows_without_people((from_file + "".join(lines)).encode(), "incidents.csv", erased)
    assert (left.decode(), rows) == (from_file + lines[1] + lines[3], 2)
