"""Comparisons formatted as lines that fit on one screen of a terminal, and as JSON values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from spam_pipeline.protocol.explanation.comparison.comparison import ComparedPartition, Comparison, Side
from spam_pipeline.protocol.explanation.comparison.figures import Mark, Move, Shift
from spam_pipeline.protocol.explanation.comparison.rows import Example, Rows
from spam_pipeline.protocol.foundation.finding import CategoryShift, finding_lines, finding_to_json

_DIGITS = 12
_MOST_LINES = 24
_MOST_PARTITIONS = 6
_MOST_EXAMPLES = 2
_LARGE = 1000

_ORDER = (Mark.SIGNIFICANT, Mark.UNTESTED, Mark.CHANCE)
"""The marks of differences, those that matter most first."""


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Format a comparison as lines: versions, causes, rows, figures and findings; equal figures are only counted."""
    yield from _heading(comparison)
    for cause in comparison.causes:
        yield f"why: {cause}"
    if comparison.columns:
        yield f"columns: {', '.join(comparison.columns)}"
    if comparison.rows:
        yield from _row_lines(comparison.rows)
    yield from _figure_lines(comparison.figures.moves)
    yield from _distribution_lines(comparison.figures.shifts)
    yield from _finding_lines(comparison.partitions)


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """Convert a comparison to JSON values; of distributions, the values that moved most."""
    return {
        "stage": comparison.stage,
        "partitions": [
            {
                "partition": item.partition,
                "old": _side_as_json(item.old),
                "new": _side_as_json(item.new),
                "is_equal": item.is_equal,
                "rows": asdict(item.rows) if item.rows else None,
            }
            for item in comparison.partitions
        ],
        "figures": [
            {**asdict(move), "difference": move.difference, "mark": move.mark.value}
            for move in comparison.figures.moves
        ],
        "distributions": [
            {
                "name": shift.name,
                "moved_share": shift.size,
                "p": shift.p,
                "mark": shift.mark.value,
                "moved": [item._asdict() for item in shift.moved],
            }
            for shift in comparison.figures.shifts
        ],
        "rows": asdict(comparison.rows) if comparison.rows else None,
        "columns": list(comparison.columns),
        "causes": [{"kind": cause.kind.value, "names": list(cause.names)} for cause in comparison.causes],
    }


def format_number(value: float | None, *, is_share: bool = False) -> str:
    """A number as people read it: a share in percent, large numbers with thousands apart, none as a dash."""
    if value is None:
        return "-"
    if is_share:
        return f"{100 * value:.4g} %"
    return f"{value:,.0f}" if abs(value) >= _LARGE or value == round(value) else f"{value:.4g}"


def format_difference(move: Move) -> str:
    """Format the move of a number: a share in percentage points, others also relative to what they were."""
    if move.difference is None or not move.difference:
        return ""
    if move.is_share:
        return f"{100 * move.difference:+.3g} points"
    relative = f" ({move.difference / abs(move.old):+.2%})" if move.old else ""
    sign = "+" if move.difference > 0 else ""
    return f"{sign}{format_number(move.difference)}{relative}"


def format_significance(mark: Mark, p: float | None) -> str:
    """Format the significance of a difference, with its p where it was tested."""
    if p is None or mark is Mark.SAME:
        return mark.value
    return f"{mark.value}, p {'below 1e-99' if p < 1e-99 else f'{p:.2g}'}"  # noqa: PLR2004 - the smallest that reads well


def format_rows(rows: Rows) -> str:
    """Format the counts of rows that were added, removed and changed, in one sentence."""
    by_column = ", ".join(
        f"{name} {count:,}" for name, count in sorted(rows.by_column.items(), key=lambda item: -item[1])
    )
    counts = f"{rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed, {rows.unchanged:,} unchanged"
    return f"{counts}{f'; changed columns: {by_column}' if by_column else ''}"


def format_example(example: Example) -> str:
    """A row by its key, and what changed of it."""
    key = ", ".join(f"{name} {value}" for name, value in example.key.items())
    changes = ", ".join(
        f"{name} {_format_value(value)} -> {_format_value(example.new[name])}" for name, value in example.old.items()
    )
    return f"{key}{f': {changes}' if changes else ''}"


def _format_value(value: Any) -> str:
    """A value of a row in few characters: floats as precise as single precision is, nested values without their names."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return " ".join(map(_format_value, value.values()))
    if isinstance(value, list):
        return f"[{', '.join(map(_format_value, value))}]"
    return str(value)


def format_shifts(moved: Sequence[CategoryShift]) -> str:
    """The values that moved most, with their shares."""
    return ", ".join(f"{item.value} {item.expected:.2%} -> {item.seen:.2%}" for item in moved)


def format_side(side: Side | None) -> str:
    """One version in a line."""
    if side is None:
        return "nothing"
    computed = side.computed_at.isoformat(" ", "minutes")
    names = f"{side.recipe[:_DIGITS]}, code {side.code_version[:_DIGITS]}, content {side.content[:_DIGITS]}"
    return f"{names}, computed {computed}, {side.verdict.value}, {side.rows:,} rows"


def _heading(comparison: Comparison) -> Iterator[str]:
    partitions = comparison.partitions
    if len(partitions) == 1:
        yield f"{comparison.stage} {partitions[0].partition}"
        yield f"  old: {format_side(partitions[0].old)}"
        yield f"  new: {format_side(partitions[0].new)}"
        return
    both = [item for item in partitions if item.old and item.new]
    equal = sum(item.is_equal for item in both)
    yield f"{comparison.stage}: {len(partitions)} partitions, {len(both)} of them on both sides, {equal} of those equal"
    for words, several in (
        ("no old version of", [item.partition for item in partitions if not item.old]),
        ("no new version of", [item.partition for item in partitions if not item.new]),
        ("differing", [item.partition for item in both if not item.is_equal]),
    ):
        if several:
            rest = len(several) - _MOST_PARTITIONS
            yield f"  {words}: {', '.join(several[:_MOST_PARTITIONS])}{f' and {rest} more' if rest > 0 else ''}"


def _row_lines(rows: Rows) -> Iterator[str]:
    yield f"rows: {format_rows(rows)}"
    for kind, examples in (
        ("added", rows.added_examples),
        ("removed", rows.removed_examples),
        ("changed", rows.changed_examples),
    ):
        for example in examples[:_MOST_EXAMPLES]:
            yield f"  {kind} {format_example(example)}"


def _figure_lines(moves: Sequence[Move]) -> Iterator[str]:
    """Numbers that differ, those that matter most first, in columns."""
    differing = sorted((move for move in moves if move.mark is not Mark.SAME), key=lambda move: _ORDER.index(move.mark))
    cells = [("", "old", "new", "difference", "significance")]
    for move in differing[:_MOST_LINES]:
        old, new = (format_number(value, is_share=move.is_share) for value in (move.old, move.new))
        cells.append((move.name, old, new, format_difference(move), format_significance(move.mark, move.p)))
    if differing:
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        for name, old, new, moved, worth in cells:
            columns = f"{old:>{widths[1]}}  {new:>{widths[2]}}  {moved:>{widths[3]}}"
            yield f"{name or 'figures':<{max(widths[0], len('figures'))}}  {columns}  {worth}"
    hidden = len(differing) - _MOST_LINES
    if hidden > 0:
        yield f"{hidden} more figures differ"
    if len(moves) > len(differing):
        yield f"{len(moves) - len(differing)} figures are the same"


def _distribution_lines(shifts: Sequence[Shift]) -> Iterator[str]:
    for shift in sorted((item for item in shifts if item.mark is not Mark.SAME), key=lambda item: -item.size):
        yield f"{shift.name}: {shift.size:.2%} of the rows elsewhere, {format_significance(shift.mark, shift.p)}: {format_shifts(shift.moved)}"


def _finding_lines(partitions: Sequence[ComparedPartition]) -> Iterator[str]:
    """Findings about the new versions that the old ones did not have, with their evidence, and the other way round."""
    for item in partitions:
        old, new = (list(side.findings) if side else [] for side in (item.old, item.new))
        yield from (
            f"{item.partition} no longer: {next(finding_lines(finding))}" for finding in old if finding not in new
        )
        for finding in new:
            if finding not in old:
                sentence, *evidence = finding_lines(finding)
                yield f"{item.partition} new: {sentence}"
                yield from evidence


def _side_as_json(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        **asdict(side),
        "computed_at": side.computed_at.isoformat(),
        "verdict": side.verdict.value,
        "findings": [finding_to_json(finding) for finding in side.findings],
    }
