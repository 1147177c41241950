"""Pages as readers have them, on a phone in the dark and on a desktop in the light: nothing overflows, fails or keeps anybody out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.changes import Changes, delivered_page
from spam_pipeline.pages.comparison_page import page_of
from spam_pipeline.pages.page_builder import index_page
from spam_pipeline.pages.state import PipelineState, WaitingItem, page_with_state
from spam_pipeline.reporting.month import Month
from spam_pipeline.reporting.page_contents.index import indexed_months
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.reporting.reports import pages_of
from spam_pipeline_tests.browser import DESKTOP, PHONE, Chromium
from spam_pipeline_tests.compared_versions import COMPARISON
from spam_pipeline_tests.conftest import DAYS, open_home
from spam_pipeline_tests.reporting.page_contents.test_month import declared, month, statements, suspicions

LONG = "a-name-without-any-space-" * 8
THEN = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
WAITS = WaitingItem(
    LONG, LONG, "yesterday", LONG, LONG, f"spam-pipeline {LONG}", f"http://x/{LONG}", f"http://y/{LONG}"
)


def everything() -> Month:
    """A month whose names are long, with something in every section and under every fold."""
    payouts = [("EUR", "agreed", "payout", f"payee-{number:02}{LONG}", "", 10**12 - number) for number in range(30)]
    withheld = [("IDR", "agreed", "withheld", "x", "incident-7", 10**13)]
    return month(LONG)._replace(
        incidents=declared("decided", ["ip", "user"]),
        suspicions=suspicions([("incident-7", "behaviour", 3)]),
        statements=statements([*payouts, *withheld]),
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A month, its incidents and the index, as they are delivered after a change; and a comparison."""
    folder = tmp_path_factory.mktemp("reports")
    rows = pages_of(everything()).collect()
    found = {}
    for name, about, page, listed in rows.select("month", "about", "page", "figures").rows():
        figures = [(figure["name"], figure["value"]) for figure in listed]
        before = [(figure, "1") for figure, _ in figures]
        found[place_of(name, about)] = delivered_page(page, "r", Changes(name, THEN, before, figures, [LONG]))
    found["index.html"] = page_with_state(index_page(indexed_months(rows)), PipelineState(THEN, 3, 2, [WAITS]))
    found["comparison.html"] = page_of([COMPARISON])
    for place, text in found.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    return [folder / place for place in found]


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESKTOP, False)], ids=["phone in the dark", "desktop"])
def test_a_page_fits_its_window_fails_nowhere_and_keeps_nobody_out(
    pages: list[Path], chromium: Chromium, width: int, *, dark: bool
) -> None:
    with chromium.window(width, dark=dark) as window:
        for page in pages:
            window.page.goto(page.as_uri())
            window.page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
            assert (window.overflow(), window.errors, window.violations()) == (0, [], []), page.name


def test_what_is_folded_opens_where_an_address_leads_to_it_and_values_of_charts_are_printed(
    pages: list[Path], chromium: Chromium
) -> None:
    with chromium.window() as window:
        window.page.goto(pages[0].as_uri())
        payee = window.page.locator("td", has_text="payee-25")
        assert not payee.is_visible()
        payee.evaluate("cell => { cell.id = 'payee'; location.hash = 'payee' }")
        payee.wait_for(state="visible")
        values = window.page.locator("figure td", has_text="2026-01-01")
        assert not values.is_visible()
        window.page.emulate_media(media="print")
        assert (values.is_visible(), window.page.locator("nav").is_visible()) == (True, False)


def test_the_numbers_on_a_month_s_page_are_those_that_are_published(converged_home: Path, chromium: Chromium) -> None:
    pipeline = open_home(converged_home)
    plays = pipeline.read("daily_plays", DAYS).sum().collect().row(0, named=True)
    money = pipeline.read("royalty_statements", "2026-01").filter(rule="agreed")
    paid = money.filter(line="payout").group_by("currency").agg(pl.col("amount_minor").sum()).collect()
    usage = pipeline.read("royalty_usage", pipeline.partitions("royalty_usage")).filter(status="withheld")
    with chromium.window() as window:
        window.page.goto((converged_home / "reports" / "2026-01.html").as_uri())
        shown = dict(
            zip(*(window.page.locator(f".figures {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True)
        )
        rows: list[list[str]] = window.page.evaluate(
            "[...document.querySelectorAll('tr')].map(row => [...row.children].map(cell => cell.textContent.trim()))"
        )
    assert number(shown, "plays") == plays["plays"]
    assert number(shown, "plays without spam") == plays["plays_without_spam"]
    assert number(shown, "plays withheld") == usage.select(pl.col("plays").sum()).collect().item()
    assert paid.height > 1
    for currency, amount in paid.rows():
        assert [currency, as_amount(amount, currency)] in [row[:2] for row in rows]
    assert sum(int(row[1].replace(",", "")) for row in rows if row[0] in DAYS) == plays["plays"]


def number(figures: Mapping[str, str], name: str) -> int:
    return int(figures[name].split("\n")[0].replace(",", ""))
