import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pycountry
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.codes import CURRENCIES_SINCE, CURRENCIES_UNTIL, currency_codes
from spam_pipeline.ingestion.contracts import Accounts, Agreements, Incidents, Rejected, Revenue, Rights, Tracks
from spam_pipeline.ingestion.csv_rows import header_of, lines_of, rows_of
from spam_pipeline.ingestion.csv_tables import Column, Table, read_table
from spam_pipeline.ingestion.pseudonyms import keyed_hash
from spam_pipeline.ingestion.reference import (
    ENTITY_TYPES,
    Parts,
    accounts_by_month,
    agreements_by_month,
    all_rights,
    incidents_by_day,
    revenue_by_month,
    tracks_by_month,
)
from spam_pipeline.protocol import Contract
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.ingestion.landing import KEY, landed

TRACKS = "track_id,artist_id,title,isrc,duration_ms,uploaded_at\n"
RIGHTS = "track_id,payee_id,share_ppm,valid_from,valid_to\n"
AGREEMENTS = "payee_id,rule,valid_from\n"
ACCOUNTS = "user_id,country,tier,created_on\n"
REVENUE = "month,country,tier,currency,net_revenue_minor\n"
INCIDENTS = "incident_id,status,attack_type,entity_type,entity_id,starts_at,ends_at,decided_by,decided_at,note\n"

Read = Callable[[str | bytes], Parts]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Callable[..., Parts]], Read]:
    """Reads text as a landed file of one of the tables."""

    def reading(table: Callable[..., Parts]) -> Read:
        key = [] if table in (all_rights, agreements_by_month, revenue_by_month) else [KEY]

        def from_text(text: str | bytes) -> Parts:
            content = text if isinstance(text, bytes) else text.encode()
            return table(landed(tmp_path, "reference/table.csv", content), *key)

        return from_text

    return reading


def rows(parts: Parts, part: str) -> list[tuple[Any, ...]]:
    return parts[part].collect().rows()


def rejected(parts: Parts) -> list[tuple[int, str | None, str]]:
    frame = parts["rejected"].collect()
    assert findings_about(Rejected, frame.lazy()) == []
    return frame.select("line", "field", "reason").rows()


def key(kind: str, value: str) -> int:
    return int(keyed_hash(pl.Series([value]), kind, KEY).item())


def test_tracks_come_by_month_of_upload_with_their_key(read: Callable[..., Read]) -> None:
    parts = read(tracks_by_month)(
        TRACKS
        + "track-2,artist-1,Two,,0,2026-02-03T23:30:00-02:00\n"
        + 'track-1,artist-1,"One, ""quoted""",QZES72100001,1000,2026-01-31\n'
    )
    assert sorted(parts) == ["2026-01", "2026-02", "rejected"]
    assert rows(parts, "2026-01") == [
        ("track-1", key("track", "track-1"), "artist-1", 'One, "quoted"', "QZES72100001", 1000, date(2026, 1, 31))
    ]
    assert rows(parts, "2026-02")[0][-1] == date(2026, 2, 4)
    assert rejected(parts) == []


def test_rights_are_one_part_and_open_ends_are_null(read: Callable[..., Read]) -> None:
    parts = read(all_rights)(RIGHTS + "t,b,400000,2026-01-01,\nt,a,600000,2026-01-01,2026-12-31\n")
    assert rows(parts, "all") == [
        ("t", "a", date(2026, 1, 1), date(2026, 12, 31), 600000),
        ("t", "b", date(2026, 1, 1), None, 400000),
    ]


def test_agreements_come_by_the_month_in_which_they_begin(read: Callable[..., Read]) -> None:
    parts = read(agreements_by_month)(
        AGREEMENTS + "b,user_centric,2026-02-03\na,pro_rata,2026-02-28\na,user_centric,2025-07-01\n"
    )
    assert sorted(parts) == ["2025-07", "2026-02", "rejected"]
    assert rows(parts, "2026-02") == [
        ("a", date(2026, 2, 28), "pro_rata"),
        ("b", date(2026, 2, 3), "user_centric"),
    ]
    assert rows(parts, "2025-07") == [("a", date(2025, 7, 1), "user_centric")]


def test_two_agreements_of_a_payee_from_the_same_day_are_not_both_accepted(read: Callable[..., Read]) -> None:
    parts = read(agreements_by_month)(AGREEMENTS + "a,pro_rata,2026-02-01\na,user_centric,2026-02-01\n")
    assert rows(parts, "2026-02") == [("a", date(2026, 2, 1), "pro_rata")]
    assert rejected(parts) == [(3, "payee_id", "payee_id: repeats the key of an earlier row")]


def test_accounts_come_by_month_of_creation_without_their_user_id(read: Callable[..., Read]) -> None:
    parts = read(accounts_by_month)(ACCOUNTS + "user-1,DE,premium,2025-11-30\n")
    assert rows(parts, "2025-11") == [(key("user", "user-1"), "DE", "premium", date(2025, 11, 30))]


def test_revenue_comes_by_month(read: Callable[..., Read]) -> None:
    parts = read(revenue_by_month)(REVENUE + "2026-01,DE,free,EUR,12345\n")
    assert rows(parts, "2026-01") == [("2026-01", "DE", "free", "EUR", 12345)]


def test_an_incident_is_in_every_day_that_its_window_touches(read: Callable[..., Read]) -> None:
    parts = read(incidents_by_day)(
        INCIDENTS
        + "i,confirmed,loop bot,user,user-1,2026-01-05T22:00:00Z,2026-01-07T00:00:00Z,mira,2026-01-09,free text\n"
    )
    assert sorted(parts) == ["2026-01-05", "2026-01-06", "rejected"]
    declared = (
        "i",
        "user",
        key("user", "user-1"),
        datetime(2026, 1, 5, 22, tzinfo=UTC),
        datetime(2026, 1, 7, tzinfo=UTC),
        "confirmed",
        "loop bot",
        "mira",
        datetime(2026, 1, 9, tzinfo=UTC),
    )
    assert rows(parts, "2026-01-05") == [(date(2026, 1, 5), *declared)]
    assert rows(parts, "2026-01-06") == [(date(2026, 1, 6), *declared)]


@pytest.mark.parametrize(
    ("kind", "named", "hashed"),
    [
        ("user", "user-1", "user-1"),
        ("device", "device-1", "device-1"),
        ("track", "track-1", "track-1"),
        ("user_agent", "Bot, 1.0", "Bot, 1.0"),
        ("ip", "::ffff:192.0.2.44", "192.0.2.44"),
        ("ip", "2001:DB8::0:1", "2001:db8::1"),
    ],
)
def test_entities_have_the_keys_that_plays_have(read: Callable[..., Read], kind: str, named: str, hashed: str) -> None:
    parts = read(incidents_by_day)(INCIDENTS + f'i,cleared,a,{kind},"{named}",2026-01-05,2026-01-06,m,2026-01-09,\n')
    assert rows(parts, "2026-01-05")[0][3] == key(kind, hashed)


@pytest.mark.parametrize(
    ("table", "header", "line", "field", "problem"),
    [
        (tracks_by_month, TRACKS, ",a,T,,1,2026-01-01", "track_id", "required"),
        (tracks_by_month, TRACKS, "t,a,T,,-1,2026-01-01", "duration_ms", "expected a whole number"),
        (tracks_by_month, TRACKS, "t,a,T,,1.5,2026-01-01", "duration_ms", "expected a whole number"),
        (tracks_by_month, TRACKS, "t,a,T,,1,01.01.2026", "uploaded_at", "expected a date"),
        (tracks_by_month, TRACKS, "t,a,T,,1", "uploaded_at", "required"),
        (all_rights, RIGHTS, "t,a,1000001,2026-01-01,", "share_ppm", "expected a whole number from 0 to 1000000"),
        (all_rights, RIGHTS, "t,a,1,2026-01-02,2026-01-01", "valid_to", "before valid_from"),
        (all_rights, RIGHTS, "t,a,1,2026-01-01,soon", "valid_to", "expected a date"),
        (agreements_by_month, AGREEMENTS, "a,fan-powered,2026-01-01", "rule", "expected pro_rata or user_centric"),
        (agreements_by_month, AGREEMENTS, "a,pro_rata,2026-01", "valid_from", "expected a date"),
        (agreements_by_month, AGREEMENTS, "a,pro_rata,", "valid_from", "required"),
        (accounts_by_month, ACCOUNTS, "u,XX,free,2026-01-01", "country", "expected an ISO 3166-1"),
        (accounts_by_month, ACCOUNTS, "u,DE,gold,2026-01-01", "tier", "expected free or premium"),
        (accounts_by_month, ACCOUNTS, "u,DE,free,2026-02-30", "created_on", "expected a date"),
        (revenue_by_month, REVENUE, "2026-13,DE,free,EUR,1", "month", "expected a month"),
        (revenue_by_month, REVENUE, "2026-1,DE,free,EUR,1", "month", "expected a month"),
        (revenue_by_month, REVENUE, "2026-01,DE,free,EURO,1", "currency", "expected an ISO 4217"),
        (revenue_by_month, REVENUE, "2026-01,DE,free,EUR,-1", "net_revenue_minor", "expected a whole number"),
        (
            incidents_by_day,
            INCIDENTS,
            "i,s,a,user,u,2026-01-01,2026-01-02,m,2026-01-03,",
            "status",
            "expected suspected",
        ),
        (
            incidents_by_day,
            INCIDENTS,
            "i,cleared,a,cat,u,2026-01-01,2026-01-02,m,2026-01-03,",
            "entity_type",
            "expected",
        ),
        (
            incidents_by_day,
            INCIDENTS,
            "i,cleared,a,ip,u,2026-01-01,2026-01-02,m,2026-01-03,",
            "entity_id",
            "expected an",
        ),
        (incidents_by_day, INCIDENTS, "i,cleared,a,user,u,2026-01-01,,m,2026-01-03,", "ends_at", "required"),
        (incidents_by_day, INCIDENTS, "i,cleared,a,user,u,2026-01-02,2026-01-02,m,2026-01-03,", "ends_at", "not after"),
        (
            incidents_by_day,
            INCIDENTS,
            "i,cleared,a,user,u,2026-01-01,2027-03-01,m,2026-01-03,",
            "ends_at",
            "more than 400",
        ),
        (
            incidents_by_day,
            INCIDENTS,
            "i,cleared,a,user,u,yesterday,2026-01-02,m,2026-01-03,",
            "starts_at",
            "expected RFC",
        ),
    ],
)
def test_a_row_that_breaks_a_rule_is_rejected_with_its_line_and_column(  # noqa: PLR0913 - one case, spelled out
    *, read: Callable[..., Read], table: Callable[..., Parts], header: str, line: str, field: str, problem: str
) -> None:
    parts = read(table)(f"{header}{line}\n")
    ((number, named, reason),) = rejected(parts)
    assert (number, named) == (2, field)
    assert reason.startswith(f"{field}: {problem}")
    assert all(part in ("all", "rejected") for part in parts)


def test_of_rows_with_one_key_the_first_stays(read: Callable[..., Read]) -> None:
    parts = read(accounts_by_month)(ACCOUNTS + "u,DE,free,2026-01-01\nv,DE,free,2026-01-01\nu,FR,free,2026-02-01\n")
    assert sorted(parts) == ["2026-01", "rejected"]
    assert rejected(parts) == [(4, "user_id", "user_id: repeats the key of an earlier row")]


@pytest.mark.parametrize("kind", ENTITY_TYPES)
@pytest.mark.parametrize("written", ["key:00ff00000000a0b1", "key:00FF00000000A0B1"])
def test_an_entity_is_named_by_the_key_that_tables_show(read: Callable[..., Read], kind: str, written: str) -> None:
    parts = read(incidents_by_day)(INCIDENTS + f"i,cleared,a,{kind},{written},2026-01-05,2026-01-06,m,2026-01-09,\n")
    assert rows(parts, "2026-01-05")[0][2:4] == (kind, 0x00FF00000000A0B1)
    assert rejected(parts) == []


@pytest.mark.parametrize("entity_type", ENTITY_TYPES)
@pytest.mark.parametrize(
    "written", ["key:", "key:1", "key:00000000000000000", "key:000000000000000g", "key: 0000000000000001"]
)
def test_a_malformed_key_is_a_rejected_row(read: Callable[..., Read], entity_type: str, written: str) -> None:
    parts = read(incidents_by_day)(INCIDENTS + f"i,suspected,a,{entity_type},{written},2026-01-05,2026-01-06,,,\n")
    [(line, field, reason)] = rejected(parts)
    assert (line, field) == (2, "entity_id")
    assert reason.endswith("or key: and 16 hexadecimal digits")


def test_an_entity_named_by_its_id_and_by_its_key_is_one_entity(read: Callable[..., Read]) -> None:
    line = "i,cleared,a,device,{},2026-01-05,2026-01-06,m,2026-01-09,\n"
    by_key = f"key:{key('device', 'device-1'):016x}"
    parts = read(incidents_by_day)(INCIDENTS + line.format("device-1") + line.format(by_key))
    assert rejected(parts) == [(3, "incident_id", "incident_id: repeats the key of an earlier row")]
    assert len(rows(parts, "2026-01-05")) == 1


def test_two_spellings_of_an_address_are_one_entity(read: Callable[..., Read]) -> None:
    line = "i,cleared,a,ip,{},2026-01-05,2026-01-06,m,2026-01-09,\n"
    parts = read(incidents_by_day)(INCIDENTS + line.format("192.0.2.1") + line.format("::ffff:192.0.2.1"))
    assert [number for number, _, _ in rejected(parts)] == [3]


def test_a_row_that_was_rejected_does_not_take_the_key(read: Callable[..., Read]) -> None:
    parts = read(accounts_by_month)(ACCOUNTS + "u,XX,free,2026-01-01\nu,DE,free,2026-01-01\n")
    assert len(rows(parts, "2026-01")) == 1


def test_other_columns_blank_lines_and_a_byte_order_mark_are_nothing(read: Callable[..., Read]) -> None:
    text = "\ufefftier,extra,user_id,created_on,country\r\nfree,,u,2026-01-01,DE\r\n\r\nfree,x,v,2026-01-01,ZZ\r\n"
    parts = read(accounts_by_month)(text)
    assert len(rows(parts, "2026-01")) == 1
    assert [(number, field) for number, field, _ in rejected(parts)] == [(4, "country")]


def test_line_breaks_within_quotes_count_as_lines(read: Callable[..., Read]) -> None:
    parts = read(tracks_by_month)(TRACKS + 't,a,"two\nlines",,1,2026-01-01\nu,a,T,,x,2026-01-01\n')
    assert [number for number, _, _ in rejected(parts)] == [4]


def test_a_missing_column_rejects_the_file_and_names_the_column(read: Callable[..., Read]) -> None:
    parts = read(accounts_by_month)("user_id,country,tier\nu,DE,free\n")
    assert rejected(parts) == [(1, "created_on", "created_on: no such column in this file")]
    assert list(parts) == ["rejected"]


@pytest.mark.parametrize("text", ["", "\n", ACCOUNTS, ACCOUNTS.strip()])
def test_an_empty_file_has_no_rows(read: Callable[..., Read], text: str) -> None:
    parts = read(accounts_by_month)(text)
    assert list(parts) == ["rejected"]
    assert rejected(parts) == []


@pytest.mark.parametrize(
    ("table", "header", "row"),
    [
        (revenue_by_month, REVENUE, "2026-01,US,premium,USD,20,240"),
        (revenue_by_month, REVENUE, "2026-01,US,premium,USD,20,"),
        (agreements_by_month, AGREEMENTS, "a,pro_rata,2026-01-01,x,y"),
        (accounts_by_month, ACCOUNTS, '"u",DE,free,2026-01-01,"x"'),
    ],
)
def test_a_row_with_more_values_than_the_header_is_rejected(
    read: Callable[..., Read], table: Callable[..., Parts], header: str, row: str
) -> None:
    ((line, field, reason),) = rejected(read(table)(f"{header}{row}\n"))
    cells, names = row.count(",") + 1, header.count(",") + 1
    assert (line, field, reason) == (2, None, f"{cells} values, the header has {names}")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_rows_are_read_however_their_lines_end(read: Callable[..., Read], end: str) -> None:
    lines = ACCOUNTS + "u,DE,free,2026-01-01\n\n  \nv,XX,free,2026-01-01\nw,DE,free,2026-01-02"
    parts = read(accounts_by_month)(lines.replace("\n", end))
    assert len(rows(parts, "2026-01")) == 2
    assert [number for number, _, _ in rejected(parts)] == [5]


def test_lines_that_end_in_several_ways_are_all_lines(read: Callable[..., Read]) -> None:
    parts = read(incidents_by_day)(
        INCIDENTS.replace("\n", "\r")
        + "".join(f"i{end!r},suspected,a,ip,192.0.2.1,2026-01-05,2026-01-06,,,{end}" for end in ("\r", "\r\n", "\n"))
    )
    assert len(rows(parts, "2026-01-05")) == 3


GOOD_TRACK = "{},a,T,X,1000,2026-01-01\n"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ('t1,a,"12" Mix",X,1000,2026-01-01\n', "text behind a closing quote"),
        ('t1,a,"12 Mix,X,1000,2026-01-01\n', "a quote that is not closed on its line"),
        ('t1,a,"",12" Mix"",X,1000,2026-01-01\n', "7 values, the header has 6"),
        ('t1,"a,"T",X,1000,2026-01-01\n', "text behind a closing quote"),
        (f't1,a,"{"x" * 140_000}\n', "a value longer than 128 KiB in quotes"),
    ],
    ids=["inches", "open", "doubled", "two fields", "long"],
)
def test_a_quote_that_is_misplaced_swallows_no_row(read: Callable[..., Read], wrong: str, reason: str) -> None:
    good = [GOOD_TRACK.format(f"t{number}") for number in range(2, 5)]
    parts = read(tracks_by_month)(TRACKS + wrong + good[0] + wrong.replace("t1", "t9") + good[1] + good[2])
    assert [row[0] for row in rows(parts, "2026-01")] == ["t2", "t3", "t4"]
    assert [(number, field) for number, field, _ in rejected(parts)] == [(2, None), (4, None)]
    assert all(text.startswith(reason) for _, _, text in rejected(parts))


def test_a_quote_that_closes_rows_later_swallows_none_of_them(read: Callable[..., Read]) -> None:
    parts = read(tracks_by_month)(
        TRACKS + 't1,a,"12,X,1000,2026-01-01\n' + GOOD_TRACK.format("t2") + 't3,a,7",X,1000,2026-01-01\n'
    )
    assert [row[0] for row in rows(parts, "2026-01")] == ["t2", "t3"]
    assert [number for number, _, _ in rejected(parts)] == [2]


@pytest.mark.parametrize("title", ["two\nlines", "three\r\n\r\nlines", 'with "quotes"\nand, commas', "\n"])
def test_a_value_in_quotes_may_have_lines_that_are_no_rows(read: Callable[..., Read], title: str) -> None:
    doubled = title.replace('"', '""')
    parts = read(tracks_by_month)(f'{TRACKS}t1,a,"{doubled}",X,1000,2026-01-01\n' + GOOD_TRACK.format("t2"))
    assert [row[3] for row in rows(parts, "2026-01")] == [title, "T"]
    assert rejected(parts) == []


def test_a_note_may_have_lines_behind_a_row_that_is_complete(read: Callable[..., Read]) -> None:
    window = "suspected,a,user,u,2026-01-05,2026-01-06,,"
    parts = read(incidents_by_day)(f'{INCIDENTS}i1,{window},"two\nlines"\ni2,{window},\n')
    assert [row[1] for row in rows(parts, "2026-01-05")] == ["i1", "i2"]
    assert rejected(parts) == []


@pytest.mark.parametrize("title", ['7" Mix', "it's", "a�b", "\U0001f600", " ", "Ünï", "\u2028", "\x85", "\x1c"])
def test_every_text_without_commas_is_a_title(read: Callable[..., Read], title: str) -> None:
    parts = read(tracks_by_month)(f"{TRACKS}t1,a,{title},X,1000,2026-01-01\n")
    assert [row[3] for row in rows(parts, "2026-01")] == [title]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift-jis"])
def test_rows_in_another_encoding_are_rejected_and_the_others_are_not(read: Callable[..., Read], encoding: str) -> None:
    title = "日本" if encoding == "shift-jis" else "Ünï"
    text = TRACKS + GOOD_TRACK.format("t1") + f"t2,a,{title},X,1000,2026-01-01\n" + GOOD_TRACK.format("t3")
    parts = read(tracks_by_month)(text.encode(encoding))
    assert [row[0] for row in rows(parts, "2026-01")] == ["t1", "t3"]
    assert rejected(parts) == [(3, "title", "title: not readable as UTF-8")]


def test_bytes_of_a_column_that_nobody_reads_are_nothing(read: Callable[..., Read]) -> None:
    parts = read(incidents_by_day)(INCIDENTS.encode() + b"i,suspected,a,user,u,2026-01-05,2026-01-06,,,caf\xe9\n")
    assert len(rows(parts, "2026-01-05")) == 1


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (ACCOUNTS.encode("utf-16"), None, "encoded in UTF-16 or UTF-32, expected UTF-8"),
        (ACCOUNTS.encode("utf-32"), None, "encoded in UTF-16 or UTF-32, expected UTF-8"),
        (ACCOUNTS.encode("utf-16-le"), "user_id", "user_id: no such column in this file, which is not UTF-8 text"),
        (
            ACCOUNTS.replace(",", ";").encode(),
            "user_id",
            "user_id: no such column in this file, which is not separated by commas",
        ),
        (
            ACCOUNTS.replace(",", "\t").encode(),
            "user_id",
            "user_id: no such column in this file, which is not separated by commas",
        ),
        (
            ACCOUNTS.replace("tier", "tier ").encode(),
            "tier",
            "tier: no such column in this file, only one with blanks around its name or in other letters",
        ),
        (
            ACCOUNTS.replace("tier", "Tier").encode(),
            "tier",
            "tier: no such column in this file, only one with blanks around its name or in other letters",
        ),
        (
            ACCOUNTS.replace("tier", "tier,tier").encode(),
            "tier",
            "tier: more than one column of this name in this file",
        ),
        (
            b'"user_id,country\n',
            None,
            "a quote that is not closed on its line, nor on lines behind it that are no rows",
        ),
        (b"u,DE,free,2026-01-01\n", "user_id", "user_id: no such column in this file"),
    ],
)
def test_a_header_that_cannot_be_used_rejects_the_file_and_says_why(
    read: Callable[..., Read], content: bytes, field: str | None, reason: str
) -> None:
    parts = read(accounts_by_month)(content)
    assert list(parts) == ["rejected"]
    assert rejected(parts) == [(1, field, reason)]


def test_columns_that_nobody_reads_may_have_one_name_and_blank_lines_may_come_first(read: Callable[..., Read]) -> None:
    parts = read(accounts_by_month)(
        "\n \n" + ACCOUNTS.strip() + ",x,x,\nu,DE,free,2026-01-01,1,2,3\nv,XX,free,2026-01-01\n"
    )
    assert len(rows(parts, "2026-01")) == 1
    assert [number for number, _, _ in rejected(parts)] == [5]
    assert rejected(read(accounts_by_month)("\n\nuser_id\nu\n"))[0][:2] == (3, "country")


def test_padding_is_no_row(read: Callable[..., Read]) -> None:
    row = "u{},DE,free,2026-01-01"
    lines = [
        row.format(1) + "\x00" * 9,
        "\x00" * 9,
        "\x00" + row.format(2),
        ",,,",
        " \t",
        "u3,XX,free,2026-01-01",
        "\x00" * 5_000,
    ]
    parts = read(accounts_by_month)(ACCOUNTS + "\n".join(lines))
    assert len(rows(parts, "2026-01")) == 2
    assert [number for number, _, _ in rejected(parts)] == [7]


@pytest.mark.parametrize(
    ("month", "currency", "problem"),
    [
        ("2025-12", "BGN", None),
        ("2026-01", "BGN", None),
        ("2026-02", "BGN", "withdrawn before this month"),
        ("2022-12", "HRK", None),
        ("2023-02", "HRK", "withdrawn before this month"),
        ("2025-06", "ANG", None),
        ("2025-07", "ANG", "withdrawn before this month"),
        ("2025-02", "XCG", "not introduced by this month"),
        ("2025-03", "XCG", None),
        ("2025-07", "XCG", None),
        ("2024-03", "ZWL", None),
        ("2024-12", "ZWL", "withdrawn before this month"),
        ("2026-01", "EUR", None),
        *(
            (("2026-01", code, "expected an ISO 4217 code of money"))
            for code in ("XXX", "XTS", "XAU", "XBA", "DEM", "eur")
        ),
    ],
)
def test_a_currency_is_judged_for_its_month(
    read: Callable[..., Read], month: str, currency: str, problem: str | None
) -> None:
    parts = read(revenue_by_month)(f"{REVENUE}{month},DE,free,{currency},5\n")
    assert rejected(parts) == ([(2, "currency", f"currency: {problem}")] if problem else [])
    assert (month in parts) is (problem is None)


@pytest.mark.parametrize("currency", [*CURRENCIES_UNTIL, *CURRENCIES_SINCE])
def test_currencies_with_a_month_are_those_that_are_not_always_money(currency: str) -> None:
    assert currency in currency_codes()
    assert (currency in CURRENCIES_UNTIL) is (pycountry.currencies.get(alpha_3=currency) is None)


CELL = st.one_of(
    st.sampled_from(
        ["", "a", '"', '""', '"a"', '"a', 'a"', '"a,b"', '"a\nb"', '"a\nu9,DE,free,2026-01-01"', "\r", "\n", "\x00"]
    ),
    st.sampled_from(["DE", "free", "2026-01-01", "caf\udce9", "�", " "]),
    st.text(alphabet=',"\r\n \x00aé\u2028', max_size=6),
)
GOOD_ROW = st.integers(0, 99).map(lambda number: f"u{number},DE,free,2026-01-01")
LINE = st.one_of(GOOD_ROW, st.lists(CELL, max_size=6).map(",".join), st.text(max_size=8))


@example(lines=["\r\x00", "u0,DE,free,2026-01-01"], end="\n", last=False)
@given(lines=st.lists(LINE, max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]), last=st.booleans())
@settings(max_examples=300)
def test_every_row_of_whatever_is_landed_is_accepted_or_rejected(lines: list[str], end: str, *, last: bool) -> None:
    text = end.join([ACCOUNTS.strip(), *lines]) + (end if last else "")
    table = Table(
        {name: Column(pl.col(name), "text", is_optional=name != "created_on") for name in ACCOUNTS.strip().split(",")},
        key=["created_on", "user_id"],
    )
    content = text.encode(errors="surrogateescape")
    header = header_of(content, lines_of(content))
    assert header is not None
    found = rows_of(lines_of(content), header, ["created_on"])
    physical = [part.strip("\x00") for part in re.split(r"\r\n|\r|\n", text)]
    complete = {number for number, part in enumerate(physical, 1) if number > 1 and is_surely_a_row(part)}
    assert complete <= found.cells.keys() ^ found.broken.keys()
    assert all(physical[line - 1].strip(" \t\x00") for line in found.cells.keys() | found.broken.keys())
    read = read_table(content, "reference/accounts.csv", table)
    assert read.rows.height + read.rejected.height == len(found.cells) + len(found.broken)
    assert read.rejected["line"].is_unique().all()


def is_surely_a_row(line: str) -> bool:
    """Every line with a value for each required column is a row of its own, whatever the quotes around it say."""
    return line.count(",") >= 3 and bool(line.replace(",", "").replace('"', "").strip(" \t\x00"))


def test_bytes_that_are_not_utf8_reject_their_row(read: Callable[..., Read]) -> None:
    parts = read(tracks_by_month)(TRACKS.encode() + b"t,a,\xff,,1,2026-01-01\nu,a,T,,1,2026-01-01\n")
    assert rejected(parts) == [(2, "title", "title: not readable as UTF-8")]
    assert len(rows(parts, "2026-01")) == 1


@pytest.mark.parametrize(
    "wrong", ['w,a,T"itle,,x,2026-01-01', 'w,a,"T"itle,,x,2026-01-01', 'w,a,"never closed,,1,2026-01-01']
)
def test_a_misplaced_quote_does_not_take_the_rows_before_it(read: Callable[..., Read], wrong: str) -> None:
    parts = read(tracks_by_month)(f"{TRACKS}t,a,T,,1,2026-01-01\n\n{wrong}\n")
    assert len(rows(parts, "2026-01")) == 1
    assert [number for number, _, _ in rejected(parts)] == [4]


def test_a_quote_that_is_never_closed_costs_its_own_row_only(read: Callable[..., Read]) -> None:
    good = "".join(f"t{number},p,1000000,2026-01-01,\n" for number in range(6))
    parts = read(all_rights)(RIGHTS + 't,"p,1000000,2026-01-01,\n' + good)
    assert [row[0] for row in rows(parts, "all")] == [f"t{number}" for number in range(6)]
    assert [number for number, _, _ in rejected(parts)] == [2]


def test_a_suspected_incident_needs_no_decision_and_a_decided_one_does(read: Callable[..., Read]) -> None:
    window = "loop bot,user,user-1,2026-01-05,2026-01-06,,,"
    parts = read(incidents_by_day)(INCIDENTS + f"i,suspected,{window}\nj,confirmed,{window}\n")
    assert [row[1:2] + row[-2:] for row in rows(parts, "2026-01-05")] == [("i", None, None)]
    assert [number for number, _, _ in rejected(parts)] == [3]


def test_a_quote_that_swallows_too_much_costs_the_rest_of_the_file_only(read: Callable[..., Read]) -> None:
    parts = read(tracks_by_month)(f'{TRACKS}t,a,T,,1,2026-01-01\nw,a,"{"x" * 200_000},,1,2026-01-01\n')
    assert len(rows(parts, "2026-01")) == 1
    assert [number for number, _, _ in rejected(parts)] == [3]


@pytest.mark.parametrize(
    ("table", "contract", "text"),
    [
        (tracks_by_month, Tracks, TRACKS + "t,a,T,,1,2026-01-01\n"),
        (all_rights, Rights, RIGHTS + "t,a,1,2026-01-01,\n"),
        (agreements_by_month, Agreements, AGREEMENTS + "a,pro_rata,2026-01-01\n"),
        (accounts_by_month, Accounts, ACCOUNTS + "u,DE,free,2026-01-01\n"),
        (revenue_by_month, Revenue, REVENUE + "2026-01,JP,premium,JPY,0\n"),
        (incidents_by_day, Incidents, INCIDENTS + "i,suspected,a,user,u,2026-01-01,2026-01-02,m,2026-01-03,n\n"),
    ],
)
def test_every_part_keeps_its_contract(
    read: Callable[..., Read], table: Callable[..., Parts], contract: type[Contract], text: str
) -> None:
    parts = read(table)(text)
    assert len(parts) == 2
    for part, frame in parts.items():
        assert findings_about(Rejected if part == "rejected" else contract, frame) == []
