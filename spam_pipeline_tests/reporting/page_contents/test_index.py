"""The index: the months, and of each what waits for somebody before what is decided."""

import polars as pl

from spam_pipeline.reporting.month import WAITS as SUSPECTED
from spam_pipeline.reporting.page_contents.index import indexed_months


def a_page(month: str, about: str, **figures: str) -> dict[str, object]:
    return {
        "month": month,
        "about": about,
        "figures": [{"name": name, "value": value} for name, value in figures.items()],
    }


def test_the_last_month_comes_first_and_in_it_what_waits_then_most_plays() -> None:
    pages = [
        a_page("2026-01", "", plays="5"),
        a_page("2026-02", "", plays="3,000", unknown="x"),
        a_page("2026-02", "decided", status="confirmed", plays="2,000"),
        a_page("2026-02", "few", status=SUSPECTED, plays="9"),
        a_page("2026-02", "many", status=SUSPECTED, plays="1,000"),
    ]
    last, first = indexed_months(pl.DataFrame(pages))
    assert (last["name"], first["name"]) == ("2026-02", "2026-01")
    assert last["figures"] == [("plays", "3,000")]
    assert [(row[0].words, row[1], row[2]) for row in last["incidents"]] == [
        ("many", SUSPECTED, "1,000"),
        ("few", SUSPECTED, "9"),
        ("decided", "confirmed", "2,000"),
    ]
