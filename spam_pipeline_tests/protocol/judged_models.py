"""Models of the toy pipeline that their domain judges by what is published, and other code that makes worse ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.drift import HistoricFingerprint
from spam_pipeline.protocol.fingerprint import Counted, Fingerprint, Proportion, Recorded
from spam_pipeline.protocol.fingerprint import numbers as numbers_of
from spam_pipeline.protocol.foundation.finding import Finding, Severity
from spam_pipeline_tests.protocol.toy_pipeline import MODEL, model
from spam_pipeline_tests.protocol.toy_runs import with_other


def forgetful_model(numbers: pl.LazyFrame) -> dict[str, int]:
    """How many numbers each day has, without the last day."""
    return dict(numbers.group_by("day").len().sort("day").collect().rows()[:-1])


def forgetful_of_large_numbers(numbers: pl.LazyFrame) -> dict[str, int]:
    """How many small numbers each day has that has any."""
    return dict(numbers.filter(pl.col("number") < 50).group_by("day").len().sort("day").collect().rows())


def knows_fewer_days(fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
    """A challenger is refused when it knows fewer days than the champion."""
    for past in history:
        before, now = numbers_of(past.fingerprint)["days"], numbers_of(fingerprint)["days"]
        if now < before:
            yield Finding("champion", "days", Severity.REFUSE, f"at least {before:g}", f"{now:g}", size=before - now)


def knows_less_than_half(fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterable[Finding]:
    """A challenger is refused when it knows less than half of the champion's days."""
    for past in history:
        before, now = numbers_of(past.fingerprint)["days"], numbers_of(fingerprint)["days"]
        if 2 * now < before:
            yield Finding("champion", "days", Severity.REFUSE, f"at least {before / 2:g}", f"{now:g}", size=before)


def days_and_their_numbers(value: dict[str, int]) -> Fingerprint:
    """What is known of each day, and of how many days more than one number."""
    several = sum(count > 1 for count in value.values())
    rows = tuple({"day": day, "numbers": count, "shares": [count / 3, None]} for day, count in value.items())
    return {"days": Counted(len(value)), "several_share": Proportion(several, len(value)), "known": Recorded(rows)}


EVALUATED = replace(MODEL, findings=knows_fewer_days)


def with_model(function: Callable[..., Any] | None = None, contract: Any = EVALUATED) -> tuple[AnyStage, ...]:
    """The toy pipeline with a model that is judged by the one before, made by other code where there is some."""
    changed: AnyStage = replace(model, contract=contract, **({"function": function} if function else {}))
    return with_other(changed)
