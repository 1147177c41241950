"""Drawings of bars and curves: where things stand, that words are text, and that nothing is drawn of nothing."""

import re
from xml.etree import ElementTree as ET

import pytest

from spam_pipeline.pages.plotter import (
    NARROW,
    NEW,
    WIDE,
    Bar,
    Bars,
    Curves,
    Panel,
    Series,
    drawing,
    shortened,
)
from spam_pipeline_tests.pages.parsed_page import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"
BARS = Bars([("DE", [Bar(1.0, "2,000")]), ("FR", [Bar(0.5, "1,000")])])
CURVES = Curves([Series("all", [4, 0, 2]), Series("kept", [2, 0, 1], is_in_question=True)], [(0, "a"), (3, "b")])


def elements(svg: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(SVG + tag))  # noqa: S314 - drawn here


def words(svg: str) -> list[str]:
    return [item.text or "" for item in elements(svg, "text")]


def heights(path: str) -> list[float]:
    """How high a stair lies above its base at each step."""
    base, *steps = [float(y) for y in re.findall(r"(?:M[\d.]+ |V)([\d.]+)", path)]
    return [base - y for y in steps[:-1]]


def test_bars_are_as_long_as_their_numbers_and_named_on_both_sides() -> None:
    svg = drawing([BARS])
    first, second = (float(item.attrib["width"]) for item in elements(svg, "rect"))
    assert first == pytest.approx(2 * second, abs=0.1)
    assert words(svg) == ["DE", "2,000", "FR", "1,000"]


def test_bars_begin_at_their_base_and_go_both_ways() -> None:
    more, less = elements(drawing([Bars([("x", [Bar(1.0, ""), Bar(0.0, "")])], base=0.5)]), "rect")
    assert float(less.attrib["x"]) + float(less.attrib["width"]) == pytest.approx(float(more.attrib["x"]), abs=0.1)


def test_curves_are_stairs_of_their_values_over_all_their_steps_and_the_one_in_question_is_filled() -> None:
    svg = drawing([CURVES])
    everything, kept = (item.attrib for item in elements(svg, "path") if "stroke-width" in item.attrib)
    high = heights(everything["d"])
    assert [value / max(high) for value in high] == [1, 0, 0.5]
    assert [value / max(high) for value in heights(kept["d"])] == [0.5, 0, 0.25]
    assert everything["d"].split("H")[-1].startswith(f"{WIDE}")
    assert (everything["fill"], kept["fill"]) == ("none", NEW)
    assert {"all", "kept", "a", "b", "0", "1", "2", "3", "4"} == set(words(svg))


@pytest.mark.parametrize(
    ("most", "levels"), [(1, "0 0.5 1"), (7, "0 2 4 6"), (1000, "0 500 1,000"), (0.3, "0 0.1 0.2 0.3")]
)
def test_levels_are_round_numbers(most: float, levels: str) -> None:
    assert " ".join(words(drawing([Curves([Series("x", [most])])]))[1:]) == levels


def test_panels_stand_below_each_other_under_their_title_and_keys() -> None:
    svg = drawing([BARS._replace(title="bars", keys=[("one", NEW)]), CURVES], "both", NARROW)
    assert words(svg)[:4] == ["both", "bars", "one", "DE"]
    tops = [int(item.attrib["transform"].split()[1].rstrip(")")) for item in elements(svg, "g")]
    assert tops == sorted(set(tops))
    assert tops[-1] < int(ET.fromstring(svg).attrib["viewBox"].split()[3])  # noqa: S314 - drawn here


def test_a_pointer_on_a_step_and_a_reader_of_the_page_are_told_what_is_drawn() -> None:
    svg = drawing([CURVES._replace(steps=("x", "y", "z"), unit=" %")], label="what it is")
    assert [item.text for item in elements(svg, "title")] == [
        "x: all 4 %, kept 2 %",
        "y: all 0 %, kept 0 %",
        "z: all 2 %, kept 1 %",
    ]
    assert ET.fromstring(svg).attrib["aria-label"] == "what it is"  # noqa: S314 - drawn here
    assert 'aria-label="a title"' in drawing([CURVES], "a title")


def test_ticks_that_would_touch_are_left_out() -> None:
    month = Curves([Series("x", [1] * 31)], [(day + 0.5, str(day + 1)) for day in range(31)])
    assert {str(day) for day in range(1, 32)} <= set(words(drawing([month])))
    narrow = words(drawing([month], width=NARROW // 2))
    assert ("1" in narrow, len(narrow) < 20) == (True, True)


def test_words_are_text_and_always_xml() -> None:
    svg = drawing([Bars([(f"\x01{HOSTILE[:20]}", [Bar(1, HOSTILE)])], title=HOSTILE, ticks=[(0.5, HOSTILE)])], HOSTILE)
    assert words(svg).count(HOSTILE) == 4
    assert f"\ufffd{HOSTILE[:20]}" in words(svg)


def test_long_names_are_cut_and_lines_are_joined() -> None:
    assert shortened("a\n b " + "x" * 90) == "a b " + "x" * 21 + "…"


@pytest.mark.parametrize("panels", [[], [Bars([])], [Curves([])], [Bars([]), Curves([])]])
def test_nothing_is_drawn_of_nothing(panels: list[Panel]) -> None:
    assert not drawing(panels, "a title")


def test_a_curve_without_steps_or_above_zero_nowhere_is_drawn_at_zero() -> None:
    for values in ([], [0, 0]):
        assert "0" in words(drawing([Curves([Series("x", values)])]))
