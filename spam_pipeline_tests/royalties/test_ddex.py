"""The month's DDEX sales report: a reader of its own finds in it every play there was, and nothing else."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.contracts import Accounts, Revenue, Tracks
from spam_pipeline.protocol import Contract, column_types
from spam_pipeline.royalties.contracts import RoyaltyStatements, RoyaltyUsage
from spam_pipeline.royalties.ddex import UNREGISTERED, Heard, Message, Sender, is_party_id, write_sales_report
from spam_pipeline_tests.royalties.dsr_reader import Report, read_report

MONTH = "2026-01"
DAY = date(2026, 1, 10)
MESSAGE = Message(MONTH, "an id of its own", datetime(2026, 2, 5, 10, 11, 12, tzinfo=UTC), UNREGISTERED)
STATUSES = ("earning", "withheld", "spam", "short")

Play = tuple[str, str, str, str, int]
"""Track, country, tier, status and plays."""


def frame(contract: type[Contract], rows: Iterable[tuple[object, ...]]) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema=column_types(contract), orient="row")


def heard(
    plays: Iterable[Play] = (),
    revenue: Iterable[tuple[str, str, str, int]] = (),
    tracks: Iterable[tuple[str, str, str, str | None, int]] = (),
    conflicts: Iterable[tuple[str, str]] = (),
    premium_accounts: int = 0,
) -> Heard:
    usage = [
        (country, tier, number, True, track, DAY, DAY, status, "", count, count * 40_000)
        for number, (track, country, tier, status, count) in enumerate(plays)
    ]
    lines = [(MONTH, "DE", "free", "EUR", "agreed", line, "", track, "", 1, 1, 1, 1) for line, track in conflicts]
    return Heard(
        usage=frame(RoyaltyUsage, usage),
        statement=frame(RoyaltyStatements, lines),
        revenue=frame(Revenue, [(MONTH, *pool) for pool in revenue]),
        accounts=frame(Accounts, [(key, "DE", "premium", DAY) for key in range(premium_accounts)]),
        tracks=frame(
            Tracks, [(track, 1, artist, title, isrc, length, DAY) for track, artist, title, isrc, length in tracks]
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


def written(folder: Path, month: Heard) -> Report:
    write_sales_report(folder / "report.tsv.gz", MESSAGE, month)
    return read_report(folder / "report.tsv.gz")


def shown(text: str) -> str:
    """Text without the characters that no string of the standard has."""
    return "".join(" " if unicodedata.category(one) in {"Cc", "Zl", "Zp"} else one for one in text).strip()


identifiers = st.text(min_size=1, max_size=6).filter(shown)
hostile = st.lists(st.sampled_from(["\t", "\n", "\r\n", "|", "\\", '"', "#", "=", " ", "é", "\u2028", "深"])).map(
    "".join
)
plays_of_a_month = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "|", "c\\", "unknown"]),
        st.sampled_from(["DE", "JP", "ZZ"]),
        st.sampled_from(["free", "premium"]),
        st.sampled_from(STATUSES),
        st.integers(1, 10**9),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(plays=plays_of_a_month)
def test_the_streams_of_the_file_are_the_plays_of_the_month(folder: Path, plays: list[Play]) -> None:
    naive: Counter[tuple[str, str, str, str]] = Counter()
    for track, country, tier, status, count in plays:
        naive[track, "Worldwide" if country == "ZZ" else country, tier, status] += count
    pools = [("DE", "premium", "EUR", 100), ("DE", "premium", "CHF", 100), ("KW", "free", "KWD", 5)]
    assert written(folder, heard(plays, pools)).streams() == naive


@given(track=identifiers, title=st.one_of(hostile, st.text()), artist=identifiers)
@settings(max_examples=100)
def test_any_title_can_be_read_back(folder: Path, track: str, title: str, artist: str) -> None:
    plays = [(track, "DE", "free", "earning", 1), ("other", "DE", "free", "earning", 2)]
    report = written(folder, heard(plays, tracks=[(track, artist, title, None, 1)]))
    (resource,) = [cells for cells in report.resources if cells[3] == shown(track)][:1]
    assert (resource[5], resource[7]) == (shown(title) or shown(track), shown(artist))
    assert sum(item.streams for item in report.usage) == 3


def test_what_earns_nothing_stands_beside_what_is_paid(folder: Path) -> None:
    plays = [("a", "DE", "free", status, count) for count, status in enumerate(STATUSES, start=1)]
    report = written(folder, heard(plays))
    assert len(report.resources) == 1
    told = {item.transaction: (item.is_royalty_bearing, item.streams) for item in report.usage}
    assert told == {
        "1.1.earning": (True, 1),
        "1.1.short": (False, 4),
        "1.1.spam": (False, 3),
        "1.1.withheld": (False, 2),
    }


def test_a_pool_is_a_summary_with_its_revenue_in_units_of_its_currency(folder: Path) -> None:
    pools = [("KW", "premium", "KWD", 1234), ("JP", "free", "JPY", 1234), ("DE", "premium", "EUR", 0)]
    report = written(folder, heard([("a", "DE", "premium", "earning", 7)], pools, premium_accounts=3))
    told = [(cells[4], cells[6], cells[7], cells[8], cells[9], cells[10], cells[11]) for cells in report.summaries]
    assert told == [
        ("SubscriptionModel", "DE", "premium", "7", "3", "EUR", "0"),
        ("AdvertisementSupportedModel", "JP", "free", "0", "", "JPY", "1234"),
        ("SubscriptionModel", "KW", "premium", "0", "0", "KWD", "1.234"),
    ]


def test_who_pays_in_two_currencies_is_heard_once(folder: Path) -> None:
    pools = [("DE", "premium", "EUR", 500), ("DE", "premium", "CHF", 300)]
    report = written(folder, heard([("a", "DE", "premium", "earning", 7)], pools))
    assert [(cells[10], cells[8], cells[11]) for cells in report.summaries] == [
        ("CHF", "7", "3.00"),
        ("EUR", "0", "5.00"),
    ]
    assert [(item.summary[10], item.streams) for item in report.usage] == [("CHF", 7)]


def test_an_audience_without_revenue_and_a_listener_from_nowhere_are_reported_too(folder: Path) -> None:
    (summary,) = written(folder, heard([("a", "ZZ", "free", "short", 7)])).summaries
    assert (summary[6], summary[8], summary[10], summary[11]) == ("Worldwide", "7", "XXX", "0")


@pytest.mark.parametrize(
    ("isrc", "told"),
    [("DEA012612345", "DEA012612345"), ("de-a01-26-12345", "DEA012612345"), ("none", ""), (None, "")],
)
def test_an_isrc_is_told_as_its_standard_writes_it_or_not_at_all(folder: Path, isrc: str | None, told: str) -> None:
    report = written(folder, heard([("a", "DE", "free", "earning", 1)], tracks=[("a", "x", "A", isrc, 1)]))
    assert report.resources[0][4] == told


@pytest.mark.parametrize(
    ("length", "told"), [(182_000, "PT182S"), (182_500, "PT182.5S"), (1, "PT0.001S"), (60_010, "PT60.01S")]
)
def test_the_length_of_a_track_is_exact(folder: Path, length: int, told: str) -> None:
    report = written(folder, heard([("a", "DE", "free", "earning", 1)], tracks=[("a", "x", "A", None, length)]))
    assert report.resources[0][9] == told


def test_a_track_that_the_catalogue_does_not_know_is_called_by_its_id(folder: Path) -> None:
    (resource,) = written(folder, heard([("a", "DE", "free", "earning", 1)])).resources
    assert (resource[3], resource[4], resource[5], resource[7], resource[9]) == ("a", "", "a", "", "")


def test_a_track_whose_rights_are_broken_is_in_conflict_when_the_month_ends(folder: Path) -> None:
    plays = [(track, "DE", "free", "earning", 1) for track in ("a", "b", "c")]
    report = written(folder, heard(plays, conflicts=[("escrow", "b"), ("withheld", "c"), ("unclaimed", "")]))
    assert [(cells[3], cells[22], cells[23]) for cells in report.resources] == [
        ("a", "false", ""),
        ("b", "true", "2026-01-31"),
        ("c", "true", "2026-01-31"),
    ]


@pytest.mark.parametrize("pools", [[], [("DE", "free", "EUR", 100)]], ids=["without revenue", "with revenue"])
def test_a_month_in_which_nothing_was_heard_says_so(folder: Path, pools: list[tuple[str, str, str, int]]) -> None:
    report = written(folder, heard(revenue=pools))
    assert [cells[8] for cells in report.summaries] == ["0"]
    assert report.usage == []


def test_the_head_says_which_month_and_who_sends(folder: Path) -> None:
    message = MESSAGE._replace(sender=Sender("PADPIDA2014111801Y", "Ann\tand|Bob"))
    assert message.file_name == "DSR__PADPIDA2014111801Y_free-premium_2026-01_Worldwide_1of1_20260205T101112.tsv.gz"
    write_sales_report(folder / message.file_name, message, heard())
    head = read_report(folder / message.file_name).head
    assert head[4:6] == ["an id of its own", "2026-02-05T10:11:12Z"]
    assert head[8:12] == ["2026-01-01", "2026-01-31", "PADPIDA2014111801Y", "Ann and|Bob"]


def test_the_same_month_is_the_same_bytes_whatever_the_order_of_its_rows(folder: Path) -> None:
    plays = [(track, country, "free", status, 3) for track in "dbca" for country in ("JP", "DE") for status in STATUSES]
    pools = [("DE", "free", "EUR", 1), ("JP", "free", "JPY", 2)]
    month = heard(plays, pools)
    backwards = Heard(*(part.reverse() for part in month))
    counts = [write_sales_report(folder / name, MESSAGE, one) for name, one in (("1.gz", month), ("2.gz", backwards))]
    assert counts[0] == counts[1] == (1 + 2 + 4 + 32 + 1, 2, 4)
    assert (folder / "1.gz").read_bytes() == (folder / "2.gz").read_bytes()
    assert {path.suffix for path in folder.iterdir()} == {".gz"}


def test_a_month_larger_than_one_batch_keeps_each_track_in_one_block(folder: Path) -> None:
    plays = [("0", "DE", "free", "spam", 1)]
    plays += [
        (f"{track:06}", "DE", "free", status, track) for track in range(1, 26_001) for status in ("earning", "short")
    ]
    report = written(folder, heard(plays))
    assert len(report.resources) == 26_001
    assert sum(item.streams for item in report.usage) == 1 + 26_000 * 26_001


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("PADPIDA2014122301Q", True),
        ("PADPIDA3897722461G", True),
        (UNREGISTERED.party_id, True),
        ("PADPIDA2014122310Q", False),
        ("PADPIDA2014122301", False),
        ("PA-DPIDA-2014122301-Q", False),
        ("PADPIDA201412230\u0661Q", False),
    ],
)
def test_a_party_identifier_with_a_typing_error_is_none(text: str, *, is_one: bool) -> None:
    assert is_party_id(text) is is_one
