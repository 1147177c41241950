"""Retention: what is kept of a stage, and for what, by its history alone."""

from datetime import UTC, datetime, timedelta

import pytest

from spam_pipeline.protocol.execution.retention import KeptFor, Retention, kept, retention_of
from spam_pipeline.protocol.ledger.pruning_log import PointerMove, StageHistory, UnprunedVersion
from spam_pipeline.protocol.ledger.records import PRODUCTION

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PUBLISHED_ONLY = Retention(0)


def version(number: int, *, code: str = "code", is_refused: bool = False) -> UnprunedVersion:
    return UnprunedVersion(number, "2026-01-05", f"r{number}", code, is_refused)


def move(version_id: int | None, days_ago: int, environment: str = PRODUCTION, *, dropped: bool = False) -> PointerMove:
    return PointerMove(environment, "2026-01-05", version_id, dropped, NOW - timedelta(days=days_ago))


def history(*versions: UnprunedVersion, moves: tuple[PointerMove, ...] = ()) -> StageHistory:
    return StageHistory(versions, moves)


def test_what_an_environment_publishes_is_kept_and_what_came_before_goes() -> None:
    found = history(version(1), version(2), version(3), moves=(move(1, 50), move(2, 40), move(3, 40, "branch")))
    assert kept(found, PUBLISHED_ONLY, NOW) == {2: KeptFor.PUBLISHED, 3: KeptFor.PUBLISHED}


def test_what_readers_saw_in_the_last_days_is_kept() -> None:
    found = history(version(1), version(2), version(3), moves=(move(1, 50), move(2, 31), move(3, 30)))
    assert kept(found, Retention(30), NOW) == {2: KeptFor.AS_OF, 3: KeptFor.PUBLISHED}
    assert kept(found, Retention(31), NOW).keys() == {1, 2, 3}


def test_what_readers_saw_a_moment_ago_is_kept_whatever_the_policy_is() -> None:
    found = history(version(1), version(2), moves=(move(1, 50), move(2, 1)))
    assert kept(found, PUBLISHED_ONLY, NOW, grace=timedelta(hours=25)) == {1: KeptFor.AS_OF, 2: KeptFor.PUBLISHED}
    assert kept(found, PUBLISHED_ONLY, NOW, grace=timedelta(hours=23)).keys() == {2}


def test_what_a_retraction_ended_is_kept_as_long_as_it_was_read() -> None:
    found = history(version(1), moves=(move(1, 50), move(None, 10)))
    assert kept(found, Retention(11), NOW) == {1: KeptFor.AS_OF}
    assert kept(found, Retention(9), NOW) == {}


def test_a_dropped_environment_frees_what_only_it_had_at_once() -> None:
    moves = (move(1, 50), move(2, 5, "branch"), move(None, 1, "branch", dropped=True))
    assert kept(history(version(1), version(2), moves=moves), Retention(30), NOW) == {1: KeptFor.PUBLISHED}
    again = (*moves, move(2, 0, "branch"))
    assert kept(history(version(1), version(2), moves=again), Retention(30), NOW).keys() == {1, 2}


def test_what_something_issued_rests_on_is_kept() -> None:
    found = history(version(1), version(2), moves=(move(1, 50), move(2, 40)))
    assert kept(found, PUBLISHED_ONLY, NOW, {"r1", "r of another stage"}) == {1: KeptFor.ISSUED, 2: KeptFor.PUBLISHED}


def test_what_is_quarantined_is_kept_until_the_same_code_has_made_another_version() -> None:
    waiting = version(2, is_refused=True)
    assert kept(history(version(1), waiting, moves=(move(1, 50),)), PUBLISHED_ONLY, NOW).keys() == {1, 2}
    by_other_code = history(version(1), waiting, version(3, code="other"), moves=(move(3, 40),))
    assert kept(by_other_code, PUBLISHED_ONLY, NOW) == {2: KeptFor.QUARANTINED, 3: KeptFor.PUBLISHED}
    assert kept(history(version(1), waiting, version(3), moves=(move(3, 40),)), PUBLISHED_ONLY, NOW).keys() == {3}


def test_the_newest_versions_are_kept_besides() -> None:
    found = history(*(version(number) for number in range(1, 6)), moves=(move(2, 40),))
    assert kept(found, Retention(0, 2), NOW).keys() == {2, 4, 5}
    assert kept(found, Retention(0, 9), NOW).keys() == {1, 2, 3, 4, 5}


def test_everything_is_kept_for_ever_where_that_is_the_policy() -> None:
    assert kept(history(version(1), version(2)), Retention(None), NOW).keys() == {1, 2}


def test_the_policy_of_a_stage_is_its_own_or_that_of_all_others_or_the_default() -> None:
    policies = {"*": Retention(7), "plays": Retention(0)}
    assert [retention_of(policies, name).days for name in ("plays", "tracks")] == [0, 7]
    assert retention_of({}, "plays") == Retention(30)


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30d 7d", "1w", "forever 2v", "999999d"])
def test_a_policy_that_says_nothing_sensible_is_an_error_that_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected days, versions or both, such as 30d, 2v or 30d 2v, or forever"):
        Retention.read(text)
