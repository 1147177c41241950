"""What a delivered page says of its past, and that the bare page can be had back from it."""

from datetime import UTC, datetime

import pytest

from spam_pipeline.pages.changes import (
    CHANGES,
    MADE_OF,
    bare_page,
    changes_section,
    delivered_page,
    recipe_of,
)
from spam_pipeline_tests.pages.parsed_page import HOSTILE, ParsedPage, a_page

SINCE = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("name", ["plays", HOSTILE, CHANGES, MADE_OF, "<!--changes-->", "\\1 \r\n"])
def test_a_delivered_page_remembers_its_version_and_gives_the_bare_page_back(name: str) -> None:
    bare = a_page(name, [(name, name)])
    for section in ("", changes_section("2026-02", SINCE, [(name, "1")], [(name, "2")], [name])):
        page = delivered_page(bare, "recipe-1", section)
        assert (recipe_of(page), bare_page(page)) == ("recipe-1", bare)
        assert section in page
        assert bare_page(delivered_page(bare_page(page), "recipe-2", "")) == bare


def test_a_page_of_somebody_else_was_made_of_nothing() -> None:
    assert recipe_of("<!doctype html><p>Hello") is None


def test_only_numbers_that_differ_are_told_and_every_reason() -> None:
    told = changes_section(
        "2026-02",
        SINCE,
        [("plays", "1"), ("spam", "5.0%"), ("withheld (EUR)", "3.00")],
        [("plays", "2"), ("spam", "5.0%"), ("paid out (SEK)", "7.00")],
        ["new data: a.jsonl landed", HOSTILE],
    )
    assert "2026-02-03 at 04:05 UTC" in told
    assert ParsedPage(told).rows[1:] == [
        ["plays", "1", "2"],
        ["paid out (SEK)", "—", "7.00"],
        ["withheld (EUR)", "3.00", "—"],
    ]
    assert "<li>New data: a.jsonl landed.</li>" in told
    assert "script" not in ParsedPage(told).tags


def test_a_change_below_the_headline_and_one_without_an_origin_say_so() -> None:
    told = changes_section("2026-02", SINCE, [("plays", "1")], [("plays", "1")], [])
    assert "No headline number" in told
    assert "Nothing that is remembered explains it." in told
