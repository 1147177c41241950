"""The history of a partition: what is published nearest to it."""

import hypothesis.strategies as st
from hypothesis import given

from spam_pipeline.protocol.foundation.partition import Grain, Partitions
from spam_pipeline.protocol.ledger.history import LENGTH, history_digest, nearest, series
from spam_pipeline.protocol.ledger.records import VersionSummary

DAYS = st.integers(1, 60).map(lambda day: f"2026-{1 + (day - 1) // 28:02d}-{1 + (day - 1) % 28:02d}")


def published(*days: str) -> dict[str, VersionSummary]:
    return {
        day: VersionSummary(number, f"r{number}", "code", f"content of {day}", ()) for number, day in enumerate(days)
    }


def keys(found: list[tuple[str, VersionSummary]]) -> list[str]:
    return [key for key, _ in found]


WEEK = published(*(f"2026-01-{day:02d}" for day in (3, 1, 2, 4, 6, 7, 8)))


def test_what_is_nearest_is_told_in_the_order_of_the_keys_with_the_partition_itself() -> None:
    assert keys(nearest(WEEK, "2026-01-04", 4)) == [f"2026-01-0{day}" for day in (2, 3, 4, 6, 7)]
    assert nearest(WEEK, "2026-01-04", 4)[0] == ("2026-01-02", WEEK["2026-01-02"])


def test_a_partition_that_is_not_published_has_a_history_all_the_same() -> None:
    assert keys(nearest(WEEK, "2026-01-05", 4)) == [f"2026-01-0{day}" for day in (3, 4, 6, 7)]


def test_of_two_that_are_equally_near_the_earlier_one_counts() -> None:
    assert keys(nearest(WEEK, "2026-01-04", 3)) == [f"2026-01-0{day}" for day in (2, 3, 4, 6)]
    assert keys(nearest(WEEK, "2026-01-05", 1)) == ["2026-01-04"]


def test_at_the_ends_the_history_lies_on_one_side() -> None:
    assert keys(nearest(WEEK, "2026-01-01", 3)) == [f"2026-01-0{day}" for day in (1, 2, 3, 4)]
    assert keys(nearest(WEEK, "2026-01-09", 3)) == [f"2026-01-0{day}" for day in (6, 7, 8)]


def test_the_first_partition_has_no_history() -> None:
    assert nearest({}, "2026-01-01") == []
    assert keys(nearest(published("2026-01-01"), "2026-01-01")) == ["2026-01-01"]


@given(days=st.sets(DAYS), partition=DAYS, count=st.integers(0, 40))
def test_no_published_partition_left_out_is_nearer_than_one_that_is_in(
    days: set[str], partition: str, count: int
) -> None:
    all_of_it = published(*days)
    found = keys(nearest(all_of_it, partition, count))
    others = sorted(days - {partition})
    before = sum(day < partition for day in others)
    distance = {day: (before - at - 1) * 2 if at < before else (at - before) * 2 + 1 for at, day in enumerate(others)}
    expected = sorted(distance, key=lambda day: distance[day])[:count]
    assert found == sorted([*expected, *({partition} & days)])
    assert keys(nearest(all_of_it, partition, count, sorted(days))) == found


def test_a_history_is_four_weeks_unless_one_says_otherwise() -> None:
    assert len(nearest(published(*(f"2026-{month:02d}-01" for month in range(1, 99))), "2026-50-01")) == LENGTH + 1


def test_the_digest_of_a_history_tells_which_partitions_it_has_and_what_is_in_them() -> None:
    one, two = (published("2026-01-01", "2026-01-02") for _ in range(2))
    assert history_digest(one.items()) == history_digest(two.items())
    two["2026-01-02"] = two["2026-01-02"]._replace(version_id=99, recipe="another")
    assert history_digest(one.items()) == history_digest(two.items()), "the same content is the same history"
    two["2026-01-02"] = two["2026-01-02"]._replace(content="another")
    assert history_digest(one.items()) != history_digest(two.items())
    assert history_digest(one.items()) != history_digest([("2026-01-01", one["2026-01-01"])])
    assert history_digest([]) == history_digest({}.items())


def test_the_history_of_an_hour_is_that_hour_of_other_days() -> None:
    all_of_it = published(*(f"2026-01-{day:02d}T{hour:02d}" for day in (3, 4, 5) for hour in range(24)))
    comparable = series(all_of_it, Partitions("hour", Grain.HOUR))["T07"]
    assert keys(nearest(all_of_it, "2026-01-04T07", keys=comparable)) == [f"2026-01-0{day}T07" for day in (3, 4, 5)]
