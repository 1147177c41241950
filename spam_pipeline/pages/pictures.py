"""Pictures of findings and comparisons: what of them is drawn, for people who have to judge. How is the plotter's work."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from spam_pipeline.pages.plotter import MUTED, NARROW, NEW, OLD, Bar, Bars, Curves, Panel, Series, drawing
from spam_pipeline.protocol import Clue, Curve, Evidence, Finding
from spam_pipeline.protocol.fingerprint import NULL
from spam_pipeline.protocol.operating import CategoryShift, Comparison, Shift, format_number

COLOURS = {"attack": "#c0392b", "release": "#2e8b57"}
"""Colours of what a clue speaks for; a clue that speaks for nothing is grey."""

_FURTHEST = 32.0
"""A clue further from what is usual than this many times is drawn as if it were this far; its numbers are written beside it."""

_HOURS = 24
_MOST_PANELS = 3
_STEPS_PER_OCTAVE, _MOST_TICKS = 2, 6


def picture_of(finding: Finding) -> Markup:
    """A finding as SVG: its clues, its curves, and the values that moved most; nothing when it has none of these."""
    evidence = finding.evidence or Evidence()
    panels: list[Panel] = [
        _clues(evidence.clues),
        _curves(evidence.curves),
        _moved(finding.moved, ("expected", "seen")),
    ]
    return drawing(panels, finding.about, NARROW)


def picture_of_figures(comparison: Comparison) -> Markup:
    """The distributions of a comparison that moved most, old beside new, as SVG; nothing when none moved."""
    moved = sorted((shift for shift in comparison.figures.shifts if shift.moved), key=lambda shift: -shift.size)
    return drawing([_shift(shift) for shift in moved[:_MOST_PANELS]], comparison.stage, NARROW)


def _clues(clues: Sequence[Clue]) -> Bars:
    """One bar per clue, from what is usual to what was seen, on a scale of ratios."""
    distances = [math.log2(_ratio(clue.seen, clue.usual)) for clue in clues]
    low, high = min([-1.0, *distances]), max([1.0, *distances])

    def place(distance: float) -> float:
        return (distance - low) / (high - low)

    rows = []
    for clue, distance in zip(clues, distances, strict=True):
        numbers = f"{format_number(clue.seen)}, usual {format_number(clue.usual)}"
        rows.append((clue.what, [Bar(place(distance), numbers, COLOURS.get(clue.supports, MUTED))]))
    ticks = {-5: "1/32", -3: "1/8", 0: "usual", 3: "8 times", 5: "32 times"}
    keys = [(f"speaks for {name}", COLOURS[name]) for name in COLOURS if any(c.supports == name for c in clues)]
    shown = [(place(distance), words) for distance, words in ticks.items() if low <= distance <= high]
    return Bars(rows, keys, shown, place(0))


def _ratio(seen: float, usual: float) -> float:
    """How many times what is usual was seen, within what can be drawn."""
    if usual <= 0 or seen <= 0:
        return 1.0 if seen == usual else _FURTHEST if seen > usual else 1 / _FURTHEST
    return min(_FURTHEST, max(1 / _FURTHEST, seen / usual))


def _curves(curves: Sequence[Curve]) -> Curves:
    """Curves as shares of their own sum, so that their shapes compare; the first is in question."""
    wholes = [sum(curve.values) or 1.0 for curve in curves]
    series = [
        Series(curve.name, [100 * value / whole for value in curve.values], place == 0)
        for place, (curve, whole) in enumerate(zip(curves, wholes, strict=True))
    ]
    is_day = all(len(curve.values) == _HOURS for curve in curves)
    return Curves(series, [(hour, f"{hour}:00") for hour in range(0, _HOURS + 1, 6)] if is_day else [], " %")


def _moved(moved: Sequence[CategoryShift], names: tuple[str, str], title: str = "") -> Bars:
    """Two bars per value: the share of the rows that it had, and the one it has."""
    most = max((max(item.expected, item.seen) for item in moved), default=0) or 1.0
    rows = [
        (
            item.value,
            [Bar(share / most, _percent(share), colour) for share, colour in ((item.expected, OLD), (item.seen, NEW))],
        )
        for item in moved
    ]
    return Bars(rows, list(zip(names, (OLD, NEW), strict=True)), title=title)


def _shift(shift: Shift) -> Panel:
    """Bars of the values that moved most, or, of magnitudes, the whole distribution."""
    title = f"{shift.name}: {_percent(shift.size)} elsewhere"
    if shift.is_of_magnitudes:
        old, new = _by_step(shift.old), _by_step(shift.new)
        if old or new:
            return _magnitudes(old, new, title)
    return _moved(shift.moved, ("old", "new"), title)


def _magnitudes(old: Mapping[int, float], new: Mapping[int, float], title: str) -> Curves:
    """The shares of magnitudes, in steps of half an octave."""
    steps = range(min({*old, *new}), max({*old, *new}) + 1)
    series = [
        Series(name, [100 * side.get(step, 0.0) for step in steps], name == "new")
        for name, side in (("old", old), ("new", new))
    ]
    ticks = [
        (step - steps.start, format_number(float(f"{2 ** (step / _STEPS_PER_OCTAVE):.2g}")))
        for step in steps[:: max(1, len(steps) // _MOST_TICKS)]
    ]
    return Curves(series, ticks, " %", title)


def _by_step(shares: Mapping[str, float]) -> dict[int, float]:
    """Shares of magnitudes by step. Zero is left out, and what has none: their shares are among the values that moved."""
    found: dict[int, float] = {}
    for label, share in shares.items():
        if label not in {NULL, "0"}:
            step = math.floor(_STEPS_PER_OCTAVE * math.log2(float(label)))
            found[step] = found.get(step, 0.0) + share
    return found


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "<0.1%"  # noqa: PLR2004
