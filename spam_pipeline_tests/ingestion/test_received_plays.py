import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from spam_pipeline.ingestion.addresses import networks_of
from spam_pipeline.ingestion.blocks import LONGEST_RECORD_BYTES
from spam_pipeline.ingestion.contracts import ReceivedPlays, Rejected
from spam_pipeline.ingestion.decode_protobuf import play_event
from spam_pipeline.ingestion.pseudonyms import keyed_hash
from spam_pipeline.ingestion.records import KEPT_BYTES
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.ingestion.landing import EVENT, HOUR, KEY, landed, plays_of, received, with_account

ABSENT = ...  # prints alike in every process, as the names of parametrized tests must


def line(**changes: Any) -> bytes:
    fields = {**EVENT, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ABSENT}).encode()


def message(**changes: Any) -> bytes:
    fields = {**EVENT, **changes}
    moment = fields.pop("occurred_at")
    if isinstance(moment, str):
        moment = int(datetime.fromisoformat(moment).timestamp() * 1000)
    present = {name: value for name, value in fields.items() if value is not None and value is not ABSENT}
    return play_event()(occurred_at_ms=moment, **present).SerializeToString()


def framed(*messages: bytes) -> bytes:
    return b"".join(varint(len(body)) + body for body in messages)


def varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def received_lines(root: Path, *lines: bytes) -> dict[str, pl.DataFrame]:
    return received(landed(root, f"{HOUR}a.jsonl", b"\n".join(lines)))


def accepted(parts: dict[str, pl.DataFrame]) -> int:
    return sum(frame.height for frame in plays_of(parts))


def reasons(parts: dict[str, pl.DataFrame]) -> list[tuple[int, str | None, str]]:
    frame = parts.get("rejected", pl.DataFrame(schema=["line", "field", "reason"]))
    return frame.select("line", "field", "reason").rows()


def test_a_play_is_received_with_keys_in_the_place_of_identifiers(tmp_path: Path) -> None:
    parts = received_lines(tmp_path, line())
    assert list(parts) == ["2026-01-05"]
    play = parts["2026-01-05"].row(0, named=True)

    def key(kind: str, value: str) -> int:
        return int(keyed_hash(pl.Series([value]), kind, KEY).item())

    assert play == {
        "event_id": "event-1",
        "occurred_at": datetime(2026, 1, 5, 12, 30, 0, 250_000, tzinfo=UTC),
        "arrival_hour": datetime(2026, 1, 5, 13, tzinfo=UTC),
        "track_id": "track-1",
        "track_key": key("track", "track-1"),
        "user_key": key("user", "user-1"),
        "device_key": key("device", "device-1"),
        "ip_key": key("ip", "192.0.2.44"),
        "network_key": key("network", networks_of(pl.Series(["192.0.2.44"])).item()),
        "is_hosting": None,
        "country": "DE",
        "user_agent": "Player/1.0",
        "user_agent_key": key("user_agent", "Player/1.0"),
        "client": "web",
        "source": "search",
        "ms_played": 31000,
        "unknown_fields": 0,
    }
    assert findings_about(ReceivedPlays, parts["2026-01-05"].lazy()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": None},
        {"schema_version": ABSENT},
        {"user_id": None, "ip": None, "country": None, "user_agent": None},
        {"user_id": ABSENT, "ip": ABSENT, "country": ABSENT, "user_agent": ABSENT},
        {"occurred_at": "2026-01-05t13:30:00+01:00"},
        {"occurred_at": "2026-01-05T12:30:00.123456789z"},
        {"occurred_at": "2026-01-01T00:00:00Z"},
        {"occurred_at": "2026-01-05T14:10:00Z"},
        {"occurred_at": 1767616200000},
        {"event_id": "é" * 64},
        {"track_id": '"quoted"\\\n\t😀'},
        {"track_id": "12"},
        {"ms_played": 0},
        {"ms_played": 2**63 - 1},
        {"ip": "::FFFF:192.0.2.44"},
    ],
    ids=str,
)
def test_every_allowed_value_is_accepted(tmp_path: Path, changes: dict[str, Any]) -> None:
    parts = received_lines(tmp_path, line(**changes))
    assert (accepted(parts), reasons(parts)) == (1, [])
    for frame in plays_of(parts):
        assert findings_about(ReceivedPlays, frame.lazy()) == []


@pytest.mark.parametrize(
    ("field", "values", "problem"),
    [
        ("schema_version", (0, 2), "expected 1"),
        ("schema_version", ("1", 1.0, True), "expected an integer"),
        ("event_id", (None, ABSENT, ""), "required"),
        ("event_id", ("e" * 65,), "longer than 64 characters"),
        ("event_id", (12, True, {"id": 1}, ["event-1"]), "expected a string"),
        ("event_id", ("\ud800", "a\udfff"), "expected a string without lone surrogates"),
        ("occurred_at", (None, ABSENT, ""), "required"),
        ("occurred_at", ("noon", "2026-01-05", "2026-01-05T12:30:00", "2026-02-30T12:30:00Z"), "expected RFC 3339"),
        ("occurred_at", ("2026-01-05T12:30:00+24:00", "2026-01-05T12:30:60Z", "1767616200000"), "expected RFC 3339"),
        ("occurred_at", (1767616200000.5, True, 10**30, {"at": 1}), "expected RFC 3339"),
        ("occurred_at", ("2025-12-31T23:59:59.999Z", 0, -1), "before the start date"),
        ("occurred_at", ("2026-01-05T14:10:00.001Z", 2**62), "more than 10 minutes after its arrival hour"),
        ("track_id", (None, ABSENT, ""), "required"),
        ("track_id", (7, [], {}), "expected a string"),
        ("user_id", (7, False, {"id": "user-1"}), "expected a string"),
        ("device_id", (None, ABSENT, ""), "required"),
        ("ip", ("", "192.0.2", "192.0.2.256", "localhost"), "expected an IPv4 or IPv6 address"),
        ("country", ("", "de", "XX", "DEU"), "expected an ISO 3166-1 alpha-2 code"),
        ("user_agent", (1, ["Player"]), "expected a string"),
        ("client", (1, ["web"]), "expected a string"),
        ("ms_played", (None, ABSENT), "required"),
        ("ms_played", (-1, -(2**62)), "expected 0 or more"),
        ("ms_played", ("12", 12.5, 12.0, True, [12], {}), "expected an integer"),
        ("ms_played", (2**63, 10**100, -(10**200)), "expected an integer of at most 64 bits"),
    ],
)
def test_every_rule_rejects_its_record_and_names_the_field(
    tmp_path: Path, field: str, values: tuple[Any, ...], problem: str
) -> None:
    broken = [line(**{field: value}) for value in values]
    parts = received_lines(tmp_path, line(), *broken, line())
    assert accepted(parts) == 2
    found = reasons(parts)
    assert [number for number, _, _ in found] == list(range(2, len(values) + 2))
    for _, named, reason in found:
        assert named == field
        assert reason.startswith(f"{field}: {problem}")
    assert findings_about(Rejected, parts["rejected"].lazy()) == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (line()[:-20], "not valid JSON"),
        (line() + b"}", "not valid JSON"),
        (line() + line(), "not valid JSON"),
        (line().replace(b"31000", b"NaN"), "not valid JSON"),
        (line().replace(b"31000", b'1, "x": Infinity'), "not valid JSON"),
        (line().replace(b"31000", b"031000"), "not valid JSON"),
        (line().replace(b"31000", b"31000\x00"), "not valid JSON"),
        (line().replace(b"track-1", b"track\x00"), "not valid JSON"),
        (line().replace(b"track-1", b"track\\x"), "not valid JSON"),
        (line().replace(b"track-1", b"track\xff"), "not valid UTF-8"),
        (line().replace(b"track-1", b"track\xed\xa0\x80"), "not valid UTF-8"),
        (b"\xff", "not valid UTF-8"),
        (b"{", "not valid JSON"),
        (b"null", "expected a JSON object"),
        (b'"text"', "expected a JSON object"),
        (b"[" + line() + b"]", "expected a JSON object"),
        (b'{"x":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b"x" * (LONGEST_RECORD_BYTES + 1), "longer than 1 MiB"),
        (line(user_agent="x" * LONGEST_RECORD_BYTES), "longer than 1 MiB"),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_is_no_record_is_rejected_alone(tmp_path: Path, broken: bytes, reason: str) -> None:
    parts = received_lines(tmp_path, line(), broken, line())
    assert accepted(parts) == 2
    assert reasons(parts) == [(2, None, reason)]
    assert parts["rejected_bytes"].rows() == [(f"{HOUR}a.jsonl", 2, broken[:KEPT_BYTES])]


def test_reasons_never_quote_what_was_sent(tmp_path: Path) -> None:
    parts = received_lines(tmp_path, line(ip="secret"), line(country="secret"), b'{"secret', b"\xffsecret")
    assert len(reasons(parts)) == 4
    assert "secret" not in str(parts["rejected"].rows())


def test_identifiers_and_addresses_leave_only_as_keys_or_in_the_private_part(tmp_path: Path) -> None:
    secrets = {"user_id": "secret-user", "device_id": "secret-device", "ip": "203.0.113.77"}
    parts = received_lines(tmp_path, line(**secrets), line(**secrets, ms_played=-1), line(**secrets)[:-1])
    public = str([frame.write_ndjson() for part, frame in parts.items() if part != "rejected_bytes"])
    assert len(parts["rejected_bytes"]) == 2
    assert not any(secret in public for secret in secrets.values())


def test_the_owner_of_a_network_is_told_and_no_address(tmp_path: Path) -> None:
    ips = {"88.198.7.21": True, "73.4.5.61": False, "2a01:4f8:10a:2::9": True, "10.20.30.41": None, None: None}
    (play,) = plays_of(received_lines(tmp_path, *(line(ip=ip) for ip in ips)))
    assert play["is_hosting"].to_list() == list(ips.values())
    published = play.write_ndjson()
    assert not any(part in published for part in ("88.198", "73.4.5", "4f8", "10.20.30", "Hetzner"))


def test_line_ends_blank_lines_and_a_byte_order_mark_are_nothing(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + line() + b"\r\n\r\n \t\n" + line() + b"\r\n{\r\n" + line()
    parts = received(landed(tmp_path, f"{HOUR}a.jsonl", content))
    assert accepted(parts) == 3
    assert reasons(parts) == [(5, None, "not valid JSON")]


NOTHING = [b"", b"\x00\x00", b" \x00\t", b"\x00" * 3_000]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_padding_is_nothing_and_lines_are_counted_with_it_however_they_end(tmp_path: Path, end: bytes) -> None:
    lines = [
        b"\x00" * 500 + line(),
        *NOTHING,
        line() + b"\x00" * 500,
        b"{",
        *NOTHING,
        line(ms_played=-1),
        b"\x00" * 5_000,
    ]
    parts = received(landed(tmp_path, f"{HOUR}a.jsonl", end.join(lines)))
    assert accepted(parts) == 2
    assert [number for number, _, _ in reasons(parts)] == [7, 12]


def test_lines_before_damage_are_counted_with_blank_ones(tmp_path: Path) -> None:
    content = gzip.compress(b"\r\n" + line() + b"\r\n\n \n") + b"garbage"
    parts = received(landed(tmp_path, f"{HOUR}a.jsonl.gz", content))
    assert reasons(parts) == [(5, None, "the gzip stream is followed by something else")]


def test_an_integer_of_thousands_of_digits_names_its_field(tmp_path: Path) -> None:
    digits = (
        line().replace(b"31000", b"9" * 5_000),
        line(occurred_at=1).replace(b": 1,", b": " + b"9" * 5_000 + b",", 1),
    )
    assert [field for _, field, _ in reasons(received_lines(tmp_path, *digits))] == ["ms_played", "schema_version"]


@pytest.mark.parametrize("ending", [".jsonl", ".pb"])
def test_an_empty_user_is_logged_out_and_an_empty_user_agent_unknown(tmp_path: Path, ending: str) -> None:
    changes = [{"user_id": "", "user_agent": ""}, {"user_id": " "}, {"user_id": None, "user_agent": None}]
    lines = b"\n".join(line(**change) for change in changes)
    messages = framed(*(message(**change) for change in changes))
    (play,) = plays_of(received(landed(tmp_path, f"{HOUR}a{ending}", lines if ending == ".jsonl" else messages)))
    assert play["user_key"].is_null().to_list() == [True, False, True]
    assert play["user_agent"].to_list() == [None, "Player/1.0", None]
    assert play["user_agent_key"].is_null().to_list() == [True, False, True]


def test_the_last_ending_tells_the_encoding(tmp_path: Path) -> None:
    assert accepted(received(landed(tmp_path, f"{HOUR}a.jsonl.pb", framed(message())))) == 1
    assert accepted(received(landed(tmp_path, f"{HOUR}a.pb.jsonl", line()))) == 1


def test_a_file_without_records_gives_nothing(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"\n", b"\xef\xbb\xbf", b" \r\n\n")):
        assert received(landed(tmp_path, f"{HOUR}{number}.jsonl", content)) == {}
    assert received(landed(tmp_path, f"{HOUR}a.pb", b"")) == {}


def test_unknown_clients_and_sources_become_other(tmp_path: Path) -> None:
    parts = received_lines(
        tmp_path,
        line(client="fridge", source="dream"),
        line(client=None, source=None),
        line(client=ABSENT, source=ABSENT),
    )
    assert parts["2026-01-05"].select("client", "source").rows() == [("other", "other")] * 3


@pytest.mark.parametrize(
    ("extra", "count"),
    [
        (b'"extra": 1', 1),
        (b'"extra": "a,b\\"c", "event_i": null, "event_idx": true, "": -1.5e3', 4),
        (b'"extra": {"event_id": 5, "x": [1]}', 1),
        (b'"extra": [{"a": 1}], "more": "\\ud83d\\ude00"', 2),
        (b'"extra": ' + b"1" * 5_000, 1),
        (b'"extra": [-' + b"9" * 5_000 + b"]", 1),
        (b'"extra": 1' + b"0" * 5_000 + b".5e999", 1),
        (b'"extra": 1e999, "more": -0.0E-999', 2),
        (b'"extra": "\\ud800", "\\udfff": 1', 2),
        (b'"extra": ' + b"[" * 500 + b"]" * 500, 1),
        (b'"extra": 1, "extra": 2', 2),
        (b'"event_id": "second"', 0),
        (b'"event_id": 12', 0),
    ],
)
def test_unknown_fields_are_ignored_and_counted(tmp_path: Path, extra: bytes, count: int) -> None:
    parts = received_lines(tmp_path, line()[:-1] + b", " + extra + b"}")
    play = parts["2026-01-05"].row(0, named=True)
    assert (play["unknown_fields"], play["event_id"], play["ms_played"]) == (count, "event-1", 31000)


def test_plays_go_to_the_part_of_their_day_in_the_order_of_the_file(tmp_path: Path) -> None:
    days = ["2026-01-05", "2026-01-04", "2026-01-05", "2026-01-02"]
    lines = [line(event_id=str(number), occurred_at=f"{day}T01:00:00Z") for number, day in enumerate(days)]
    lines.insert(1, line(event_id="odd", x={"y": 1}, occurred_at="2026-01-05T01:00:00Z"))
    parts = received_lines(tmp_path, *lines)
    assert {day: frame["event_id"].to_list() for day, frame in parts.items()} == {
        "2026-01-05": ["0", "odd", "2"],
        "2026-01-04": ["1"],
        "2026-01-02": ["3"],
    }


@pytest.mark.parametrize(("ending", "packed"), [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress)])
def test_both_encodings_and_every_compression_agree(
    tmp_path: Path, ending: str, packed: Callable[[bytes], bytes]
) -> None:
    variations: list[dict[str, Any]] = [
        {},
        {"user_id": None, "ip": None, "country": None, "user_agent": None},
        {"ms_played": 0, "client": "fridge"},
        {"ip": "2001:db8::1", "schema_version": 2},
        {"ms_played": ABSENT},
        {"event_id": ABSENT},
        {"country": "de", "ip": "nowhere"},
        {"occurred_at": "2025-12-31T23:59:59Z"},
    ]
    lines = b"\n".join(line(**changes) for changes in variations)
    messages = framed(*(message(**changes) for changes in variations))
    from_json = received(landed(tmp_path, f"{HOUR}a.jsonl{ending}", packed(lines)))
    from_protobuf = received(landed(tmp_path, f"{HOUR}a.pb{ending}", packed(messages)))
    assert from_json["2026-01-05"].equals(from_protobuf["2026-01-05"])
    assert accepted(from_json) == 3
    assert reasons(from_json) == reasons(from_protobuf)
    assert len(reasons(from_json)) == 5


@pytest.mark.parametrize(("ending", "packed"), [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_file_behind_a_url_gives_the_same_as_a_local_one(
    tmp_path: Path, ending: str, packed: Callable[[bytes], bytes]
) -> None:
    lines = b"\n".join([line(), b"broken", line(event_id="event-2")])
    local, remote = (
        received(landed(root, f"{HOUR}a.jsonl{ending}", packed(lines)))
        for root in (tmp_path, UPath(f"memory://{tmp_path}"))
    )
    assert accepted(local) == 2
    assert local.keys() == remote.keys()
    assert all(local[part].equals(remote[part]) for part in local)


def test_a_broken_message_is_rejected_alone(tmp_path: Path) -> None:
    broken = (b"\xff\xff", b"\x12\x05ab", b"\x12\x02\xff\xfe")
    parts = received(landed(tmp_path, f"{HOUR}a.pb", framed(message(), *broken, message())))
    assert accepted(parts) == 2
    assert reasons(parts) == [(number, None, "not a readable message") for number in (2, 3, 4)]


def test_unknown_fields_of_messages_are_counted(tmp_path: Path) -> None:
    extra = bytes([100 << 3 & 127 | 128, 100 << 3 >> 7, 1])
    parts = received(landed(tmp_path, f"{HOUR}a.pb", framed(message() + extra)))
    assert parts["2026-01-05"]["unknown_fields"].to_list() == [1]


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b"\xff" * 20, "no readable message length: nothing after it can be found"),
        (varint(LONGEST_RECORD_BYTES + 1) + b"x", "no readable message length: nothing after it can be found"),
        (varint(2**60), "no readable message length: nothing after it can be found"),
        (varint(300) + b"x", "the last message is cut off"),
        (b"\xff", "the last message is cut off"),
    ],
)
def test_after_a_broken_length_the_rest_of_the_file_is_one_record(tmp_path: Path, rest: bytes, reason: str) -> None:
    parts = received(landed(tmp_path, f"{HOUR}a.pb", framed(message(), message()) + rest))
    assert accepted(parts) == 2
    assert reasons(parts) == [(3, None, reason)]
    assert parts["rejected_bytes"]["raw"].to_list() == [rest]


def _spoiled(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + bytes(255 - byte for byte in packed[middle : middle + 50]) + packed[middle + 50 :]


@pytest.mark.parametrize("damage", [lambda packed: packed[:-30], _spoiled, lambda packed: packed + b"garbage"])
@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_what_came_out_of_a_damaged_stream_is_kept_and_the_rest_is_one_record(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes], damage: Callable[[bytes], bytes]
) -> None:
    lines = [line(event_id=f"event-{number * 7919 % 100_003}") for number in range(40_000)]
    whole = b"".join(pack(b"\n".join(lines[start : start + 10_000]) + b"\n") for start in range(0, 40_000, 10_000))
    parts = received(landed(tmp_path, f"{HOUR}a.jsonl{ending}", damage(whole)))
    assert accepted(parts) >= 10_000
    ids = [f"event-{number * 7919 % 100_003}" for number in range(accepted(parts))]
    assert parts["2026-01-05"]["event_id"].to_list() == ids
    ((number, field, reason),) = reasons(parts)
    assert (number, field) == (accepted(parts) + 1, None)
    assert "stream is" in reason


GARBAGE = b"text that is no stream at all " * 100
LONG_WINDOW = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)


def with_long_window(content: bytes) -> bytes:
    """What `zstd --long=28` gives, when it does not know the size."""
    packer = zstandard.ZstdCompressor(compression_params=LONG_WINDOW).compressobj()
    return packer.compress(content) + packer.flush()


def with_dictionary(content: bytes) -> bytes:
    trained = zstandard.train_dictionary(1024, [f"{number:09}{line()!r}".encode() for number in range(2_000)])
    return zstandard.ZstdCompressor(dict_data=trained).compress(content)


@pytest.mark.parametrize(
    ("ending", "content", "reason", "is_lost"),
    [
        (".jsonl.gz", b"", "the gzip stream is empty", False),
        (".jsonl.zst", b"", "the zstd stream is empty", False),
        (".pb.gz", b"", "the gzip stream is empty", False),
        (".jsonl.gz", GARBAGE, "not a gzip stream, though the file is named like one", True),
        (".jsonl.zst", GARBAGE, "not a zstd stream, though the file is named like one", True),
        (".jsonl.gz", zstandard.compress(line()), "not a gzip stream, though the file is named like one", True),
        (".jsonl.gz", b"\x00" * 512, "not a gzip stream, though the file is named like one", True),
        (".jsonl.zst", with_long_window(line()), "the zstd stream has a window larger than 128 MiB", True),
        (".jsonl.zst", with_dictionary(line()), "the zstd stream needs a dictionary", True),
        (".pb", b"\xff" * 700, "no readable message length", True),
        (".pb", b"\x00" * 700, "nothing but NUL bytes", True),
        (".jsonl", b"\x00" * 3_000_000, "nothing but NUL bytes", True),
        (".jsonl.zst", zstandard.compress(b"\x00" * 700), "nothing but NUL bytes", True),
    ],
    ids=[
        "no gzip",
        "no zstd",
        "no messages",
        "text as gzip",
        "text as zstd",
        "zstd as gzip",
        "zeros",
        "window",
        "dictionary",
        "no length",
        "messages of zeros",
        "lines of zeros",
        "packed zeros",
    ],
)
def test_a_file_that_cannot_be_read_is_lost_with_all_its_bytes_and_the_true_reason(
    tmp_path: Path, ending: str, content: bytes, reason: str, *, is_lost: bool
) -> None:
    parts = with_account(landed(tmp_path, f"{HOUR}a{ending}", content))
    account = parts["files"].row(0, named=True)
    assert account["damage"].startswith(reason)
    assert (account["accepted"], account["rejected"]) == (0, 1)
    assert account["is_cut_off"] is not is_lost
    assert account["bytes"] == len(content)
    assert account["lost_bytes"] == (len(content) if is_lost else 0)
    assert reasons(parts) == [(1, None, account["damage"])]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_what_is_lost_of_a_file_is_what_lies_behind_its_damage(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    streams = [pack(b"\n".join(line(event_id=f"{part}-{row}") for row in range(3_000)) + b"\n") for part in range(4)]
    content = streams[0] + b"garbage" + b"".join(streams[1:])
    account = with_account(landed(tmp_path, f"{HOUR}a.jsonl{ending}", content))["files"].row(0, named=True)
    assert (account["accepted"], account["rejected"]) == (3_000, 1)
    assert account["lost_bytes"] == len(content) - len(streams[0])
    assert account["damage"] == f"the {'gzip' if ending == '.gz' else 'zstd'} stream is followed by something else"


@pytest.mark.parametrize(
    ("ending", "content", "is_cut_off"),
    [
        (".jsonl.gz", gzip.compress(line())[:-3], True),
        (".jsonl.zst", zstandard.compress(line())[:-3], True),
        (".jsonl.gz", gzip.compress(line()) + b"garbage", False),
        (".pb", framed(message(), message())[:-3], True),
        (".pb", framed(message()) + b"\xff" * 20, False),
        (".jsonl", line()[:-3], False),
    ],
)
def test_a_file_is_cut_off_where_more_is_missing_than_its_unread_bytes(
    tmp_path: Path, ending: str, content: bytes, *, is_cut_off: bool
) -> None:
    account = with_account(landed(tmp_path, f"{HOUR}a{ending}", content))["files"].row(0, named=True)
    assert account["is_cut_off"] is is_cut_off


def test_a_file_of_several_batches_has_one_account(tmp_path: Path) -> None:
    wide = [line(user_agent="x" * 900_000)] * 140 + [b"{"]
    account = with_account(landed(tmp_path, f"{HOUR}a.jsonl", b"\n".join(wide)))["files"].row(0, named=True)
    assert (account["accepted"], account["rejected"]) == (140, 1)


def test_what_is_lost_of_messages_is_what_lies_behind_the_last_whole_one(tmp_path: Path) -> None:
    whole = framed(message(), message())
    account = with_account(landed(tmp_path, f"{HOUR}a.pb", whole + varint(300) + b"x"))["files"].row(0, named=True)
    assert (account["lost_bytes"], account["damage"]) == (3, "the last message is cut off")
    packed = gzip.compress(whole + b"\xff" * len(whole))
    account = with_account(landed(tmp_path, f"{HOUR}b.pb.gz", packed))["files"].row(0, named=True)
    assert account["lost_bytes"] == pytest.approx(len(packed) / 2, abs=1)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_nul_bytes_behind_a_stream_are_padding(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    content = pack(line() + b"\n") + b"\x00" * 4_000 + pack(line()) + b"\x00" * 4_000
    account = with_account(landed(tmp_path, f"{HOUR}a.jsonl{ending}", content))["files"].row(0, named=True)
    assert (account["accepted"], account["rejected"], account["damage"]) == (2, 0, None)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_decompression_bomb_is_one_line_that_is_too_long(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    content = line() + b"\n" + b" " * 60_000_000 + b"\n" + line()
    parts = received(landed(tmp_path, f"{HOUR}a.jsonl{ending}", pack(content)))
    assert accepted(parts) == 2
    assert reasons(parts) in ([], [(2, None, "longer than 1 MiB")])


PADDING = b"\x00 \t\r\x0b\x0c"

LINES = st.one_of(
    st.builds(lambda number: line(event_id=f"event-{number}"), st.integers(0, 9)),
    st.builds(
        lambda field, value: line(**{field: value}),
        st.sampled_from([*EVENT, "extra"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=20),
            st.lists(st.integers(), max_size=2),
            st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        ),
    ),
    st.builds(
        lambda position, change: line()[:position] + change + line()[position + len(change) :],
        st.integers(0, len(line())),
        st.binary(max_size=3),
    ),
    st.binary(max_size=30),
    st.sampled_from([b"", b" ", b"\t\r", b"\x0b", b"{}", b"null", b"1e999", b"\x00", b"{}\x00", b"\xef\xbb\xbf"]),
)


@given(lines=st.lists(LINES, max_size=30), end=st.sampled_from([b"", b"\n"]))
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_a_play_a_rejected_record_or_blank(tmp_path: Path, lines: list[bytes], end: bytes) -> None:
    content = b"\n".join(lines) + end
    parts = received(landed(tmp_path, f"{HOUR}a.jsonl", content))
    bare = content.removeprefix(b"\xef\xbb\xbf")
    physical = bare.split(b"\n" if b"\n" in bare else b"\r")
    there = {number: raw.strip(PADDING) for number, raw in enumerate(physical, start=1) if raw.strip(PADDING)}
    rejected = [number for number, _, _ in reasons(parts)]
    if content and not content.strip(b"\x00"):
        assert reasons(parts) == [(1, None, "nothing but NUL bytes")]
        return
    assert accepted(parts) + len(rejected) == len(there)
    assert len(set(rejected)) == len(rejected)
    if rejected:
        kept = {number: raw for _, number, raw in parts["rejected_bytes"].rows()}
        assert kept.keys() == set(rejected)
        assert all(there[number] == raw.strip(PADDING) for number, raw in kept.items())


@given(rest=st.binary(max_size=60), messages=st.integers(0, 3))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_stop_the_messages_before_them(tmp_path: Path, rest: bytes, messages: int) -> None:
    parts = received(landed(tmp_path, f"{HOUR}a.pb", framed(*[message()] * messages) + rest))
    assert accepted(parts) == messages
    assert bool(reasons(parts)) == bool(rest.strip(b"\x00") or (rest and not messages))
