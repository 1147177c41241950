"""The page of comparisons: one HTML file that needs nothing else, to be sent, kept beside a decision, or printed.

It shows what `comparison.text` writes in a terminal, with pictures. Here is what stands on it; how it looks is in its template.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from spam_pipeline.pages.pictures import picture_of, picture_of_figures
from spam_pipeline.pages.rendering import rendered
from spam_pipeline.protocol.comparison import ComparedPartition, Comparison, Side
from spam_pipeline.protocol.comparison.figures import Mark
from spam_pipeline.protocol.comparison.rows import Rows
from spam_pipeline.protocol.comparison.text import (
    difference,
    number,
    significance,
    told_example,
    told_moved,
    told_rows,
)
from spam_pipeline.protocol.finding import Finding, told

_CLASSES = {Mark.SAME: "same", Mark.CHANCE: "chance", Mark.SIGNIFICANT: "significant", Mark.UNTESTED: "untested"}
_DIGITS = 12


def page_of(comparisons: Sequence[Comparison]) -> str:
    """The page, as text to be written in UTF-8."""
    stages = list(dict.fromkeys(comparison.stage for comparison in comparisons))
    sections = [_section(comparison) for comparison in comparisons]
    return str(rendered("templates/comparison.html.j2", stages=stages, comparisons=sections))


def _section(comparison: Comparison) -> dict[str, Any]:
    partitions = comparison.partitions
    name = partitions[0].partition if len(partitions) == 1 else f"{len(partitions)} partitions"
    return {
        "title": f"{comparison.stage} {name}",
        "versions": list(_versions(partitions[0])) if len(partitions) == 1 else [],
        "partitions": [_partition(item) for item in partitions],
        "causes": comparison.causes,
        "columns": comparison.columns,
        "rows": told_rows(comparison.rows) if comparison.rows else "",
        "examples": list(_examples(comparison.rows)) if comparison.rows else [],
        "figures": list(_figures(comparison)),
        "distributions": [
            (shift.name, f"{shift.size:.2%}", significance(shift.mark, shift.p), told_moved(shift.moved))
            for shift in comparison.figures.shifts
        ],
        "picture": picture_of_figures(comparison),
        "audited": list(_audited(partitions)),
    }


def _versions(item: ComparedPartition) -> Iterator[tuple[str, ...]]:
    """The versions of one partition, a row for each."""
    for words, side in (("old", item.old), ("new", item.new)):
        if side:
            digests = (digest[:_DIGITS] for digest in (side.recipe, side.code_version, side.content))
            yield (words, *digests, side.computed_at.isoformat(" ", "seconds"), f"{side.rows:,}", side.verdict.value)


def _partition(item: ComparedPartition) -> tuple[str, ...]:
    """One of many partitions as a row."""
    sides = (f"{side.recipe[:_DIGITS]} {side.verdict.value}" if side else "nothing" for side in (item.old, item.new))
    return (item.partition, *sides, "equal" if item.is_equal else told_rows(item.rows) if item.rows else "")


def _examples(rows: Rows) -> Iterator[tuple[str, str]]:
    kinds = {"added": rows.added_examples, "removed": rows.removed_examples, "changed": rows.changed_examples}
    return ((kind, told_example(example)) for kind, examples in kinds.items() for example in examples)


def _figures(comparison: Comparison) -> Iterator[dict[str, str]]:
    for move in comparison.figures.moves:
        old, new = (number(value, is_share=move.is_share) for value in (move.old, move.new))
        yield {
            "mark": _CLASSES[move.mark],
            "name": move.name,
            "old": old,
            "new": new,
            "difference": difference(move),
            "significance": significance(move.mark, move.p),
        }


def _audited(partitions: Sequence[ComparedPartition]) -> Iterator[dict[str, Any]]:
    """What both audits of each partition found, if any did."""
    for item in partitions:
        old, new = (_findings(side) for side in (item.old, item.new))
        if old or new:
            yield {"partition": item.partition, "old": old, "new": new}


def _findings(side: Side | None) -> list[dict[str, str]]:
    return [_finding(finding) for finding in (side.findings if side else ())]


def _finding(finding: Finding) -> dict[str, str]:
    return {"severity": finding.severity.value, "sentence": next(told(finding)), "picture": picture_of(finding)}
