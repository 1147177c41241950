"""Evaluation of drift: findings where a fingerprint is unlike those of the stage's recent accepted partitions.

The choice of what is compared, significance, severity and wording belong here. The statistics are in `levels`
(numbers) and `mixes` (distributions). Nothing here knows any stage.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spam_pipeline.protocol.drift.levels import Numbers, expected_of
from spam_pipeline.protocol.drift.mixes import Mix, mix_of
from spam_pipeline.protocol.drift.moments import Moment, moment_of
from spam_pipeline.protocol.drift.values import table_of
from spam_pipeline.protocol.fingerprint import (
    Counted,
    Distribution,
    Drift,
    Estimate,
    Fingerprint,
    KeySample,
    Measure,
    Measured,
    Scale,
    Spreading,
    Summed,
)
from spam_pipeline.protocol.foundation.finding import CategoryShift, Finding, Severity

CHANCE = 0.001
"""The chance that anything at all is found in a fingerprint that is like its history, shared out evenly over what is tested."""

LEAST_HISTORY = 4
"""Past partitions that a number or a distribution needs before it is evaluated."""

IMMATERIAL = 0.001
"""A move of less than this share of the rows is a note, however sure: among millions of rows every move is significant."""

RULE = "drift"

_MOVED_MOST = 5
"""Values that a finding lists."""


class HistoricFingerprint(NamedTuple):
    """The fingerprint of another accepted partition of the same stage."""

    partition: str
    fingerprint: Fingerprint


class _Number(NamedTuple):
    """A number under test: its measure, its estimate, those of the past by place in the history, and whether it is a count."""

    name: str
    measure: str
    seen: Estimate
    past: Mapping[int, Estimate]
    is_count: bool


class _Spread(NamedTuple):
    """A distribution under test, and the past ones by place in the history."""

    measure: str
    seen: Distribution
    past: Mapping[int, Distribution]


@dataclass(frozen=True)
class _Trial:
    """A partition under test: the measures that count, its moment, those of the past ones, and whether it can still grow."""

    measures: Mapping[str, Drift]
    now: Moment
    moments: Sequence[Moment]
    is_open: bool

    def severity(self, measure: str, size: float, *, fell: bool = False) -> Severity:
        """The severity of a move of this share of rows; of a number, whether it fell.

        Nothing but a note when it is immaterial, while the partition can still grow, or on the first Saturday after some
        weekdays; unless so much moved that it is refused, which no part of a day explains.
        """
        refuse_above = self.measures[measure].refuse_above
        if size < IMMATERIAL:
            return Severity.NOTE
        if refuse_above is not None and size > refuse_above:
            return Severity.REFUSE
        if self.is_open:
            return Severity.NOTE
        refuse_fall_above = self.measures[measure].refuse_fall_above
        if fell and refuse_fall_above is not None and size > refuse_fall_above:
            return Severity.REFUSE
        is_known = any(moment.weekday == self.now.weekday for moment in self.moments)
        return Severity.WARN if is_known else Severity.NOTE


def drift(
    measures: Mapping[str, Measure],
    partition: str,
    seen: Fingerprint,
    history: Sequence[HistoricFingerprint],
    *,
    is_open: bool,
) -> list[Finding]:
    """Findings where a partition's fingerprint is unlike the history, in the order of the measures.

    The history may come in any order; the partition itself is left out of it. A finding's size is the share of rows that moved: the total
    variation distance of distributions and their quantiles, the difference of shares, and 1 - min(r, 1/r) of numbers that changed by a factor r.
    Keys without a day or a month raise `WrongPartition`.
    """
    others = sorted((past for past in history if past.partition != partition), key=lambda past: past.partition)
    declared = {name: measure.drift for name, measure in measures.items() if measure.drift and name in seen}
    if len(others) < LEAST_HISTORY or not declared:
        return []
    trial = _Trial(declared, moment_of(partition), [moment_of(past.partition) for past in others], is_open)
    evaluated = {name: seen[name] for name in declared}
    past = [_comparable(evaluated, item.fingerprint) for item in others]
    found = [*_missing(trial, evaluated, past), *_evaluated(trial, evaluated, past)]
    order = list(declared)
    return [finding for _, finding in sorted(found, key=lambda item: order.index(item[0]))]


def _comparable(evaluated: Fingerprint, past: Fingerprint) -> Fingerprint:
    """The part of a past fingerprint that is measured as today."""
    return {name: past[name] for name, measured in evaluated.items() if type(past.get(name)) is type(measured)}


def _evaluated(trial: _Trial, evaluated: Fingerprint, past: Sequence[Fingerprint]) -> Iterator[tuple[str, Finding]]:
    """Findings, each with its measure, about numbers and distributions that were seen."""
    numbers, spreads = _numbers(evaluated, past), _spreads(evaluated, past)
    chance = CHANCE / max(len(numbers) + len(spreads), 1)
    by_history = defaultdict(list)
    for number in numbers:
        by_history[tuple(number.past)].append(number)
    for places, group in by_history.items():
        yield from _moved_numbers(trial, [past[place] for place in places], places, group, evaluated, chance)
    for spread in spreads:
        yield from _moved_spread(trial, spread, chance)


def _numbers(evaluated: Fingerprint, past: Sequence[Fingerprint]) -> list[_Number]:
    """The numbers that have enough of a history."""
    estimates = [{name: _estimates(name, measured) for name, measured in item.items()} for item in past]
    found = []
    for name, measured in evaluated.items():
        for label, seen in _estimates(name, measured).items():
            known = {place: item[name][label] for place, item in enumerate(estimates) if label in item.get(name, ())}
            if len(known) >= LEAST_HISTORY:
                found.append(_Number(label, name, seen, known, isinstance(measured, Counted | Summed)))
    return found


def _as_usual(number: _Number) -> Estimate:
    """The estimate, with the variance that as many rows would give it if the number were as in the history.

    The variance of log odds is 1 / (n p (1 - p)) and that of a logarithm of a count is one over it, so both grow without bound
    for a number that became extreme, and would excuse just that. A test at the usual value does not (Rao's score test, 1948).
    """
    seen, usual = number.seen, math.fsum(item.value for item in number.past.values()) / len(number.past)
    if seen.scale is Scale.LOGIT:
        return seen._replace(variance=seen.variance * (math.cosh(usual / 2) / math.cosh(seen.value / 2)) ** 2)
    return seen._replace(variance=math.exp(-usual)) if number.is_count else seen


def _stabilised(number: _Number, estimate: Estimate) -> Estimate:
    """Shares as 2 asin(sqrt p) and counts as 2 sqrt(c), whose variances do not depend on them (Anscombe 1948).

    There a share that falls to zero, as that of something rare does when its rows come in clusters, is not infinitely far away.
    """
    number_seen = estimate.scale.number(estimate.value)
    if estimate.scale is Scale.LOGIT:
        variance = estimate.variance * number_seen * (1 - number_seen)
        return estimate._replace(value=2 * math.asin(math.sqrt(number_seen)), variance=variance)
    if number.is_count:
        return estimate._replace(value=2 * math.sqrt(number_seen), variance=estimate.variance * number_seen)
    return estimate


def _estimates(name: str, measured: Measured) -> dict[str, Estimate]:
    """The estimates that are worth testing.

    The number of distinct keys is a count, which may vary; the effective number of a few values is tested with their mix.
    """
    if isinstance(measured, Spreading):
        return {}
    may_vary = {name} if isinstance(measured, KeySample) else set()
    found = measured.estimates(name).items()
    return {label: item for label, item in found if math.isfinite(item.variance) and label not in may_vary}


def _moved_numbers(  # noqa: PLR0913, PLR0917 - the trial, its history, and what is tested of it
    trial: _Trial,
    past: Sequence[Fingerprint],
    places: Sequence[int],
    group: Sequence[_Number],
    evaluated: Fingerprint,
    chance: float,
) -> Iterator[tuple[str, Finding]]:
    """Findings about numbers that the same past partitions have."""
    moments = [trial.moments[place] for place in places]
    seen = _arrays([_as_usual(number) for number in group])
    history = _stacked([[number.past[place] for number in group] for place in places])
    expected = expected_of(history, moments, seen, trial.now, chance)
    stable = _arrays([_stabilised(number, number.seen) for number in group])
    calm = _stacked([[_stabilised(number, number.past[place]) for number in group] for place in places])
    is_far = expected.is_far(seen) & expected_of(calm, moments, stable, trial.now, chance).is_far(stable)
    for column in np.flatnonzero(is_far).tolist():
        number, middle, reach = group[column], float(expected.values[column]), float(expected.reach[column])
        low, center, high = (number.seen.scale.number(middle + way * reach) for way in (-1, 0, 1))
        size = _share_elsewhere(number.measure, evaluated, past)
        if size is None:
            size = _size(number.seen, middle)
        yield (
            number.measure,
            Finding(
                rule=RULE,
                about=number.name,
                severity=trial.severity(number.measure, size, fell=number.seen.value < middle),
                expected=_expectation(number.seen.scale, low, center, high) + f" judging by {len(places)} partitions",
                seen=_readable(number.seen.scale, evaluated[number.measure].numbers(number.measure)[number.name]),
                size=size,
            ),
        )


def _arrays(estimates: Sequence[Estimate]) -> Numbers:
    return Numbers(np.array([item.value for item in estimates]), np.array([item.variance for item in estimates]))


def _stacked(estimates: Sequence[Sequence[Estimate]]) -> Numbers:
    rows = [_arrays(row) for row in estimates]
    return Numbers(np.stack([row.values for row in rows]), np.stack([row.variances for row in rows]))


def _share_elsewhere(measure: str, evaluated: Fingerprint, past: Sequence[Fingerprint]) -> float | None:
    """The share of rows that moved behind a quantile, which can move far when few rows do; None for other numbers."""
    seen = evaluated[measure]
    if not isinstance(seen, Distribution):
        return None
    known = [item for item in _distributions(measure, past) if item is not None]
    counts = table_of([*known, seen]).counts
    pooled = counts[:-1].sum(axis=0)
    return float(abs(counts[-1] / counts[-1].sum() - pooled / pooled.sum()).sum() / 2)


def _size(seen: Estimate, expected: float) -> float:
    """The share of rows that moved when a number is not `expected`, which is on its scale."""
    if seen.scale is Scale.LOG:
        return -math.expm1(-abs(seen.value - expected))
    return abs(seen.scale.number(seen.value) - seen.scale.number(expected))


def _expectation(scale: Scale, low: float, center: float, high: float) -> str:
    return f"about {_readable(scale, center)} ({_readable(scale, low)} to {_readable(scale, high)})"


def _readable(scale: Scale, number: float) -> str:
    """Three significant digits, or all of a large number's; shares in per cent."""
    if scale is Scale.LOGIT:
        return f"{100 * number:.3g} %"
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"  # noqa: PLR2004 - where three digits are not all


def _missing(trial: _Trial, evaluated: Fingerprint, past: Sequence[Fingerprint]) -> Iterator[tuple[str, Finding]]:
    """Findings about measures that every past partition has numbers of, too many to vanish by chance, and that have none now.

    A partition without any numbers has none of these: its counts show that it is empty.
    """
    gone = [name for name, measured in evaluated.items() if not measured.estimates(name)]
    if len(gone) == len(evaluated):
        return
    for name in gone:
        known = [_estimates(name, item[name]) for item in past if name in item]
        if len(known) >= LEAST_HISTORY and all(known) and _is_steady(known):
            expected = f"some, as in {len(known)} partitions"
            severity = trial.severity(name, 1.0)
            yield name, Finding(RULE, name, severity, expected, "no row that has it", size=1.0)


def _is_steady(known: Sequence[Mapping[str, Estimate]]) -> bool:
    """Return True if a number varies so little that the rows behind it cannot have vanished by chance.

    n rows that come and go independently give it a variance of about 1/n, and vanish with a chance of about e^-n.
    """
    label = next(iter(known[0]))
    estimates = [item[label] for item in known if label in item]
    scatter = float(np.var([item.value for item in estimates], ddof=1))
    sampling = float(np.mean([item.variance for item in estimates]))
    return max(scatter, sampling) < -1 / math.log(CHANCE / len(known))


def _spreads(evaluated: Fingerprint, past: Sequence[Fingerprint]) -> list[_Spread]:
    """The distributions that have enough of a history; partitions without rows have no mix."""
    found = [
        _Spread(name, measured, {place: item for place, item in enumerate(_distributions(name, past)) if item})
        for name, measured in evaluated.items()
        if isinstance(measured, Distribution) and measured.total
    ]
    return [spread for spread in found if len(spread.past) >= LEAST_HISTORY]


def _distributions(name: str, past: Sequence[Fingerprint]) -> Iterator[Distribution | None]:
    for item in past:
        measured = item.get(name)
        yield measured if isinstance(measured, Distribution) and measured.total else None


def _moved_spread(trial: _Trial, spread: _Spread, chance: float) -> Iterator[tuple[str, Finding]]:
    """A finding about a distribution, if it is farther from its history than chance reaches."""
    table = table_of([*spread.past.values(), spread.seen])
    if len(table.names) == 1:
        return
    moments = [trial.moments[place] for place in spread.past]
    mix = mix_of(table.counts[:-1], moments, table.counts[-1], trial.now, chance)
    if mix.excess > 1:
        size = float(abs(mix.seen - mix.expected).sum() / 2)
        yield (
            spread.measure,
            Finding(
                rule=RULE,
                about=spread.measure,
                severity=trial.severity(spread.measure, size),
                expected=f"the mix of {mix.partitions} partitions",
                seen=f"{100 * size:.2g} % of the rows elsewhere (usual: up to {100 * mix.usual:.2g} %)",
                moved=_moved_most(table.names, mix),
                size=size,
            ),
        )


def _moved_most(names: Sequence[str], mix: Mix) -> tuple[CategoryShift, ...]:
    moved = sorted(
        (
            CategoryShift(name, float(expected), float(seen))
            for name, expected, seen in zip(names, mix.expected, mix.seen, strict=True)
        ),
        key=lambda item: (-abs(item.seen - item.expected), item.value),
    )
    return tuple(item for item in moved[:_MOVED_MOST] if item.seen != item.expected)
