import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.trust_and_safety.contracts import DEVICE, TRACK
from spam_pipeline.trust_and_safety.signals.mixtures import MIN_PLAYS, effective_members, mixture, share


def drawn_share(part: int, whole: int) -> float:
    """A device's share of cut-off plays, for which 0.03 is usual."""
    return float(pl.select(share(DEVICE, "cut_off_share", pl.lit(part), pl.lit(whole))).item())


def effective_hours(hours: list[int]) -> float | None:
    plays = pl.DataFrame({"track_key": pl.Series([1] * len(hours), dtype=pl.UInt64), "hour": hours})
    found = mixture(plays.lazy(), by=TRACK, of="hour").select(effective_members()).item()
    return None if found is None else float(found)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_share_lies_between_what_is_usual_and_what_was_seen(part: int, rest: int) -> None:
    whole = part + rest
    seen = part / whole if whole else 0.03
    assert min(seen, 0.03) - 1e-6 <= drawn_share(part, whole) <= max(seen, 0.03) + 1e-6


def test_the_more_plays_the_closer_a_share_is_to_what_was_seen() -> None:
    assert [drawn_share(n, n) for n in (0, 1, 10, 1_000)] == pytest.approx([0.03, 0.224, 0.7229, 0.9961], abs=1e-4)


@pytest.mark.parametrize("members", [1, 2, 24])
def test_the_effective_number_of_equally_busy_members_is_their_number(members: int) -> None:
    assert effective_hours([*range(members)] * 5_000) == pytest.approx(members, rel=1e-3)


def test_of_two_members_the_one_with_hardly_a_play_hardly_counts() -> None:
    assert effective_hours([1] * 999 + [2]) == pytest.approx(1.0085, abs=1e-4)


def test_the_effective_number_of_few_plays_is_about_right_on_average() -> None:
    random = np.random.default_rng(7_200)
    drawn = [effective_hours(random.integers(0, 24, 50).tolist()) for _ in range(200)]
    plug_in = [drawn_of / 2 ** ((24 - 1) / (2 * 50 * np.log(2))) for drawn_of in drawn if drawn_of is not None]
    assert np.mean([value for value in drawn if value is not None]) == pytest.approx(24, rel=0.1)
    assert np.mean(plug_in) < 24 * 0.75, "what it would be without the correction"


def test_of_too_few_plays_there_is_no_effective_number() -> None:
    assert effective_hours([1] * (MIN_PLAYS - 1)) is None
    assert effective_hours([1] * MIN_PLAYS) == 1
