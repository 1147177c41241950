"""The page of comparisons: one HTML file that needs nothing else, to be sent, kept beside a decision, or printed.

It shows what `comparison.text` writes in a terminal, with pictures.
"""

from collections.abc import Iterable, Sequence

from spam_pipeline.pages.pictures import picture_of, picture_of_figures
from spam_pipeline.pages.rendering import rendered
from spam_pipeline.protocol.operating import (
    ComparedPartition,
    Comparison,
    Rows,
    finding_lines,
    format_difference,
    format_example,
    format_number,
    format_rows,
    format_shifts,
    format_significance,
)

_DIGITS = 12


def page_of(comparisons: Sequence[Comparison]) -> str:
    """The page, as text to be written in UTF-8."""
    words = finding_lines, format_difference, format_number, format_rows, format_shifts, format_significance
    used = {function.__name__: function for function in (*words, picture_of, picture_of_figures)}
    tables = {"versions": _versions, "partitions": _partitions, "examples": _examples}
    return str(rendered("templates/comparison.html.j2", comparisons=comparisons, **tables, **used))


def _versions(item: ComparedPartition) -> list[tuple[str, ...]]:
    """The versions of one partition, a row for each."""
    return [
        (
            words,
            *(digest[:_DIGITS] for digest in (side.recipe, side.code_version, side.content)),
            side.computed_at.isoformat(" ", "seconds"),
            f"{side.rows:,}",
            side.verdict.value,
        )
        for words, side in (("old", item.old), ("new", item.new))
        if side
    ]


def _partitions(partitions: Iterable[ComparedPartition]) -> list[tuple[str, ...]]:
    """Many partitions, a row for each."""
    return [
        (
            item.partition,
            *(f"{side.recipe[:_DIGITS]} {side.verdict.value}" if side else "nothing" for side in (item.old, item.new)),
            "equal" if item.is_equal else format_rows(item.rows) if item.rows else "",
        )
        for item in partitions
    ]


def _examples(rows: Rows) -> list[tuple[str, str]]:
    kinds = {"added": rows.added_examples, "removed": rows.removed_examples, "changed": rows.changed_examples}
    return [(kind, format_example(example)) for kind, examples in kinds.items() for example in examples]
