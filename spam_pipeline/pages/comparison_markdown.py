"""Comparisons as Markdown, for a pull request: a summary of all stages first, then each stage folded away.

It has what `comparison_page` has, without pictures, examples of rows, and whatever else can hold what people wrote or whom it is about.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from spam_pipeline.pages.markdown import as_table, as_text
from spam_pipeline.protocol.operating import (
    Comparison,
    Move,
    Shift,
    finding_without_names,
    format_difference,
    format_number,
    format_rows,
    format_shifts,
    format_significance,
)

_MOST_FIGURES = 20
_MOST_CAUSES = 3
_NO_NEWS = ("same", "could be chance")
"""Marks of what nobody has to read about."""
_Marked = TypeVar("_Marked", Move, Shift)


def markdown_of(comparisons: Sequence[Comparison], title: str) -> str:
    """The comparisons under a title; those whose data is equal are only counted."""
    differing = [item for item in comparisons if item.differs]
    equal = len(comparisons) - len(differing)
    parts = [f"### {as_text(title)}"]
    if differing:
        parts.append(
            as_table(
                ("stage", "partitions", "rows", "figures that differ", "why"), [_summary(item) for item in differing]
            )
        )
        parts += [_details(item) for item in differing]
    if equal or not differing:
        parts.append(f"Equal data: {equal} stages." if differing else "Nothing differs.")
    return "\n\n".join(parts)


def _summary(comparison: Comparison) -> tuple[str, ...]:
    partitions = [item.partition for item in comparison.partitions if not item.is_equal]
    span = " to ".join(dict.fromkeys((partitions[0], partitions[-1])))
    rest = len(comparison.causes) - _MOST_CAUSES
    causes = "; ".join(str(cause) for cause in comparison.causes[:_MOST_CAUSES])
    rows = comparison.rows
    return (
        comparison.stage,
        f"{len(partitions)} of {len(comparison.partitions)}: {span}",
        f"{rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed" if rows else "",
        str(len(_news(comparison.figures.moves))),
        f"{causes} and {rest} more" if rest > 0 else causes,
    )


def _details(comparison: Comparison) -> str:
    moves = _news(comparison.figures.moves)
    figures = [
        (
            move.name,
            *(format_number(value, is_share=move.is_share) for value in (move.old, move.new)),
            format_difference(move),
            format_significance(move.mark, move.p),
        )
        for move in moves[:_MOST_FIGURES]
    ]
    parts = [
        f"<details><summary>{as_text(comparison.stage)}</summary>",
        as_table(("figure", "old", "new", "difference", "significance"), figures) if figures else "",
        f"{len(moves) - _MOST_FIGURES} more figures differ." if len(moves) > _MOST_FIGURES else "",
        "\n".join(f"- {as_text(line)}" for line in _lines(comparison)),
        "</details>",
    ]
    return "\n\n".join(filter(None, parts))


def _news(moves: Sequence[_Marked]) -> list[_Marked]:
    """What differs by more than chance, or cannot be tested for that."""
    return [move for move in moves if move.mark.value not in _NO_NEWS]


def _lines(comparison: Comparison) -> Iterator[str]:
    """Causes, changed columns, distributions that moved, and findings about the new versions that the old ones did not have."""
    yield from (f"why: {cause}" for cause in comparison.causes)
    yield from (f"column: {line}" for line in comparison.columns)
    if comparison.rows:
        yield f"rows: {format_rows(comparison.rows)}"
    for shift in _news(comparison.figures.shifts):
        yield f"{shift.name}: {shift.size:.2%} of the rows elsewhere: {format_shifts(shift.moved)}"
    for item in comparison.partitions:
        known = item.old.findings if item.old else ()
        for finding in item.new.findings if item.new else ():
            if finding not in known:
                yield f"{item.partition}: {finding.severity.value}: {finding_without_names(finding)}"
