"""The plotter: bars and curves, below each other, as one SVG drawing. What of some data is drawn is not decided here.

A drawing is text that depends on its panels alone, so that the same data is always the same bytes. It is written by a template
and not by a library of plots, because a month can have thousands of incidents, each with a page and a drawing: a picture takes
2 ms instead of 0.4 s. The style of pages replaces its colours in the dark; elsewhere it keeps those it is written with.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from spam_pipeline.pages.rendering import rendered

INK, MUTED, OLD, NEW, HELD, GRID = "#222222", "#666c75", "#b4b9c1", "#2f6fb0", "#955c06", "#e3e6ea"
PHONE, NARROW, WIDE = 340, 480, 880
"""Widths of a drawing: of one for a phone, of one that stands in a column of a page, and of one that has its width to itself."""

_CHARACTER, _TITLE_CHARACTER = 7.2, 9.2
"""The widths of an average character, of text and of a title, in a font that is rather wide."""

_LINE, _GAP, _BAR = 18, 10, 13
"""The heights of a line of text, of what is between rows of bars, and of a bar."""

_LONGEST_NAME, _PLOT_RATIO, _LOWEST_PLOT, _MOST_LEVELS = 26, 4, 130, 4


class Bar(NamedTuple):
    """A bar that ends at a place between 0 and 1; the words stand at the right end of its row."""

    end: float
    words: str
    colour: str = NEW


class Bars(NamedTuple):
    """Rows of bars by name; each begins at `base`. `keys` name colours, `ticks` have words at places between 0 and 1."""

    rows: Sequence[tuple[str, Sequence[Bar]]]
    keys: Sequence[tuple[str, str]] = ()
    ticks: Sequence[tuple[float, str]] = ()
    base: float = 0.0
    title: str = ""


class Series(NamedTuple):
    """Numbers over equal steps; the one in question is filled."""

    name: str
    values: Sequence[float]
    is_in_question: bool = False
    colour_of_its_own: str = ""

    @property
    def colour(self) -> str:
        """The colour of its line."""
        return self.colour_of_its_own or (NEW if self.is_in_question else MUTED)


class Curves(NamedTuple):
    """Several series over the same steps, from zero up.

    `ticks` have words, each behind some number of steps; of those that would touch, some are left out. With `steps`, the names of
    all steps, a pointer that rests on one is shown its values.
    """

    series: Sequence[Series]
    ticks: Sequence[tuple[float, str]] = ()
    unit: str = ""
    title: str = ""
    steps: Sequence[str] = ()


Panel = Bars | Curves

_Element = tuple[str, dict[str, str], str]
"""The tag of an element, its attributes, and the words in it."""

_Group = tuple[int, list[_Element]]
"""How far down a drawing has some elements."""


def drawing(panels: Sequence[Panel], title: str = "", width: int = WIDE, label: str = "") -> Markup:
    """Panels below each other as SVG, under a title; nothing where no panel has anything to draw.

    Whoever cannot see it is read the label, by default the title.
    """
    top, groups = _LINE + 4 if title else 0, []
    for panel in panels:
        if panel.rows if isinstance(panel, Bars) else panel.series:
            drawn, top = _panel(panel, top, width)
            groups += drawn
    if not groups:
        return Markup()
    shown = {"label": label or title, "title": shortened(title, int(width / _TITLE_CHARACTER))}
    return rendered("templates/drawing.svg.j2", width=width, height=top, groups=groups, **shown)


def shortened(words: str, most: int = _LONGEST_NAME) -> str:
    """Words on one line, cut where they get long."""
    line = " ".join(words.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _panel(panel: Panel, top: int, width: int) -> tuple[list[_Group], int]:
    """A panel, with its title and its keys above what is drawn, and where it ends."""
    keys = panel.keys if isinstance(panel, Bars) else [(series.name, series.colour) for series in panel.series]
    groups: list[_Group] = []
    for line in filter(None, ([_text(0, 0, panel.title)] if panel.title else [], _keys(keys))):
        groups.append((top + 13, line))
        top += _LINE
    height, elements = _bars(panel, width) if isinstance(panel, Bars) else _curves(panel, width)
    return [*groups, (top + 4, elements)], top + 4 + height + _GAP


def _bars(panel: Bars, width: int) -> tuple[int, list[_Element]]:
    names = [shortened(name) for name, _ in panel.rows]
    left = _width_of(names) + _GAP
    right = width - _width_of(bar.words for _, bars in panel.rows for bar in bars) - _GAP
    elements, y = [], 0
    for name, (_, bars) in zip(names, panel.rows, strict=True):
        elements.append(_text(0, y + _BAR * len(bars) / 2 + 4, name))
        for bar in bars:
            start, end = sorted(_between(left, right, place) for place in (panel.base, bar.end))
            elements.append(_rectangle(start, y, end - start, _BAR - 1, bar.colour))
            elements.append(_text(width, y + 10, bar.words, "end"))
            y += _BAR
        y += _GAP
    labels = [_text(_between(left, right, place), y + 8, words, "middle", MUTED) for place, words in panel.ticks]
    base = _line(_between(left, right, panel.base), 0, f"V{y - _GAP / 2:g}", INK)
    return y + (_LINE if labels else 0), [*elements, base, *labels]


def _curves(panel: Curves, width: int) -> tuple[int, list[_Element]]:
    steps = max(len(series.values) for series in panel.series) or 1
    most = max((value for series in panel.series for value in series.values), default=0) or 1
    levels = {f"{level:,.10g}{panel.unit}": level for level in _levels(most)}
    left, base = _width_of(levels) + _GAP, max(width // _PLOT_RATIO, _LOWEST_PLOT) + _BAR
    elements = []
    for name, level in levels.items():
        y = base - (base - _BAR) * level / most
        elements += [_line(left, y, f"H{width}", GRID), _text(left - 6, y + 4, name, "end", MUTED)]
    elements += [_stairs(series, left, (width - left) / steps, base, (base - _BAR) / most) for series in panel.series]
    for step, words in _apart(panel.ticks, (width - left) / steps):
        anchor = "start" if step <= 0 else "end" if step >= steps else "middle"
        elements.append(_text(_between(left, width, step / steps), base + 15, words, anchor, MUTED))
    elements += _values(panel, left, (width - left) / steps, base)
    return base + _LINE, elements


def _apart(ticks: Sequence[tuple[float, str]], step: float) -> Sequence[tuple[float, str]]:
    """Every so manieth tick, such that their words do not touch."""
    distance = min((after - before for (before, _), (after, _) in pairwise(ticks)), default=1.0) * step
    return ticks[:: math.ceil((_width_of(words for _, words in ticks) + _CHARACTER) / distance)] if ticks else ticks


def _values(panel: Curves, left: float, step: float, base: float) -> list[_Element]:
    """What a pointer is shown of each step: its name, and the values there."""
    shown = []
    for place, name in enumerate(panel.steps):
        values = (f"{series.name} {series.values[place]:,.10g}{panel.unit}" for series in panel.series)
        tag, attributes, _ = _rectangle(left + step * place, 0, step, base, "transparent")
        shown.append((tag, attributes, f"{name}: {', '.join(values)}"))
    return shown


def _stairs(series: Series, left: float, step: float, base: float, scale: float) -> _Element:
    """A series as a path from the base line over all its steps and back."""
    path = "".join(
        f"V{_at(base - scale * value)}H{_at(left + step * (place + 1))}" for place, value in enumerate(series.values)
    )
    line = {"d": f"M{_at(left)} {_at(base)}{path}V{_at(base)}", "stroke": series.colour, "stroke-width": "1.8"}
    fill = {"fill": series.colour, "fill-opacity": "0.3"} if series.is_in_question else {"fill": "none"}
    return "path", line | fill, ""


def _levels(most: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, from zero up: few enough to be read."""
    power = 10.0 ** math.floor(math.log10(most / _MOST_LEVELS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _MOST_LEVELS >= most)
    return [step * place for place in range(int(most / step + 1e-9) + 1)]


def _keys(keys: Iterable[tuple[str, str]]) -> list[_Element]:
    elements, x = [], 0
    for name, colour in keys:
        words = shortened(name)
        elements += [_rectangle(x, -10, 10, 10, colour), _text(x + 15, 0, words)]
        x += 35 + _width_of([words])
    return elements


def _width_of(lines: Iterable[str]) -> int:
    """The width of the longest of some lines, as nearly as that can be said without their font."""
    return math.ceil(_CHARACTER * max(map(len, lines), default=0))


def _between(left: float, right: float, place: float) -> float:
    return left + (right - left) * place


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK) -> _Element:
    return "text", {"x": _at(x), "y": _at(y), "text-anchor": anchor, "fill": colour}, words


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> _Element:
    return "rect", {"x": _at(x), "y": _at(y), "width": _at(width), "height": _at(height), "fill": colour}, ""


def _line(x: float, y: float, path: str, colour: str) -> _Element:
    return "path", {"d": f"M{_at(x)} {_at(y)}{path}", "stroke": colour}, ""


def _at(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
