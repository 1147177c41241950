"""What a delivered page says of its past, and that the bare page can be had back from it."""

from datetime import UTC, datetime

import pytest

from spam_pipeline.pages.changes import (
    CHANGES,
    MADE_OF,
    Changes,
    bare_page,
    delivered_page,
    recipe_of,
)
from spam_pipeline_tests.pages.parsed_page import HOSTILE, ParsedPage, a_page

SINCE = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)


def changes(before: list[tuple[str, str]], now: list[tuple[str, str]], *causes: str) -> Changes:
    return Changes("2026-02", SINCE, before, now, causes)


def told(given: Changes) -> str:
    """The section of what has changed, on a page."""
    page = delivered_page(a_page("x", given.now), "recipe-1", given)
    return page.partition("<!--changes-->")[2].partition("<!--/changes-->")[0]


@pytest.mark.parametrize("name", ["plays", HOSTILE, CHANGES, MADE_OF, "<!--changes-->", "<!--change0-->", "\\1 \r\n"])
def test_a_delivered_page_remembers_its_version_and_gives_the_bare_page_back(name: str) -> None:
    bare = a_page(name, [(name, name)])
    for given in (None, changes([(name, "1")], [(name, "2")], name)):
        page = delivered_page(bare, "recipe-1", given)
        assert (recipe_of(page), bare_page(page)) == ("recipe-1", bare)
        assert ("What changed" in page) is (given is not None)
        assert bare_page(delivered_page(bare_page(page), "recipe-2")) == bare


def test_a_page_of_somebody_else_was_made_of_nothing() -> None:
    assert recipe_of("<!doctype html><p>Hello") is None


def test_only_numbers_that_differ_are_told_with_their_difference_and_every_reason() -> None:
    section = told(
        changes(
            [("plays", "1,000"), ("spam", "5.0%"), ("status", "suspected"), ("withheld (EUR)", "3.00"), ("kept", "1")],
            [("plays", "2,500"), ("spam", "4.5%"), ("status", "cleared"), ("paid out (SEK)", "-7.25"), ("kept", "1")],
            "new data: a.jsonl landed",
            HOSTILE,
        )
    )
    assert "2026-02-03 at 04:05 UTC" in section
    numbers, amounts = section.split("<summary>2 amounts of money</summary>")
    assert ParsedPage(numbers.split("<details")[0] + "</section>").rows[1:] == [
        ["plays", "1,000", "2,500", "+1,500"],
        ["spam", "5.0%", "4.5%", "-0.5 points"],
        ["status", "suspected", "cleared", ""],
    ]
    assert ["SEK", "paid out", "—", "-7.25", ""] in ParsedPage("<section><details>" + amounts).rows
    assert "<li>New data: a.jsonl landed.</li>" in section
    assert "script" not in ParsedPage(section).tags


def test_a_headline_number_that_moved_says_by_how_much_beside_it() -> None:
    given = changes(
        [("plays", "10"), ("status", HOSTILE), ("kept", "1")], [("plays", "12"), ("status", "b"), ("kept", "1")]
    )
    page = delivered_page(a_page("x", given.now), "recipe-1", given)
    assert ParsedPage(page).words.count("+2") == 2, "beside it, and in the table"
    assert f"was {HOSTILE}" in ParsedPage(page).words
    assert page.count('<span class="change">') == 2


def test_a_change_below_the_headline_and_one_without_an_origin_say_so() -> None:
    section = told(changes([("plays", "1")], [("plays", "1")]))
    assert "No headline number" in section
    assert "Nothing that is remembered explains it." in section
