from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spam_pipeline.ingestion.contracts import Accounts, Agreements, Incidents, Rejected, Revenue, Rights, Tracks
from spam_pipeline.ingestion.pseudonyms import keyed_hash
from spam_pipeline.ingestion.reference import (
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
    expected = (
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
    assert rows(parts, "2026-01-05") == rows(parts, "2026-01-06") == [expected]


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
    assert rows(parts, "2026-01-05")[0][2] == key(kind, hashed)


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


def test_two_spellings_of_an_address_are_one_entity(read: Callable[..., Read]) -> None:
    line = "i,cleared,a,ip,{},2026-01-05,2026-01-06,m,2026-01-09,\n"
    parts = read(incidents_by_day)(INCIDENTS + line.format("192.0.2.1") + line.format("::ffff:192.0.2.1"))
    assert [number for number, _, _ in rejected(parts)] == [3]


def test_a_row_that_was_rejected_does_not_take_the_key(read: Callable[..., Read]) -> None:
    parts = read(accounts_by_month)(ACCOUNTS + "u,XX,free,2026-01-01\nu,DE,free,2026-01-01\n")
    assert len(rows(parts, "2026-01")) == 1


def test_other_columns_blank_lines_and_a_byte_order_mark_are_nothing(read: Callable[..., Read]) -> None:
    text = "\ufefftier,extra,user_id,created_on,country\r\nfree,,u,2026-01-01,DE\r\n\r\nfree,x,v,2026-01-01,ZZ,more\r\n"
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
    assert [(row[0], row[-2], row[-1]) for row in rows(parts, "2026-01-05")] == [("i", None, None)]
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
