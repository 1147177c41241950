"""Rows of two versions, compared by key or as a whole."""

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.protocol.explanation.comparison.rows import EXAMPLES, Example, Rows, rows_between, summed

SCHEMA = {"key": pl.Int64, "word": pl.String, "number": pl.Float64}
Values = tuple[str | None, float | None]

values = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([0.0, 1.5, float("nan"), None]))
by_key = st.dictionaries(st.integers(0, 12), values)


def frame(rows: dict[int, Values]) -> pl.LazyFrame:
    return pl.LazyFrame([(key, *row) for key, row in rows.items()], schema=SCHEMA, orient="row")


def counts(rows: Rows) -> tuple[int, int, int, int]:
    return rows.added, rows.removed, rows.changed, rows.unchanged


@given(by_key, by_key)
def test_every_row_is_added_removed_changed_or_unchanged(old: dict[int, Values], new: dict[int, Values]) -> None:
    found = rows_between(frame(old), frame(new), ["key"])
    both = old.keys() & new.keys()
    changed = {key for key in both if repr(old[key]) != repr(new[key])}
    assert counts(found) == (len(new.keys() - both), len(old.keys() - both), len(changed), len(both - changed))
    words = sum(old[key][0] != new[key][0] for key in both)
    numbers = sum(repr(old[key][1]) != repr(new[key][1]) for key in both)
    assert found.by_column == {name: rows for name, rows in {"word": words, "number": numbers}.items() if rows}
    assert [example.key["key"] for example in found.changed_examples] == sorted(changed)[:EXAMPLES]
    assert all(example.old.keys() == example.new.keys() != set() for example in found.changed_examples)


@given(st.lists(values), st.lists(values))
def test_without_a_key_whole_rows_are_counted(old: list[Values], new: list[Values]) -> None:
    frames = (pl.LazyFrame(rows, schema={"word": pl.String, "number": pl.Float64}, orient="row") for rows in (old, new))
    before, now = (Counter(map(repr, rows)) for rows in (old, new))
    found = rows_between(*frames, [])
    assert counts(found) == ((now - before).total(), (before - now).total(), 0, (before & now).total())


def test_an_example_shows_the_key_and_what_changed_and_nothing_else() -> None:
    old = frame({1: ("a", 1.0), 2: ("a", 2.0), 3: ("secret", 3.0)})
    new = frame({1: ("a", 1.5), 2: ("a", 2.0), 4: ("secret", 3.0)})
    found = rows_between(old, new, ["key"])
    assert found.changed_examples == (Example({"key": 1}, {"number": 1.0}, {"number": 1.5}),)
    assert found.added_examples == (Example({"key": 4}),)
    assert found.removed_examples == (Example({"key": 3}),)


def test_a_key_that_names_several_rows_is_no_key() -> None:
    old, new = frame({1: ("a", 1.0)}), frame({1: ("b", 1.0)})
    assert counts(rows_between(pl.concat([old, old]), new, ["key"])) == (1, 2, 0, 0)
    assert counts(rows_between(old, pl.concat([old, new]), ["key"])) == (1, 0, 0, 1)


def test_columns_of_one_side_only_are_left_out() -> None:
    old = frame({1: ("a", 1.0), 2: ("b", 2.0)})
    new = frame({1: ("a", 1.0), 2: ("c", 2.0)}).with_columns(pl.col("number").cast(pl.Int64), more=pl.lit(1))
    assert counts(rows_between(old, new, ["key"])) == (0, 0, 1, 1)


def test_without_the_key_on_both_sides_or_with_other_columns_all_rows_are_others() -> None:
    old = frame({1: ("a", 1.0), 2: ("b", 2.0)})
    assert counts(rows_between(old, old.rename({"key": "id"}), ["key"])) == (2, 2, 0, 0)
    assert counts(rows_between(old, old.with_columns(more=pl.lit(1)), [])) == (2, 2, 0, 0)


def test_a_frame_of_nothing_but_its_key_changes_by_rows_only() -> None:
    old, new = pl.LazyFrame({"key": [1, 2]}), pl.LazyFrame({"key": [2, 3]})
    assert counts(rows_between(old, new, ["key"])) == (1, 1, 0, 1)


def test_examples_hold_values_that_json_holds() -> None:
    old = pl.LazyFrame(
        {"day": [date(2026, 1, 5)], "at": [datetime(2026, 1, 5, tzinfo=UTC)], "reasons": [["x"]], "share": [0.5]}
    )
    new = old.with_columns(
        at=pl.col("at").dt.offset_by("1h"), reasons=pl.lit([], pl.List(pl.String)), share=float("inf")
    )
    found = rows_between(old, new, ["day"])
    (example,) = json.loads(json.dumps(asdict(found), allow_nan=False))["changed_examples"]
    assert example["key"] == {"day": "2026-01-05"}
    assert example["new"] == {"at": "2026-01-05 01:00:00+00:00", "reasons": "[]", "share": "inf"}


def test_rows_of_several_comparisons_add_up_with_the_first_examples() -> None:
    one = rows_between(frame(dict.fromkeys(range(4), ("a", 1.0))), frame(dict.fromkeys(range(4), ("b", 1.0))), ["key"])
    both = summed([one, one])
    assert (counts(both), dict(both.by_column), len(both.changed_examples)) == ((0, 0, 8, 0), {"word": 8}, EXAMPLES)
    assert summed([]) == Rows()


@given(by_key, by_key)
def test_slices_together_are_the_whole(old: dict[int, Values], new: dict[int, Values]) -> None:
    whole, sliced = (rows_between(frame(old), frame(new), ["key"], at_once) for at_once in (100, 3))
    assert counts(sliced) == counts(whole)
    assert sliced.by_column == whole.by_column
