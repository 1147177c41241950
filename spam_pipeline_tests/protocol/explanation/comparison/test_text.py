"""Comparisons as lines for a terminal and as JSON."""

import json
from dataclasses import replace

import pytest

from spam_pipeline.protocol.explanation.comparison.figures import Figures, Mark, Move
from spam_pipeline.protocol.explanation.comparison.rows import Example
from spam_pipeline.protocol.explanation.comparison.text import (
    comparison_lines,
    comparison_to_json,
    format_difference,
    format_example,
    format_number,
    format_significance,
)
from spam_pipeline.protocol.foundation.finding import finding_from_json
from spam_pipeline_tests.compared_versions import COMPARISON, DAY, DRIFT, SAME, SEVERAL, SPIKE


def test_one_screen_tells_what_differs_and_why() -> None:
    lines = list(comparison_lines(COMPARISON))
    assert lines[:7] == [
        f"classified_plays {DAY}",
        "  old: 3fa2b1c43fa2, code dddddddddddd, content cccccccccccc, computed 2026-01-06 07:08+00:00, passed, 1,000 rows",
        "  new: 99ab12cd99ab, code dddddddddddd, content cccccccccccc, computed 2026-01-06 07:08+00:00, refused, 1,000 rows",
        "why: code: model.score, polars 2.0 -> 2.1",
        "why: data: plays 2026-01-05",
        "columns: reasons (added)",
        "rows: 2 added, 0 removed, 60 changed, 940 unchanged; changed columns: class 60, reasons 7",
    ]
    assert "  changed event_id e2: class legitimate -> spam" in lines
    assert f"{DAY} new: refuse: {SPIKE}" in lines
    assert len(lines) < 24


def test_figures_stand_in_columns_the_significant_ones_first_and_equal_ones_are_counted() -> None:
    lines = list(comparison_lines(COMPARISON))
    start = next(place for place, line in enumerate(lines) if line.startswith("figures"))
    assert lines[start].split() == ["figures", "old", "new", "difference", "significance"]
    assert lines[start + 1].split()[:7] == ["spam_share", "3", "%", "9", "%", "+6", "points"]
    assert "significant, p" in lines[start + 1]
    assert lines[start + 2].split() == ["quality", "0.9", "0.95", "+0.05", "(+5.56%)", "changed"]
    assert lines[start].index("significance") == lines[start + 1].index("significant")
    assert any(line.startswith("countries: 20.00% of the rows elsewhere, significant, p ") for line in lines)
    assert "3 figures are the same" in lines


def test_where_nothing_differs_figures_are_counted_and_nothing_is_listed() -> None:
    assert [line for line in comparison_lines(SAME) if not line.startswith(("  ", DAY))] == [
        f"classified_plays {DAY}",
        "5 figures are the same",
    ]


def test_of_many_partitions_those_that_differ_or_lack_a_side_are_named_up_to_six() -> None:
    lines = list(comparison_lines(SEVERAL))
    assert lines[:3] == [
        "classified_plays: 11 partitions, 9 of them on both sides, 9 of those equal",
        "  no old version of: 2026-01-13",
        "  no new version of: 2026-01-14",
    ]
    other = replace(SEVERAL.partitions[0].new or SEVERAL.partitions[0].old, content="other")
    differing = replace(SEVERAL, partitions=tuple(replace(item, new=other) for item in SEVERAL.partitions))
    assert "  differing: 2026-01-05, 2026-01-06, 2026-01-07, 2026-01-08, 2026-01-09, 2026-01-10 and 4 more" in list(
        comparison_lines(differing)
    )


def test_more_figures_than_fit_on_a_screen_are_counted() -> None:
    many = Figures(tuple(Move(f"figure_{place}", 1, 2, None, Mark.UNTESTED) for place in range(100)))
    lines = list(comparison_lines(replace(SAME, figures=many)))
    assert "76 more figures differ" in lines


def test_a_finding_of_both_audits_is_not_told() -> None:
    item = COMPARISON.partitions[0]
    both = replace(COMPARISON, partitions=(replace(item, old=item.new),))
    assert not [line for line in comparison_lines(both) if "refuse: " in line]
    gone = replace(COMPARISON, partitions=(replace(item, old=item.new, new=item.old),))
    assert f"{DAY} no longer: warn: {DRIFT}" in list(comparison_lines(gone))


def test_json_holds_all_of_it() -> None:
    found = json.loads(json.dumps(comparison_to_json(COMPARISON), allow_nan=False))
    assert set(found) == {"stage", "partitions", "figures", "distributions", "rows", "columns", "causes"}
    (partition,) = found["partitions"]
    assert (partition["old"]["verdict"], partition["new"]["verdict"]) == ("passed", "refused")
    assert [finding_from_json(item) for item in partition["new"]["findings"]] == [DRIFT, SPIKE]
    figures = {item["name"]: item for item in found["figures"]}
    assert figures["spam_share"]["difference"] == pytest.approx(0.06)
    assert figures["spam_share"]["mark"] == "significant"
    assert found["distributions"][0]["moved"][0] == {"value": "DE", "expected": 0.6, "seen": 0.4}
    assert found["causes"][1] == {"kind": "data", "names": ["plays 2026-01-05"]}
    assert found["rows"]["by_column"] == {"class": 60, "reasons": 7}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.123456, "0.1235"), (12.0, "12"), (1234.5, "1,234"), (-1_234_567, "-1,234,567"), (1e-7, "1e-07")],
)
def test_numbers_read_well(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_a_changed_row_is_told_with_short_numbers_and_without_the_names_of_nested_values() -> None:
    reason = {"signal": "device_hours", "value": 23.0, "usual": 4.0}
    example = Example(
        key={"event_id": "e1"},
        old={"spam_probability": 0.009999999776482582, "reasons": [], "class": None},
        new={"spam_probability": 0.9100000262260437, "reasons": [reason], "class": "spam"},
    )
    assert format_example(example) == (
        "event_id e1: spam_probability 0.01 -> 0.91, reasons [] -> [device_hours 23 4], class None -> spam"
    )


def test_shares_are_in_percent_and_move_by_points() -> None:
    assert format_number(0.0314159, is_share=True) == "3.142 %"
    assert format_difference(Move("share", 0.03, 0.02, None, Mark.UNTESTED, is_share=True)) == "-1 points"
    assert format_difference(Move("count", 0, 5, None, Mark.UNTESTED)) == "+5"
    assert format_difference(Move("count", 2000, 1000, None, Mark.UNTESTED)) == "-1,000 (-50.00%)"
    assert format_difference(Move("count", None, 5, None, Mark.UNTESTED)) == ""


def test_significance_is_told_with_its_chance_where_it_was_tested() -> None:
    assert format_significance(Mark.SIGNIFICANT, 0.00012) == "significant, p 0.00012"
    assert format_significance(Mark.SIGNIFICANT, 0.0) == "significant, p below 1e-99"
    assert format_significance(Mark.UNTESTED, None) == "changed"
    assert format_significance(Mark.SAME, 1.0) == "same"
