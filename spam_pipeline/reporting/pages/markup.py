"""The parts that pages are made of: tables, bars, and a line for each series over the days. All text is escaped."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import NamedTuple
from urllib.parse import quote

import polars as pl

from spam_pipeline.reporting.month import Figures

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 64rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; border-top: 1px solid #ccc; padding-top: 1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 0.6rem 0; } td, th { padding: 0.2rem 0.9rem 0.2rem 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; } th { font-weight: 600; border-bottom: 1px solid #ccc; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.figures { display: flex; flex-wrap: wrap; gap: 0.8rem 2.2rem; margin: 1.2rem 0; } .figures dt { color: #666; font-size: 0.85rem; }
.figures dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.changes { background: #f4f7fb; border-left: 4px solid #2f6fb0; padding: 0.2rem 1.2rem 0.8rem; margin: 1.2rem 0; }
.changes h2 { border: 0; margin: 0; } .changes li { overflow-wrap: anywhere; }
a { color: #2f6fb0; } svg { max-width: 100%; height: auto; } .note { color: #666; }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may load for a page: nothing but its own style, and pictures that are in it. No script runs."""


class Number(NamedTuple):
    """A number that is written out already, such as an amount or a share."""

    words: str


class Link(NamedTuple):
    """Words that lead to another page; `place` is its path seen from this one."""

    words: str
    place: str


Cell = str | int | Number | Link
"""What stands in a table: words, a link, or a number, which is set to the right; an integer has its thousands apart."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 880, 260, 70, 30, 30
_BAR, _NAMES, _LONGEST_NAME = 22, 180, 26
_COLOURS = ("#8a8f98", "#2f6fb0")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no XML may hold, and a drawing is XML."""


def document(title: str, sections: Sequence[str], head: str = "") -> str:
    """A whole page; `head` is put among what it says of itself."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">{head}<title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{''.join(sections)}</body></html>\n"
    )


def section(title: str, note: str, body: str) -> str:
    """A heading, a sentence that says what one sees, and what there is to see."""
    return f'<section><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{body}</section>\n'


def headline(figures: Figures) -> str:
    """The headline numbers, side by side."""
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)
    return f'<dl class="figures">{shown}</dl>\n'


def paragraph(link: Link) -> str:
    """A link on a line of its own."""
    return f"<p>{_linked(link)}</p>\n"


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Rows under a head; a column of numbers has its head on the right as well. Says so where there are no rows."""
    if not rows:
        return "<p>None.</p>"
    classes = ['class="number"' if isinstance(cell, int | Number) else "" for cell in rows[0]]
    names = "".join(f"<th {kind}>{escape(name)}</th>" for name, kind in zip(head, classes, strict=True))
    return f"<table><tr>{names}</tr>{''.join(map(_row, rows))}</table>"


def listed(frame: pl.DataFrame) -> list[list[Cell]]:
    """The rows of a frame of text and numbers, for a table."""
    return [list(row) for row in frame.iter_rows()]


def _row(cells: Sequence[Cell]) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: Cell) -> str:
    match cell:
        case int():
            return f'<td class="number">{cell:,}</td>'
        case Number(words):
            return f'<td class="number">{escape(words)}</td>'
        case Link():
            return f"<td>{_linked(cell)}</td>"
        case str():
            return f"<td>{escape(cell)}</td>"


def _linked(link: Link) -> str:
    return f'<a href="{escape(quote(link.place))}">{escape(link.words)}</a>'


def bars(amounts: Mapping[str, int]) -> str:
    """A bar for each amount under its name as SVG, from zero up; nothing where there are none."""
    if not amounts:
        return ""
    most = max(amounts.values()) or 1
    drawn = "".join(_bar(place, name, amount, most) for place, (name, amount) in enumerate(amounts.items()))
    return _drawing(_BAR * len(amounts), drawn)


def _bar(place: int, name: str, amount: int, most: int) -> str:
    length = (_WIDTH - 2 * _NAMES) * amount / most
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    words = _text(0, _BAR * place + 14, shown, "start") + _text(_WIDTH, _BAR * place + 14, f"{amount:,}", "end")
    drawn = f'<rect x="{_NAMES}" y="{_BAR * place + 4}" width="{length:.1f}" height="{_BAR - 8}" fill="{_COLOURS[1]}"/>'
    return words + drawn


def curves(days: Sequence[date], series: Mapping[str, Sequence[int]]) -> str:
    """At most two series over the same days as SVG, from zero up."""
    most = max((max(values) for values in series.values() if values), default=0) or 1
    drawn = "".join(
        _curve(values, most, colour) + _name(place, name, colour)
        for place, ((name, values), colour) in enumerate(zip(series.items(), _COLOURS, strict=False))
    )
    ends = ((_LEFT, "start", days[0]), (_WIDTH, "end", days[-1])) if days else ()
    dates = "".join(_text(x, _HEIGHT - 8, day.isoformat(), anchor) for x, anchor, day in ends)
    scale = _text(_LEFT - 8, _TOP + 4, f"{most:,}", "end") + _text(_LEFT - 8, _HEIGHT - _BOTTOM, "0", "end")
    base = f'<path d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH}" stroke="#b4b9c1"/>'
    return _drawing(_HEIGHT, base + scale + dates + drawn)


def _drawing(height: int, drawn: str) -> str:
    space = 'xmlns="http://www.w3.org/2000/svg"'
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    return f'<svg {space} viewBox="0 0 {_WIDTH} {height}" role="img" {font}>{drawn}</svg>'


def _curve(values: Sequence[int], most: int, colour: str) -> str:
    """A line over the days, and a dot where there is one day only."""
    step = (_WIDTH - _LEFT) / max(1, len(values) - 1)
    height = _HEIGHT - _TOP - _BOTTOM
    points = [
        (f"{_LEFT + place * step:.1f}", f"{_HEIGHT - _BOTTOM - height * value / most:.1f}")
        for place, value in enumerate(values)
    ]
    if len(points) == 1:
        ((x, y),) = points
        return f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'
    line = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _name(place: int, name: str, colour: str) -> str:
    return _text(_LEFT + 160 * place, 14, name, "start", colour)


def _text(x: int, y: int, words: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(_CONTROL.sub(" ", words))}</text>'
