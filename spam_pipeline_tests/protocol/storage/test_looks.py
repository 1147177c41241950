"""Which dated folders a look inspects."""

from itertools import pairwise

import pytest

from spam_pipeline.protocol.storage.looks import (
    FILES_AT_ONCE,
    WHOLE_ROUND_SECONDS,
    Rounds,
    dated_folder,
    due,
    everything,
    of_dates,
)

TODAY = "2026-03-01"
DAYS = [f"plays/2026-01-{day:02}" for day in range(1, 32)]
LARGE = dict.fromkeys(DAYS, FILES_AT_ONCE)
"""Folders of which a look cannot inspect more than it has to."""


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("plays/2026-01-05/07/a.jsonl", "plays/2026-01-05"),
        ("2026-01-05/a.txt", "2026-01-05"),
        ("issued/2026-01/b.parquet", "issued/2026-01"),
        ("2026-01/2026-01-05/a", "2026-01"),
        ("plays/2026-01-05", None),
        ("plays/2026-01-05x/a", None),
        ("plays/2026-1-5/a", None),
        ("reference/tracks.csv", None),
        ("pl\tays/2026-01-05/a", None),
        ("pl\\tays/2026-01-05/a", None),
        ("pl\udcffays/2026-01-05/a", None),
    ],
)
def test_a_folder_is_dated_when_it_is_named_like_a_day_or_a_month(path: str, folder: str | None) -> None:
    assert dated_folder(path) == folder


def due_now(listed: list[str], known: dict[str, int]) -> list[str]:
    return sorted(due(listed, known, 0, 0, TODAY))


def test_the_newest_dates_are_inspected_at_least_three_and_more_while_they_have_few_files() -> None:
    assert due_now(DAYS, LARGE) == DAYS[-3:]
    assert due_now(DAYS, dict.fromkeys(DAYS, FILES_AT_ONCE // 10)) == DAYS[-10:]
    assert due_now(DAYS, dict.fromkeys(DAYS, 1)) == DAYS


def test_what_appears_or_vanishes_is_inspected_however_old_it_is() -> None:
    listed = [DAYS[0], *DAYS[2:]]
    known = {day: LARGE[day] for day in DAYS[1:]}
    assert due_now(listed, known) == sorted([*DAYS[:2], *DAYS[-3:]])


def test_a_day_that_is_ahead_of_the_clock_is_inspected_and_takes_no_newest_days_place() -> None:
    ahead = "plays/2062-01-01"
    assert due_now([*DAYS, ahead], {**LARGE, ahead: FILES_AT_ONCE}) == [*DAYS[-3:], ahead]


def test_every_folder_has_one_turn_in_a_round() -> None:
    edges = [0, 10, 11, 500, 3000, WHOLE_ROUND_SECONDS]
    turns = [
        folder for since, now in pairwise(edges) for folder in due(DAYS, LARGE, since, now, TODAY) - set(DAYS[-3:])
    ]
    assert sorted(turns) == DAYS[:-3]


def test_a_look_after_more_than_a_round_inspects_everything() -> None:
    assert due(DAYS, LARGE, 7.5, 7.5 + WHOLE_ROUND_SECONDS, TODAY) == set(DAYS)


class Clock:
    def __init__(self) -> None:
        self.now = 1_772_323_200.0

    def __call__(self) -> float:
        return self.now


def test_looks_take_the_turns_since_the_one_before_whatever_their_distance() -> None:
    clock = Clock()
    rounds, turns = Rounds(clock), []
    rounds.choose(DAYS, LARGE)
    rounds.end()
    for seconds in (1, 1800, 1799):
        clock.now += seconds
        turns += sorted(set(rounds.choose(DAYS, LARGE)) - set(DAYS[-3:]))
        rounds.end()
    assert sorted(turns) == DAYS[:-3]


def test_a_look_that_was_cut_short_is_repeated_by_the_next_one() -> None:
    rounds = Rounds(Clock())
    assert DAYS[0] in rounds.choose(DAYS, {day: LARGE[day] for day in DAYS[1:]})
    assert DAYS[0] in rounds.choose(DAYS, LARGE), "some of its files are known, the others are not"
    rounds.end()
    assert DAYS[0] not in rounds.choose(DAYS, LARGE)


def test_everything_is_inspected_until_a_look_comes_to_its_end_where_somebody_wants_that() -> None:
    rounds = Rounds(Clock())
    rounds.want_everything()
    for _ in range(2):
        assert rounds.choose(DAYS, LARGE) == everything(DAYS, LARGE) == set(DAYS)
    rounds.end()
    assert len(rounds.choose(DAYS, LARGE)) < len(DAYS)


def test_the_folders_of_a_date_are_those_with_its_name_known_or_listed() -> None:
    choose = of_dates(["2026-01-05"])
    assert choose([*DAYS, "other/2026-01-05"], {"gone/2026-01-05": 1}) == {
        "plays/2026-01-05",
        "other/2026-01-05",
        "gone/2026-01-05",
    }
    assert of_dates(["all"])(DAYS, LARGE) == set()
