"""When a recipe that failed is tried again without anybody asking."""

from datetime import UTC, datetime, timedelta

import pytest

from spam_pipeline.protocol.definition.retry import Retry
from spam_pipeline.protocol.ledger.records import Attempts

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(("count", "seconds"), [(1, 30), (2, 120), (3, 480)])
def test_each_wait_is_four_times_the_one_before(count: int, seconds: int) -> None:
    assert Retry().next_try(Attempts(count, NOON, "an error")) == NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("count", [4, 5, 400])
def test_after_the_last_try_there_is_none(count: int) -> None:
    assert Retry().next_try(Attempts(count, NOON, "an error")) is None


def test_a_stage_says_how_often_and_how_long() -> None:
    retry = Retry(tries=2, first_wait_seconds=5)
    assert retry.next_try(Attempts(1, NOON, "an error")) == NOON + timedelta(seconds=5)
    assert retry.next_try(Attempts(2, NOON, "an error")) is None


def test_a_stage_may_be_tried_once_only() -> None:
    assert Retry(tries=1).next_try(Attempts(1, NOON, "an error")) is None


def test_a_stage_may_be_tried_again_at_once() -> None:
    assert Retry(first_wait_seconds=0).next_try(Attempts(3, NOON, "an error")) == NOON


def test_a_try_that_told_of_no_error_counts_like_one_that_failed() -> None:
    assert Retry().next_try(Attempts(1, NOON, None)) == NOON + timedelta(seconds=30)


@pytest.mark.parametrize(("count", "seconds"), [(4, 1_920), (5, 3_600), (6, 3_600), (399, 3_600)])
def test_no_wait_is_longer_than_an_hour(count: int, seconds: int) -> None:
    assert Retry(tries=400).next_try(Attempts(count, NOON, "an error")) == NOON + timedelta(seconds=seconds)


def test_even_the_first_wait_is_an_hour_at_most() -> None:
    retry = Retry(first_wait_seconds=8 * 86_400)
    assert retry.next_try(Attempts(1, NOON, "an error")) == NOON + timedelta(hours=1)
