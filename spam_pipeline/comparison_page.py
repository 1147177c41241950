"""A page of comparisons: one HTML file that needs nothing else, to be sent, kept beside a decision, or printed.

It shows what `comparison_text` tells in a terminal, with pictures. All text that comes from data is escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from spam_pipeline.pictures import picture_of, picture_of_figures
from spam_pipeline.protocol import Finding
from spam_pipeline.protocol.operating import (
    ComparedPartition,
    Comparison,
    Mark,
    Rows,
    Side,
    finding_lines,
    format_difference,
    format_example,
    format_number,
    format_rows,
    format_shifts,
    format_significance,
)

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; border-top: 1px solid #ccc; padding-top: 1rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.4rem; }
table { border-collapse: collapse; } td, th { padding: 0.2rem 0.9rem 0.2rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #ccc; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: 0.9em; } svg { max-width: 100%; height: auto; margin: 0.5rem 0; }
.same, .chance { color: #777; } .significant { font-weight: 600; } .sides { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 2rem; }
.refuse, .refused { color: #b03024; font-weight: 600; } .warn { color: #9a6200; } .wide { overflow-x: auto; }
"""

_CLASSES = {Mark.SAME: "same", Mark.CHANCE: "chance", Mark.SIGNIFICANT: "significant", Mark.UNTESTED: "untested"}
_DIGITS = 12


def page_of(comparisons: Sequence[Comparison]) -> str:
    """The page, as text to be written in UTF-8."""
    stages = dict.fromkeys(comparison.stage for comparison in comparisons)
    title = f"Comparison of {', '.join(stages) or 'nothing'}"
    sections = "".join(f"<section>{''.join(_section(comparison))}</section>\n" for comparison in comparisons)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{sections or '<p>Nothing differs.</p>'}</body></html>\n"
    )


def _section(comparison: Comparison) -> Iterator[str]:
    partitions = comparison.partitions
    name = partitions[0].partition if len(partitions) == 1 else f"{len(partitions)} partitions"
    yield f"<h2>{escape(comparison.stage)} {escape(name)}</h2>"
    yield _partitions(partitions) if len(partitions) > 1 else _versions(partitions)
    yield _listed("Why they differ", [str(cause) for cause in comparison.causes])
    yield _listed("Columns", comparison.columns)
    if comparison.rows:
        yield from _rows(comparison.rows)
    yield _figures(comparison)
    yield _distributions(comparison)
    yield picture_of_figures(comparison) or ""
    for item in partitions:
        yield from _findings(item)


def _versions(partitions: Iterable[ComparedPartition]) -> str:
    """The versions of one partition, a row for each."""
    rows = [
        (words, *_cells(side)) for item in partitions for words, side in (("old", item.old), ("new", item.new)) if side
    ]
    return _table(("", "recipe", "code version", "content", "computed", "rows", "audit"), rows)


def _cells(side: Side) -> tuple[str, ...]:
    digests = (f"{digest[:_DIGITS]}" for digest in (side.recipe, side.code_version, side.content))
    return (*digests, side.computed_at.isoformat(" ", "seconds"), f"{side.rows:,}", side.verdict.value)


def _partitions(partitions: Iterable[ComparedPartition]) -> str:
    """Many partitions, a row for each."""
    rows = [
        (
            item.partition,
            *(f"{side.recipe[:_DIGITS]} {side.verdict.value}" if side else "nothing" for side in (item.old, item.new)),
            "equal" if item.is_equal else format_rows(item.rows) if item.rows else "",
        )
        for item in partitions
    ]
    return _table(("partition", "old", "new", "rows"), rows)


def _rows(rows: Rows) -> Iterator[str]:
    yield f"<h3>Rows</h3><p>{escape(format_rows(rows))}</p>"
    kinds = (("added", rows.added_examples), ("removed", rows.removed_examples), ("changed", rows.changed_examples))
    found = [(kind, format_example(example)) for kind, examples in kinds for example in examples]
    if found:
        yield _table(("", "for example"), found)


def _figures(comparison: Comparison) -> str:
    rows = [
        (
            (
                move.name,
                *(format_number(value, is_share=move.is_share) for value in (move.old, move.new)),
                format_difference(move),
                format_significance(move.mark, move.p),
            ),
            _CLASSES[move.mark],
        )
        for move in comparison.figures.moves
    ]
    if not rows:
        return ""
    head = "".join(f'<th class="{kind}">{name}</th>' for name, kind in zip(_FIGURES, _KINDS, strict=True))
    body = "".join(
        f'<tr class="{mark}">'
        + "".join(f'<td class="{kind}">{escape(cell)}</td>' for cell, kind in zip(cells, _KINDS, strict=True))
        + "</tr>"
        for cells, mark in rows
    )
    return f"<h3>Figures</h3><table><tr>{head}</tr>{body}</table>"


_FIGURES = ("figure", "old", "new", "difference", "significance")
_KINDS = ("", "number", "number", "number", "")


def _distributions(comparison: Comparison) -> str:
    rows = [
        (shift.name, f"{shift.size:.2%}", format_significance(shift.mark, shift.p), format_shifts(shift.moved))
        for shift in comparison.figures.shifts
    ]
    head = ("distribution", "rows elsewhere", "significance", "moved most")
    return f"<h3>Distributions</h3>{_table(head, rows)}" if rows else ""


def _findings(item: ComparedPartition) -> Iterator[str]:
    """What both audits found, side by side if both did."""
    sides = {words: side.findings for words, side in (("old", item.old), ("new", item.new)) if side and side.findings}
    if sides:
        yield f'<h3>What audits found in {escape(item.partition)}</h3><div class="{"sides" if len(sides) > 1 else "side"}">'
        yield from (
            f"<div><p>{words}:</p>{''.join(map(_finding, findings))}</div>" for words, findings in sides.items()
        )
        yield "</div>"


def _finding(finding: Finding) -> str:
    return f'<p class="{finding.severity.value}">{escape(next(finding_lines(finding)))}</p>{picture_of(finding) or ""}'


def _listed(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h3>{title}</h3><ul>{items}</ul>" if items else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells}</tr>{body}</table></div>'
