"""Pictures of what an audit found: small SVG drawings for people who have to judge, in the orchestrator and in a page.

A picture is text that depends on its subject alone, so that the same finding is always the same bytes. What is drawn is decided
in `finding`; here is only how. The drawing library is loaded with the first picture, as that takes long.
"""

from __future__ import annotations

import math
import re
import textwrap
from base64 import b64encode
from io import StringIO
from threading import Lock
from typing import TYPE_CHECKING

from spam_pipeline.protocol.fingerprint import NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from spam_pipeline.protocol import Clue, Curve, Finding
    from spam_pipeline.protocol.operating import CategoryShift, Comparison, Shift

    Panel = tuple[int, Callable[[Axes], None]]
    """How many bars high a panel is, and what draws it."""

COLOURS = {"attack": "#c0392b", "release": "#2e8b57"}
"""Colours of what a clue speaks for; a clue that speaks for nothing is grey."""

_INK, _MUTED, _OLD, _NEW = "#222222", "#8a8f98", "#b4b9c1", "#2f6fb0"
_FURTHEST = 32.0
"""A clue further from what is usual than this many times is drawn as if it were this far; its numbers are written beside it."""

_PANEL_WIDTH, _BAR_HEIGHT, _LEAST_HEIGHT = 5.0, 0.3, 1.6
_HOURS = 24
_NAME_WIDTH = 26
_MOST_PANELS = 3
_STEPS_PER_OCTAVE, _MOST_TICKS = 2, 6
_TITLE_HEIGHT = 0.45
_FONTS = "'DejaVu Sans', Verdana, sans-serif"

_DRAWING = Lock()
"""The drawing library's settings belong to the whole process: one picture is drawn at a time."""


def picture_of(finding: Finding) -> str | None:
    """A finding as SVG: its clues beside its curves, and the values that moved most; None when it has none of these."""
    evidence = finding.evidence
    panels: list[Panel] = []
    if evidence and evidence.clues:
        panels.append((len(evidence.clues), lambda axes: _draw_clues(axes, evidence.clues)))
    if evidence and evidence.curves:
        panels.append((0, lambda axes: _draw_curves(axes, evidence.curves)))
    if finding.moved:
        panels.append((len(finding.moved), lambda axes: _draw_moved(axes, finding.moved, ("expected", "seen"))))
    return _drawn(finding.about, panels) if panels else None


def picture_of_figures(comparison: Comparison) -> str | None:
    """The distributions of a comparison that moved most, old beside new, as SVG; None when none moved."""
    moved = sorted((shift for shift in comparison.figures.shifts if shift.moved), key=lambda shift: -shift.size)
    panels = [_panel_of_shift(shift) for shift in moved[:_MOST_PANELS]]
    return _drawn(comparison.stage, panels) if panels else None


def as_data_uri(svg: str) -> str:
    """A picture as an address that holds all of it, for places that show images by address."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _drawn(title: str, panels: Sequence[Panel]) -> str:
    """Panels side by side under a title."""
    import matplotlib as mpl  # noqa: PLC0415 - see the module's docstring
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    height = max(_LEAST_HEIGHT, max(bars for bars, _ in panels) * _BAR_HEIGHT + 0.6) + _TITLE_HEIGHT
    text = StringIO()
    with (
        _DRAWING,
        mpl.rc_context(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": "spam_pipeline",
                "font.size": 8.5,
                "text.color": _INK,
                "text.parse_math": False,
                "xtick.color": _MUTED,
                "ytick.color": _INK,
            }
        ),
    ):
        figure = Figure(figsize=(_PANEL_WIDTH * len(panels), height), layout="constrained")
        figure.suptitle(textwrap.shorten(title, 80, placeholder=" …"), fontsize=10, x=0.01, ha="left", weight="bold")
        for axes, (_, draw) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            draw(axes)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.spines["bottom"].set_color(_OLD)
            axes.tick_params(axis="x", length=2)
            axes.tick_params(axis="y", length=0)
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _small(text.getvalue())


def _draw_clues(axes: Axes, clues: Sequence[Clue]) -> None:
    """One bar per clue, from what is usual to what was seen, on a scale of ratios; both numbers stand right of it."""
    ratios = [_ratio(clue.seen, clue.usual) for clue in clues]
    for place, (clue, ratio) in enumerate(zip(clues, ratios, strict=True)):
        axes.barh(place, ratio - 1, left=1, height=0.55, color=COLOURS.get(clue.supports, _MUTED))
        numbers = f"{_number(clue.seen)}, usual {_number(clue.usual)}"
        axes.text(1.02, place, numbers, transform=axes.get_yaxis_transform(), va="center")
    axes.axvline(1, color=_INK, linewidth=0.8)
    _name_bars(axes, [clue.what for clue in clues])
    _scale_of_ratios(axes, ratios)
    speaks = [name for name in COLOURS if any(clue.supports == name for clue in clues)]
    _explain(axes, [(f"speaks for {name}", COLOURS[name]) for name in speaks])


def _scale_of_ratios(axes: Axes, ratios: Sequence[float]) -> None:
    """A logarithmic scale around 1, which is what is usual."""
    low, high = min([0.5, *ratios]), max([2.0, *ratios])
    axes.set_xscale("log", base=2)
    axes.set_xlim(low / 1.1, high * 1.1)
    ticks = [tick for tick in (1 / 32, 1 / 8, 1 / 2, 1.0, 2.0, 8.0, 32.0) if low <= tick <= high]
    if high / low > _FURTHEST:
        ticks = [tick for tick in ticks if tick not in {1 / 2, 2.0}]
    axes.set_xticks(
        ticks, ["usual" if tick == 1 else f"{tick:g} times" if tick > 1 else f"1/{1 / tick:g}" for tick in ticks]
    )
    axes.set_xticks([], minor=True)


def _draw_curves(axes: Axes, curves: Sequence[Curve]) -> None:
    """Curves as shares of their own sum, so that their shapes compare; the first, which is in question, is filled."""
    colours = (_NEW, _MUTED)
    for place, curve in enumerate(curves):
        whole, edges = sum(curve.values) or 1.0, range(len(curve.values) + 1)
        heights, colour = [100 * value / whole for value in curve.values], colours[min(place, 1)]
        if place == 0:
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.3)
        axes.stairs(heights, edges, baseline=None, color=colour, linewidth=1.8)
    axes.set_xlim(0, max(len(curve.values) for curve in curves))
    if all(len(curve.values) == _HOURS for curve in curves):
        axes.set_xticks(range(0, _HOURS + 1, 6), [f"{hour}:00" for hour in range(0, _HOURS + 1, 6)])
    _show_percents(axes)
    _explain(axes, [(curve.name, colours[min(place, 1)]) for place, curve in enumerate(curves)])


def _draw_moved(axes: Axes, moved: Sequence[CategoryShift], names: tuple[str, str]) -> None:
    """Two bars per value: the share of the rows that it had, and the one it has."""
    for place, item in enumerate(moved):
        for share, offset, colour in ((item.expected, -0.19, _OLD), (item.seen, 0.19, _NEW)):
            axes.barh(place + offset, 100 * share, height=0.36, color=colour)
            axes.annotate(
                _percent(share),
                (100 * share, place + offset),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axes.set_xlim(0, 118 * max(*(max(item.expected, item.seen) for item in moved), 0.001))
    axes.set_xticks([])
    _name_bars(axes, [item.value for item in moved])
    _explain(axes, list(zip(names, (_OLD, _NEW), strict=True)))


def _panel_of_shift(shift: Shift) -> Panel:
    """Bars of the values that moved most, or, of magnitudes, the whole distribution."""
    is_curve = shift.is_of_magnitudes and bool(_by_step(shift.old) or _by_step(shift.new))

    def draw(axes: Axes) -> None:
        if is_curve:
            _draw_magnitudes(axes, shift)
        else:
            _draw_moved(axes, shift.moved, ("old", "new"))
        axes.set_title(f"{shift.name}: {_percent(shift.size)} elsewhere", loc="left", fontsize=8.5, pad=18)

    return (0 if is_curve else len(shift.moved)) + 1, draw


def _draw_magnitudes(axes: Axes, shift: Shift) -> None:
    """The shares of magnitudes, in steps of half an octave, after those of zero and of what has no magnitude."""
    sides = _by_step(shift.old), _by_step(shift.new)
    steps = sorted({step for side in sides for step in side})
    places = range(steps[0], steps[-1] + 1)
    for side, colour in zip(sides, (_MUTED, _NEW), strict=True):
        heights, edges = [100 * side.get(step, 0.0) for step in places], range(places.start, places.stop + 1)
        if colour == _NEW:
            axes.stairs(heights, edges, fill=True, color=colour, alpha=0.3)
        axes.stairs(heights, edges, baseline=None, color=colour, linewidth=1.8)
    ticks = places[:: max(1, len(places) // _MOST_TICKS)]
    axes.set_xticks(ticks, [_number(float(f"{2 ** (step / _STEPS_PER_OCTAVE):.2g}")) for step in ticks])
    axes.set_xlim(places.start, places.stop)
    _show_percents(axes)
    _explain(axes, [("old", _MUTED), ("new", _NEW)])


def _by_step(shares: Mapping[str, float]) -> dict[int, float]:
    """Shares of magnitudes by step. Zero is left out, and what has none: their shares are among the values that moved."""
    found: dict[int, float] = {}
    for label, share in shares.items():
        if label not in {NULL, "0"}:
            step = math.floor(_STEPS_PER_OCTAVE * math.log2(float(label)))
            found[step] = found.get(step, 0.0) + share
    return found


def _show_percents(axes: Axes) -> None:
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter("{x:g} %")


def _name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Names left of the bars, from top to bottom."""
    axes.set_yticks(range(len(names)), [textwrap.shorten(name, _NAME_WIDTH, placeholder=" …") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def _explain(axes: Axes, names: Sequence[tuple[str, str]]) -> None:
    """What the colours mean, above the panel."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - see the module's docstring

    if names:
        patches = [
            Patch(color=colour, label=textwrap.shorten(name, _NAME_WIDTH, placeholder=" …")) for name, colour in names
        ]
        axes.legend(
            handles=patches,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(patches),
            frameon=False,
            handlelength=1,
            borderaxespad=0.2,
            borderpad=0,
        )


def _ratio(seen: float, usual: float) -> float:
    """How many times what is usual was seen, within what can be drawn."""
    if usual <= 0 or seen <= 0:
        return 1.0 if seen == usual else _FURTHEST if seen > usual else 1 / _FURTHEST
    return min(_FURTHEST, max(1 / _FURTHEST, seen / usual))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"  # noqa: PLR2004


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "<0.1%"  # noqa: PLR2004


def _small(svg: str) -> str:
    """The picture without what only editors of pictures read, and with its font named once."""
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", _small_tag, text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r"<defs><clipPath>.*?</defs>", "", text)
    return text.replace("<svg ", f'<svg style="font-family: {_FONTS}" ', 1).strip()


def _small_tag(tag: re.Match[str]) -> str:
    """A tag with one decimal, without fonts, clipping and turns by nothing, and with a name only if something refers to it.

    A page may hold many pictures, and a name only once; those that are referred to are digests of what they name.
    """
    text = tag.group()
    for pattern, instead in (
        (r"font-family: [^;\"]*;?|clip-path=\"[^\"]*\"|transform=\"rotate\(-0 [^\"]*\"", ""),
        (r" id=\"(?!m[0-9a-f]{10}\")[^\"]*\"", ""),
        (r"(\d+\.\d)\d+", r"\1"),
        (r"\s+", " "),
        (r" (?=/?>$)", ""),
    ):
        text = re.sub(pattern, instead, text)
    return text
