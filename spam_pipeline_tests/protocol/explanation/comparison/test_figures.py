"""Two fingerprints side by side: what differs, and whether chance could have done that."""

import numpy as np
import pytest

from spam_pipeline.protocol.explanation.comparison.figures import Figures, Mark, Move, Shift, compared
from spam_pipeline.protocol.fingerprint import (
    Counted,
    Figured,
    Fingerprint,
    Histogram,
    KeySample,
    Proportion,
    Recorded,
    Spreading,
    Summed,
    Top,
)


def move(figures: Figures, name: str) -> Move:
    return next(item for item in figures.moves if item.name == name)


def shift(figures: Figures, name: str) -> Shift:
    return next(item for item in figures.shifts if item.name == name)


def countries(counts: list[int]) -> Fingerprint:
    return {"countries": Spreading(dict(zip("ABCDEFGH", counts, strict=True)))}


def tracks(unlisted: int, **counts: int) -> KeySample:
    top = tuple(Top(ord(name), name, count) for name, count in counts.items())
    return KeySample(1000, 2, top, {item.key: item.count for item in top}, 1.0, 1.0, unlisted)


def test_equal_fingerprints_are_the_same_throughout() -> None:
    fingerprint: Fingerprint = {
        "plays": Counted(100),
        "spam": Proportion(3, 100),
        "countries": Spreading({"DE": 60, "US": 40}),
        "seconds": Histogram({70: 50, 90: 40}, 5, 5),
        "quality": Figured(0.9),
    }
    found = compared(fingerprint, fingerprint)
    assert {item.mark for item in (*found.moves, *found.shifts)} == {Mark.SAME}
    assert [item.difference for item in found.moves] == [0.0] * len(found.moves)
    assert [item.moved for item in found.shifts] == [(), ()]


def test_a_share_that_moves_beyond_chance_is_significant_and_one_that_does_not_is_not() -> None:
    old: Fingerprint = {"spam": Proportion(300, 10_000)}
    assert move(compared(old, {"spam": Proportion(600, 10_000)}), "spam").mark is Mark.SIGNIFICANT
    near = move(compared(old, {"spam": Proportion(310, 10_000)}), "spam")
    assert near.mark is Mark.CHANCE
    assert near.is_share
    assert near.p is not None
    assert near.p > 0.5
    assert near.difference == pytest.approx(0.001)


def test_a_figure_without_a_known_precision_is_changed_and_nothing_more() -> None:
    found = move(compared({"quality": Figured(0.9)}, {"quality": Figured(0.95)}), "quality")
    assert (found.mark, found.p, found.is_share) == (Mark.UNTESTED, None, False)


def test_a_number_of_one_side_only_has_no_difference() -> None:
    found = compared({"plays": Counted(5)}, {"money": Summed({"EUR": 7})})
    assert move(found, "plays") == Move("plays", 5, None, None, Mark.UNTESTED)
    assert move(found, "money_EUR") == Move("money_EUR", None, 7, None, Mark.UNTESTED)
    assert move(found, "plays").difference is None


def test_a_distribution_that_moved_names_the_values_that_moved_most() -> None:
    found = shift(
        compared(countries([400, 300, 200, 100, 50, 25, 12, 6]), countries([400, 300, 100, 200, 50, 25, 12, 6])),
        "countries",
    )
    assert found.mark is Mark.SIGNIFICANT
    assert found.size == pytest.approx(100 / 1093)
    assert [item.value for item in found.moved] == ["C", "D"]
    assert found.moved[0].expected == pytest.approx(200 / 1093)
    assert found.moved[0].seen == pytest.approx(100 / 1093)


def test_magnitudes_a_thousandth_of_what_they_were_moved_altogether() -> None:
    rows = dict.fromkeys(range(100, 120), 100)
    found = shift(
        compared({"ms": Histogram(rows, 0, 0)}, {"ms": Histogram({key - 172: 100 for key in rows}, 0, 0)}), "ms"
    )
    assert found.is_of_magnitudes
    assert found.mark is Mark.SIGNIFICANT
    assert found.size == pytest.approx(1.0, abs=0.1)


def test_an_identifier_that_is_listed_once_moved_no_further_than_the_other_list_allows() -> None:
    found = shift(compared({"tracks": tracks(80, a=100, b=80)}, {"tracks": tracks(80, a=100, c=90)}), "tracks")
    assert {item.value: (item.expected, item.seen) for item in found.moved} == {"c": (0.08, 0.09)}
    complete = shift(compared({"tracks": tracks(0, a=100, b=80)}, {"tracks": tracks(0, a=100, c=90)}), "tracks")
    assert {item.value: (item.expected, item.seen) for item in complete.moved} == {"b": (0.08, 0.0), "c": (0.0, 0.09)}
    assert (found.mark, found.p) == (Mark.UNTESTED, None)


def test_what_is_no_distribution_of_one_kind_with_rows_has_no_shift() -> None:
    old: Fingerprint = {"a": Spreading({"x": 1}), "b": Spreading({}), "c": Recorded(({"x": 1},)), "d": Counted(1)}
    new: Fingerprint = {"a": Histogram({1: 1}, 0, 0), "b": Spreading({"x": 1}), "c": Recorded(()), "d": Counted(1)}
    assert compared(old, new).shifts == ()


@pytest.mark.parametrize("rows", [200, 20_000, 2_000_000])
def test_chance_alone_is_called_significant_in_about_one_comparison_in_a_hundred(rows: int) -> None:
    generator = np.random.default_rng(rows)
    shares = [0.4, 0.3, 0.15, 0.1, 0.04, 0.008, 0.0015, 0.0005]
    draws = [generator.multinomial(rows, shares).tolist() for _ in range(600)]
    fingerprints = [
        {**countries(draw), "first": Proportion(draw[0], rows), "plays": Counted(generator.poisson(rows))}
        for draw in draws
    ]
    pairs = zip(fingerprints[::2], fingerprints[1::2], strict=True)
    wrong = [
        any(item.mark is Mark.SIGNIFICANT for item in (*found.moves, *found.shifts))
        for found in (compared(old, new) for old, new in pairs)
    ]
    assert sum(wrong) <= 9
