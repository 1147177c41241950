"""The page of a month: what stands on it, and that it is a page whatever people are called."""

from collections.abc import Iterable
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl

from spam_pipeline.reporting.contracts import DailyPlays, SpamByType
from spam_pipeline.reporting.month_report import MONTH_REPORT
from spam_pipeline.reporting.pages.month_page import month_page
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, PRO_RATA, USER_CENTRIC, WITHHELD, RoyaltyStatements
from spam_pipeline_tests.conftest import CommandLine, open_home

HOSTILE = "<script>alert('& \"')</script>"


def plays(rows: Iterable[tuple[int, str, int, int]]) -> pl.DataFrame:
    names = ("event_day", "country", "plays", "plays_without_spam")
    listed = [dict(zip(names, (date(2026, 1, day), *rest), strict=True)) for day, *rest in rows]
    return pl.DataFrame(listed, schema=DailyPlays.empty().select(names).collect_schema())


def spam(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    schema = SpamByType.empty().select("country", "attack_type", "plays").collect_schema()
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def statements(rows: Iterable[tuple[str, str, str, str, str, int]]) -> pl.DataFrame:
    names = ("currency", "rule", "line", "payee_id", "incident_id", "amount_minor")
    return pl.DataFrame(list(rows), schema=RoyaltyStatements.empty().select(names).collect_schema(), orient="row")


def adjustments(rows: Iterable[tuple[str, str, int]]) -> pl.DataFrame:
    schema = {"currency": pl.String, "reason": pl.String, "amount_minor": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


class Tables(HTMLParser):
    """The cells of every row of a page, the names of its elements, and where it would load something from."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: set[str] = set()
        self.addresses: list[str | None] = []
        self.is_in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.elements.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.is_in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self.is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self.is_in_cell:
            self.rows[-1][-1] += data


def page_with(name: str) -> str:
    money = [
        ("EUR", rule, PAYOUT, name, "", amount)
        for rule, amount in ((AGREED, 1500), (PRO_RATA, 1400), (USER_CENTRIC, 1600))
    ]
    return month_page(
        "2026-01",
        plays([(1, "DE", 1000, 900), (1, "FR", 10, 10), (2, "DE", 2000, 1000)]),
        spam([("DE", name, 600), ("DE", name, 300), ("DE", "", 50), ("FR", "", 150)]),
        statements([*money, ("EUR", AGREED, WITHHELD, name, "incident-7", 250)]),
        adjustments([("EUR", "incident, late data", 30), ("EUR", "incident, late data", -20)]),
    )


def test_a_page_has_plays_in_both_truths_money_by_every_rule_and_what_changed_and_why() -> None:
    page = page_with("payee-1")
    rows = [row[:5] for row in Tables(page).rows]
    assert "3,010 plays on 2 days; 1,100 of them (36.5%) are dropped as spam." in page
    assert ["DE", "3,000", "1,900", "1,100", "36.7%"] in rows
    assert ["EUR", "payee-1", "1,500", "1,400", "1,600"] in rows
    assert ["EUR", "incident-7", "250", "0", "0"] in rows
    assert ["payee-1", "900", "81.8%"] in rows
    assert ["none that fits", "200", "18.2%"] in rows
    assert ["DE", "payee-1", "900"] in rows
    assert ["DE", "none that fits", "50"] in rows
    assert ["EUR", "incident, late data", "2", "30", "-20"] in rows


def test_a_page_needs_nothing_else_and_has_a_line_for_each_truth() -> None:
    page = page_with("payee-1")
    read = Tables(page)
    assert read.addresses == []
    assert read.elements.isdisjoint({"script", "link", "img", "iframe"})
    assert page.count("<polyline") == 2
    assert page.count("<rect") == 4, "two types and two countries"


def test_names_are_text_whatever_they_are() -> None:
    read = Tables(page_with(HOSTILE))
    assert "script" not in read.elements
    assert ["EUR", HOSTILE, "1,500", "1,400", "1,600"] in [row[:5] for row in read.rows]


def test_the_order_of_rows_does_not_matter() -> None:
    days = plays([(1, "DE", 5, 5), (2, "FR", 5, 4), (3, "AT", 5, 4)])
    dropped = spam([("AT", "b", 1), ("FR", "b", 1), ("FR", "a", 1)])
    money = statements([("EUR", AGREED, PAYOUT, name, "", 5) for name in "abc"])
    pages = {
        month_page("2026-01", days[order], dropped[order], money[order], adjustments([]))
        for order in ([0, 1, 2], [2, 0, 1])
    }
    assert len(pages) == 1


def test_a_month_without_anything_has_a_page() -> None:
    page = month_page("2026-01", plays([]), spam([]), statements([]), adjustments([]))
    assert "0 plays on 0 days" in page
    assert page.count("<p>None.</p>") == 7


def test_a_page_is_kept_as_it_is(tmp_path: Path) -> None:
    page = page_with("Björk \r\n 🎵")
    MONTH_REPORT.write(page, tmp_path / "page.html")
    assert MONTH_REPORT.read(tmp_path / "page.html") == page


def test_the_page_of_a_month_is_put_beside_the_warehouse(spam_pipeline: CommandLine, own_home: Path) -> None:
    ended = spam_pipeline("report", "2026-01", home=own_home)
    place = own_home / "reports" / "2026-01.html"
    assert (ended.status, str(place) in ended.out.replace("\n", "")) == (0, True)
    assert place.read_text(encoding="utf-8") == open_home(own_home).read("month_reports", "2026-01")
    assert "Report of 2026-01" in place.read_text(encoding="utf-8")


def test_a_month_that_is_not_published_has_no_page(spam_pipeline: CommandLine, own_home: Path) -> None:
    ended = spam_pipeline("report", "2026-05", home=own_home)
    assert ended.status == 1
    assert "month_reports 2026-05 is not published" in ended.err.replace("\n", " ")
