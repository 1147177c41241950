"""Tables of any data: never wider than the terminal, one row a line, and what was left out is said."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from spam_pipeline.command_line.narrow_table import narrow_table

VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=40), st.lists(st.integers(), max_size=9))


@given(st.data(), st.integers(1, 9), st.integers(20, 120))
def test_no_line_is_wider_than_the_terminal_and_every_row_has_one(
    data: st.DataObject, columns: int, width: int
) -> None:
    rows = data.draw(st.lists(st.tuples(*[VALUES] * columns), max_size=5))
    table = narrow_table([f"column_{index}" for index in range(columns)], rows, width)
    assert len(table.lines) == len(rows)
    assert all(cell_len(line) <= width for line in (table.head, *table.lines))
    assert all(line.isprintable() for line in table.lines)


def shown(columns: list[str], *rows: tuple[Any, ...], width: int = 80) -> list[str]:
    table = narrow_table(columns, rows, width)
    return [table.head, *table.lines, table.shortened]


def test_what_fits_is_shown_as_it_is_with_numbers_to_the_right() -> None:
    lines = shown(["track", "plays"], ("t1", 7), ("t22", 1234))
    assert lines == ["track  plays", "t1         7", "t22     1234", ""]


def test_the_widest_values_are_cut_first() -> None:
    lines = shown(["a", "b"], ("x" * 30, "short"), width=20)
    assert lines == ["a              b", "xxxxxxxxxxxx…  short", "1 value is cut"]


def test_columns_that_would_be_too_narrow_are_left_out() -> None:
    *_, shortened = shown([f"column_{index:02}" for index in range(12)], tuple("y" * 20 for _ in range(12)))
    assert shortened == "5 of 12 columns are shown, 5 values are cut"


def test_what_would_steer_a_terminal_is_blank() -> None:
    assert shown(["a"], ("red \x1b[31m\nline",))[1] == "red  [31m line"
