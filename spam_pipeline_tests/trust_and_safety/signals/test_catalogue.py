import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.trust_and_safety.assets import WINDOW_DAYS
from spam_pipeline.trust_and_safety.contracts import TRACK
from spam_pipeline.trust_and_safety.signals.catalogue import FARTHEST, NAMES, SIGNALS, USUAL, Signal
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS, NEW_ACCOUNT_DAYS
from spam_pipeline.trust_and_safety.signals.listeners import SESSION_GAP_MS
from spam_pipeline.trust_and_safety.signals.mixtures import MIN_PLAYS, PRIOR_PLAYS
from spam_pipeline.trust_and_safety.signals.past import DEVOTED_PLAYS, DEVOTED_SHARE

PAGE = (Path(__file__).parents[3] / "docs" / "signals.md").read_text(encoding="utf-8")

by_name = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)


def documented(columns: int) -> list[list[str]]:
    """The rows of the page's tables of so many columns whose first cell is code."""
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| `", line)]
    return [[cell.strip() for cell in row] for row in rows if len(row) == columns]


# What is usual


@by_name
def test_what_is_usual_or_unknown_says_nothing(signal: Signal) -> None:
    assert np.array_equal(signal.standardised([signal.usual, np.nan]), [0, 0])


@by_name
def test_no_signal_counts_as_farther_than_the_farthest(signal: Signal) -> None:
    far = signal.standardised([0.0, 1e18])
    assert (np.abs(far) <= FARTHEST).all()
    assert far[1] == FARTHEST


@given(st.sampled_from(SIGNALS), st.lists(st.floats(0, 1e6), min_size=2, max_size=5))
def test_more_of_a_signal_never_counts_as_less(signal: Signal, values: list[float]) -> None:
    assert (np.diff(signal.standardised(sorted(values))) >= 0).all()


def test_twice_as_many_is_about_as_far_as_half_as_many() -> None:
    few, many = Signal(TRACK, "plays", 1_000, 1.0, is_log=True).standardised([500, 2_000])
    assert -few == pytest.approx(many, abs=0.002)
    assert many == pytest.approx(np.log(2), abs=0.002)


def test_a_share_is_compared_as_it_is() -> None:
    assert Signal(TRACK, "cut_off_share", 0.25, 0.125).standardised([0.5, 0.0]).tolist() == [2, -2]


def test_names_are_those_of_the_kind_and_of_the_column_each_once() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(USUAL)
    assert {signal.kind for signal in SIGNALS} == KEY_COLUMNS.keys()
    assert Signal(TRACK, "plays", 1, 1).name == "track_plays"


# What is written about it


def test_the_page_has_every_signal_once_in_order_with_what_is_usual() -> None:
    written = [(name.strip("`"), float(usual)) for name, _, _, usual, _, _ in documented(6)]
    assert written == [(signal.name, signal.usual) for signal in SIGNALS]


def test_the_page_says_why_each_signal_matters_and_what_evades_it() -> None:
    assert all(len(cell) > 2 for row in documented(6) for cell in row if not cell.replace(".", "").isdigit())


def test_shares_are_drawn_and_said_to_be_shares() -> None:
    units = {name.strip("`"): unit for name, _, unit, _, _, _ in documented(6)}
    assert {name for name, unit in units.items() if unit == "share"} == {n for n in NAMES if n.endswith("_share")}


def test_the_page_has_the_numbers_of_the_code() -> None:
    numbers = {
        "WINDOW_DAYS": WINDOW_DAYS,
        "PRIOR_PLAYS": PRIOR_PLAYS,
        "MIN_PLAYS": MIN_PLAYS,
        "NEW_ACCOUNT_DAYS": NEW_ACCOUNT_DAYS,
        "SESSION_GAP_MS": SESSION_GAP_MS,
        "DEVOTED_PLAYS": DEVOTED_PLAYS,
        "DEVOTED_SHARE": DEVOTED_SHARE,
        "FARTHEST": FARTHEST,
    }
    assert {name.strip("`"): float(value) for name, value, _ in documented(3)} == numbers
