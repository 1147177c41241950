"""The page of comparisons: everything is on it, nothing is fetched, and data is text."""

import re
from dataclasses import replace

import pytest

from spam_pipeline.pages.comparison_page import page_of
from spam_pipeline.protocol.operating import Comparison
from spam_pipeline_tests.compared_versions import COMPARISON, SAME, SEVERAL
from spam_pipeline_tests.pages.parsed_page import ParsedPage


def test_the_page_shows_versions_causes_rows_figures_and_the_findings_of_both() -> None:
    words = ParsedPage(page_of([COMPARISON])).words
    assert {
        "Comparison of classified_plays",
        "3fa2b1c43fa2",
        "refused",
        "code: model.score, polars 2.0 -> 2.1",
        "reasons (added)",
        "2 added, 0 removed, 60 changed, 940 unchanged; changed columns: class 60, reasons 7",
        "event_id e2: class legitimate -> spam",
        "spam_share",
        "+6 points",
        "DE 60.00% -> 40.00%, US <b> 40.00% -> 60.00%",
        "What audits found in 2026-01-05",
    } <= set(words)


def test_pictures_of_distributions_and_findings_are_part_of_the_page() -> None:
    page = ParsedPage(page_of([COMPARISON]))
    assert page.tags.count("svg") == 3
    assert "31.2, usual 1.4" in page.words
    assert ParsedPage(page_of([SAME])).tags.count("svg") == 2


@pytest.mark.parametrize("comparisons", [[], [COMPARISON], [SAME], [SEVERAL, COMPARISON]])
def test_the_page_needs_nothing_from_anywhere_and_runs_nothing(comparisons: list[Comparison]) -> None:
    text = page_of(comparisons)
    page = ParsedPage(text)
    assert not {"script", "link", "img", "iframe", "b", "t1"} & set(page.tags)
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(r"url\(|@import", text)


def test_of_many_partitions_each_has_a_row() -> None:
    words = ParsedPage(page_of([SEVERAL])).words
    assert {"2026-01-05", "2026-01-13", "nothing", "equal"} <= set(words)


def test_the_same_comparison_is_the_same_page() -> None:
    assert page_of([COMPARISON]) == page_of([COMPARISON])


def test_where_nothing_differs_the_page_says_so() -> None:
    assert {"Comparison of nothing", "Nothing differs."} <= set(ParsedPage(page_of([])).words)
    assert "Figures" not in ParsedPage(page_of([replace(SAME, figures=SAME.figures.__class__())])).words
