"""From when until when readers saw a version."""

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
from hypothesis import given, settings

from spam_pipeline.protocol.ledger.publication_spans import PointerChange, Span, pointer_changes, spans
from spam_pipeline.protocol.ledger.records import DROPPED, PRODUCTION, Publication, Trigger

BRANCH = "branch"
START = datetime(2026, 2, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def publications(*said: tuple[int, str, int | None]) -> list[Publication]:
    """Publications in the order in which they were added: the minute, the environment and the version; 0 is a drop."""
    return [
        Publication(
            number,
            environment,
            "plays",
            "2026-01-05",
            version or None,
            Trigger(action=DROPPED if version == 0 else ""),
            at(minute),
        )
        for number, (minute, environment, version) in enumerate(said, start=1)
    ]


def test_a_version_is_seen_until_another_takes_its_place() -> None:
    found = spans(publications((0, PRODUCTION, 7), (5, PRODUCTION, 8), (9, PRODUCTION, None)), PRODUCTION)
    assert list(found) == [Span(7, at(0), at(5)), Span(8, at(5), at(9))]


def test_a_branch_sees_its_own_until_it_is_given_up() -> None:
    said = publications((0, PRODUCTION, 7), (3, BRANCH, 8), (4, PRODUCTION, 9), (6, BRANCH, 0))
    assert list(spans(said, BRANCH)) == [Span(7, at(0), at(3)), Span(8, at(3), at(6)), Span(9, at(6), None)]


def test_what_was_added_last_counts_even_if_the_clock_was_set_back() -> None:
    said = publications((9, PRODUCTION, 7), (5, PRODUCTION, 8))
    assert list(spans(said, PRODUCTION)) == [Span(8, at(5), None)]


def test_a_publication_that_changes_nothing_for_readers_is_no_change() -> None:
    said = publications((0, PRODUCTION, 7), (3, BRANCH, 8), (4, PRODUCTION, 9), (6, BRANCH, 0), (7, PRODUCTION, None))
    assert pointer_changes(said, BRANCH) == {
        "plays": [
            PointerChange(1, at(0), "2026-01-05", 7),
            PointerChange(2, at(3), "2026-01-05", 8),
            PointerChange(4, at(6), "2026-01-05", 9),
            PointerChange(5, at(7), "2026-01-05", None),
        ]
    }


additions = st.tuples(st.integers(0, 9), st.sampled_from((PRODUCTION, BRANCH)), st.none() | st.integers(0, 3))


def seen_at(said: list[Publication], environment: str, moment: datetime) -> int | None:
    """What the ledger answers: the last addition of each environment up to then, its own before production's."""
    for name in (environment, PRODUCTION):
        known = [item for item in said if item.environment == name and item.published_at <= moment]
        if known and known[-1].trigger.action != DROPPED:
            return known[-1].version_id
    return None


@given(said=st.lists(additions, max_size=12), environment=st.sampled_from((PRODUCTION, BRANCH)))
@settings(max_examples=200)
def test_spans_say_of_every_moment_what_was_seen_then(
    said: list[tuple[int, str, int | None]], environment: str
) -> None:
    added = publications(*said)
    found = list(spans(reversed(added), environment))
    for minute in range(-1, 11):
        holding = [
            span.version_id
            for span in found
            if span.published_at <= at(minute) and (span.superseded_at is None or span.superseded_at > at(minute))
        ]
        assert holding == [seen for seen in [seen_at(added, environment, at(minute))] if seen is not None]


@given(st.lists(st.tuples(st.sampled_from((PRODUCTION, BRANCH)), st.none() | st.integers(0, 3)), max_size=8))
def test_changes_are_the_ends_of_spans(added: list[tuple[str, int | None]]) -> None:
    said = publications(*((minute, *rest) for minute, rest in enumerate(added)))
    changes = pointer_changes(said, BRANCH)["plays"]
    begun = [(item.published_at, item.version_id) for item in changes if item.version_id is not None]
    assert begun == [(span.published_at, span.version_id) for span in spans(said, BRANCH)]
