"""How the pipeline stands: what waits is listed as far as a person reads."""

from datetime import UTC, datetime

import pytest

from spam_pipeline.pages.page_builder import index_page
from spam_pipeline.pages.state import PipelineState, WaitingItem, page_with_state
from spam_pipeline_tests.pages.parsed_page import ParsedPage

THEN = datetime(2026, 2, 3, tzinfo=UTC)


def words(waiting: int) -> str:
    items = [WaitingItem(f"plays {number:04}", "Ada", "", "why", "nothing", "", "/", "") for number in range(waiting)]
    return "".join(ParsedPage(page_with_state(index_page([]), PipelineState(THEN, 1, 0, items))).words)


@pytest.mark.parametrize(("waiting", "rest"), [(101, "1"), (1300, "1,200")])
def test_of_many_that_wait_the_first_hundred_are_listed_and_the_rest_are_counted(waiting: int, rest: str) -> None:
    found = words(waiting)
    assert (found.count(", of Ada"), "plays 0099" in found, "plays 0100" in found) == (100, True, False)
    assert f"{waiting:,} waiting for somebody" in found
    assert f"and {rest} more: spam-pipeline waiting" in found


def test_a_hundred_that_wait_are_all_listed() -> None:
    found = words(100)
    assert (found.count(", of Ada"), "plays 0099" in found, "more:" in found) == (100, True, False)
