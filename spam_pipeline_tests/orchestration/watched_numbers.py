"""Stages of the toy pipeline that somebody watches: a large total is worth a warning, and a huge one a spike with evidence."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import polars as pl

from spam_pipeline.protocol import (
    Clue,
    Curve,
    Evidence,
    Finding,
    HistoricFingerprint,
    Limit,
    Reads,
    Severity,
    TrailingDays,
)
from spam_pipeline.protocol.fingerprint import Fingerprint, numbers
from spam_pipeline.protocol.operating import AnyStage, CategoryShift
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, Numbers
from spam_pipeline_tests.protocol.toy_pipeline import numbers as numbers_stage
from spam_pipeline_tests.protocol.toy_pipeline import two_day_total as total_stage

LARGE, HUGE, ENOUGH = 100, 1000, 5
HOSTILE = "**track** <img src=x onerror=alert(1)> ![x](http://127.0.0.1:9/x) | 7"
"""A name that somebody chose: it is shown as it is."""


class WatchedNumbers(Numbers):
    """Numbers of a day of which a large total warns and a huge one refuses."""

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        return (Limit("total", at_most=LARGE, severity=Severity.WARN),)

    @classmethod
    def findings(cls, fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
        total = numbers(fingerprint)["total"]
        if total > HUGE:
            yield spike(total, len(history))


def spike(total: float, days: int) -> Finding:
    """A finding with everything that one can have."""
    return Finding(
        rule="spike",
        about=HOSTILE,
        severity=Severity.REFUSE,
        expected=f"at most about {HUGE} judging by {days} days",
        seen=f"{total:g}, which looks like an attack",
        moved=(CategoryShift("DE", 0.1, 0.7), CategoryShift(HOSTILE, 0.2, 0.1)),
        size=total,
        evidence=Evidence(
            clues=(Clue("plays per listener", 31.0, 2.1, "attack"), Clue("effective networks", 1.2, 90.0, "attack")),
            curves=(Curve("the track", (1.0,) * 24), Curve("other plays", (0.5, 1.5) * 12)),
            behind=(HOSTILE, "network 0a1b2c3d"),
        ),
    )


def broken_numbers(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    """The day's distinct numbers in the wrong unit: a thousand times too large."""
    return received_numbers.unique().sort("number").with_columns(number=pl.col("number") * 1000)


def watched(*, broken: bool = False) -> tuple[AnyStage, ...]:
    """The toy pipeline with watched numbers, of which `two_day_total` needs a few; `broken` code makes them a thousand times larger."""
    lucky: AnyStage = numbers_stage
    found: dict[str, AnyStage] = {
        "numbers": replace(lucky, contract=WatchedNumbers, **({"function": broken_numbers} if broken else {})),
        "two_day_total": replace(
            total_stage,
            inputs={
                **total_stage.inputs,
                "numbers": Reads(TrailingDays(2), expectations=(Limit("total", at_least=ENOUGH),)),
            },
        ),
    }
    return tuple(found.get(stage.name, stage) for stage in STAGES)
