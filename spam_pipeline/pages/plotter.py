"""The plotter: bars and curves, below each other, as one SVG drawing. What of some data is drawn is not decided here.

A drawing is text that depends on its panels alone, so that the same data is always the same bytes. It is written by a template
and not by a library of plots, because a month can have thousands of incidents, each with a page and a drawing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from spam_pipeline.pages.rendering import rendered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

INK, MUTED, OLD, NEW = "#222222", "#8a8f98", "#b4b9c1", "#2f6fb0"
NARROW, WIDE = 480, 880
"""Widths of a drawing: of one that stands in a column of a page, and of one that has its width to itself."""

_CHARACTER, _TITLE_CHARACTER = 7.2, 9.2
"""The widths of an average character, of text and of a title, in a font that is rather wide."""

_LINE, _GAP, _BAR = 18, 10, 13
"""The heights of a line of text, of what is between rows of bars, and of a bar."""

_LONGEST_NAME = 26
_PLOT_RATIO, _MOST_TICKS = 4, 4


class Key(NamedTuple):
    """What a colour stands for."""

    name: str
    colour: str


class Tick(NamedTuple):
    """A place on the horizontal axis, and what is written there."""

    place: float
    words: str


class Bar(NamedTuple):
    """A bar that ends at a place between 0 and 1; the words stand at the right end of its row."""

    end: float
    words: str
    colour: str = NEW


class Bars(NamedTuple):
    """Rows of bars by name, from top to bottom; every bar begins at `base`. Ticks lie between 0 and 1, like the bars."""

    rows: Sequence[tuple[str, Sequence[Bar]]]
    keys: Sequence[Key] = ()
    ticks: Sequence[Tick] = ()
    base: float = 0.0
    title: str = ""


class Series(NamedTuple):
    """Numbers over equal steps; the one in question is filled."""

    name: str
    values: Sequence[float]
    is_in_question: bool = False

    @property
    def key(self) -> Key:
        """The name and the colour."""
        return Key(self.name, NEW if self.is_in_question else MUTED)


class Curves(NamedTuple):
    """Several series over the same steps, from zero up. A tick's place is the number of steps left of it."""

    series: Sequence[Series]
    ticks: Sequence[Tick] = ()
    unit: str = ""
    title: str = ""


Panel = Bars | Curves


class _Element(NamedTuple):
    """An element of a drawing with its attributes, and the words in it."""

    tag: str
    attributes: Mapping[str, str | int]
    words: str = ""


class _Group(NamedTuple):
    """Elements, and how far down the drawing has them."""

    top: int
    elements: Sequence[_Element]


def drawing(panels: Sequence[Panel], title: str = "", width: int = WIDE) -> Markup:
    """Panels below each other as SVG, under a title; nothing where no panel has anything to draw."""
    top, groups = _LINE + 4 if title else 0, []
    for panel in panels:
        if panel.rows if isinstance(panel, Bars) else panel.series:
            drawn, top = _panel(panel, top, width)
            groups += drawn
    if not groups:
        return Markup()
    title = shortened(title, int(width / _TITLE_CHARACTER))
    return rendered("templates/drawing.svg.j2", title=title, width=width, height=top, groups=groups)


def shortened(words: str, most: int = _LONGEST_NAME) -> str:
    """Words on one line, cut where they get long."""
    line = " ".join(words.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def number(value: float) -> str:
    """A number in few characters."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"  # noqa: PLR2004


def _panel(panel: Panel, top: int, width: int) -> tuple[list[_Group], int]:
    """A panel, with its title and its keys above what is drawn, and where it ends."""
    keys = panel.keys if isinstance(panel, Bars) else [series.key for series in panel.series]
    groups = []
    for line in filter(None, ([_text(0, 0, panel.title)] if panel.title else [], _keys(keys))):
        groups.append(_Group(top + 13, line))
        top += _LINE
    height, elements = _bars(panel, width) if isinstance(panel, Bars) else _curves(panel, width)
    return [*groups, _Group(top + 4, elements)], top + 4 + height + _GAP


def _bars(panel: Bars, width: int) -> tuple[int, list[_Element]]:
    names = [shortened(name) for name, _ in panel.rows]
    left = _width_of(names) + _GAP
    right = width - _width_of(bar.words for _, bars in panel.rows for bar in bars) - _GAP
    elements, y = [], 0
    for name, (_, bars) in zip(names, panel.rows, strict=True):
        elements.append(_text(0, y + _BAR * len(bars) / 2 + 4, name))
        for bar in bars:
            start, end = sorted(_between(left, right, place) for place in (panel.base, bar.end))
            elements += [
                _rectangle(start, y, end - start, _BAR - 1, bar.colour),
                _text(width, y + 10, bar.words, "end"),
            ]
            y += _BAR
        y += _GAP
    at_ticks = [_between(left, right, tick.place) for tick in panel.ticks]
    labels = [_text(x, y + 8, tick.words, "middle", MUTED) for x, tick in zip(at_ticks, panel.ticks, strict=True)]
    base = _line(_between(left, right, panel.base), 0, f"V{y - _GAP / 2:g}", INK)
    return y + (_LINE if labels else 0), [*elements, base, *labels]


def _curves(panel: Curves, width: int) -> tuple[int, list[_Element]]:
    steps = max(len(series.values) for series in panel.series) or 1
    most = max((value for series in panel.series for value in series.values), default=0) or 1
    levels = _levels(most)
    names = [f"{number(level)}{panel.unit}" for level in levels]
    left, base = _width_of(names) + _GAP, width // _PLOT_RATIO + _BAR
    heights = [base - (base - _BAR) * level / most for level in levels]
    grid = [
        element
        for y, name in zip(heights, names, strict=True)
        for element in (_line(left, y, f"H{width}", "#e3e6ea"), _text(left - 6, y + 4, name, "end", MUTED))
    ]
    drawn = [_stairs(series, left, (width - left) / steps, base, (base - _BAR) / most) for series in panel.series]
    labels = [
        _text(_between(left, width, tick.place / steps), base + 15, tick.words, _anchor(tick.place / steps), MUTED)
        for tick in panel.ticks
    ]
    return base + _LINE, [*grid, *drawn, *labels]


def _stairs(series: Series, left: float, step: float, base: float, scale: float) -> _Element:
    """A series as a path from the base line over all its steps and back."""
    path = "".join(
        f"V{_at(base - scale * value)}H{_at(left + step * (place + 1))}" for place, value in enumerate(series.values)
    )
    colour = series.key.colour
    fill: dict[str, str] = {"fill": colour, "fill-opacity": "0.3"} if series.is_in_question else {"fill": "none"}
    return _Element(
        "path", {"d": f"M{_at(left)} {_at(base)}{path}V{_at(base)}", "stroke": colour, "stroke-width": "1.8", **fill}
    )


def _levels(most: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, from zero up: few enough to be read."""
    power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _MOST_TICKS >= most)
    return [step * place for place in range(int(most / step + 1e-9) + 1)]


def _keys(keys: Iterable[Key]) -> list[_Element]:
    elements, x = [], 0.0
    for name, colour in keys:
        words = shortened(name)
        elements += [_rectangle(x, -10, 10, 10, colour), _text(x + 15, 0, words)]
        x += 35 + _width_of([words])
    return elements


def _width_of(lines: Iterable[str]) -> int:
    """The width that the longest of some lines has at most, as nearly as that can be said without their font."""
    return math.ceil(_CHARACTER * max(map(len, lines), default=0))


def _between(left: float, right: float, place: float) -> float:
    return left + (right - left) * place


def _anchor(place: float) -> str:
    return "start" if place <= 0 else "end" if place >= 1 else "middle"


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK) -> _Element:
    return _Element("text", {"x": _at(x), "y": _at(y), "text-anchor": anchor, "fill": colour}, words)


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> _Element:
    return _Element("rect", {"x": _at(x), "y": _at(y), "width": _at(width), "height": _at(height), "fill": colour})


def _line(x: float, y: float, path: str, colour: str) -> _Element:
    return _Element("path", {"d": f"M{_at(x)} {_at(y)}{path}", "stroke": colour})


def _at(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
