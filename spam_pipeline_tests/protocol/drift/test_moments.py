import pytest

from spam_pipeline.protocol.drift.moments import Moment, moment_of
from spam_pipeline.protocol.foundation.errors import WrongPartition


def test_a_day_has_a_place_and_a_weekday() -> None:
    monday, next_monday = moment_of("2026-01-05"), moment_of("2026-01-12")
    assert monday.weekday == next_monday.weekday == 0
    assert next_monday.place - monday.place == 7


def test_months_follow_each_other_across_years_and_have_no_weekday() -> None:
    december, january = moment_of("2025-12"), moment_of("2026-01")
    assert january == Moment(december.place + 1, None)


def test_an_hour_and_a_day_of_a_name_have_the_moment_of_their_day() -> None:
    assert moment_of("2026-01-05T07") == moment_of("2026-01-05|DE") == moment_of("2026-01-05")
    assert moment_of("2026-01|DE") == moment_of("2026-01")


@pytest.mark.parametrize("key", ["all", "2026-13", "2026-02-30", "20260105", "2026-W01"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(WrongPartition, match="neither a day"):
        moment_of(key)
