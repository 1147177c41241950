"""Other code for stages of the toy pipeline, and what is deployed: one choice for each stage that has several."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import DaysOfMonth, TrailingDays
from spam_pipeline_tests.protocol.toy_pipeline import (
    STAGES,
    Numbers,
    Total,
    model,
    monthly_total,
    numbers,
    received_numbers,
    settled_total,
    share,
    two_day_total,
)


class FewNumbers(Numbers):
    """Numbers of a day that are not large either."""

    number = dy.Int64(min=0, max=60)


class PositiveTotal(Total):
    """A total of something."""

    total = dy.Int64(min=1)


def received_doubles(landed_numbers: LandedFile) -> Iterator[tuple[str, pl.DataFrame]]:
    """Numbers by event day, doubled; a broken line is passed over."""
    with landed_numbers.open() as file:
        lines = file.read().decode().splitlines()
    for line in lines:
        day, _, number = line.partition(" ")
        if number.lstrip("-").isdigit():
            yield day, pl.DataFrame({"day": [day], "number": [2 * int(number)]})


def numbers_in_two_steps(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    """The day's distinct numbers, found in another way."""
    distinct = received_numbers.group_by("day", "number").len()
    return distinct.select("day", "number").sort("number")


def small_numbers(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    """The day's distinct numbers as far as they are small; there may be none."""
    return received_numbers.filter(pl.col("number") < 10).unique().sort("number")


def numbers_of_marked_days(received_numbers: pl.LazyFrame) -> pl.LazyFrame:
    """The day's distinct numbers, with another name of the day; who reads the numbers alone does not notice."""
    return received_numbers.unique().sort("number").with_columns(day=pl.col("day") + "!")


def total_with_one(numbers: pl.LazyFrame, partition: str, factor: int) -> pl.LazyFrame:
    """Total of the selected days, times a setting, and one."""
    return numbers.select(key=pl.lit(partition), total=pl.col("number").sum() * factor + 1)


def largest(numbers: pl.LazyFrame) -> dict[str, int]:
    """The largest number of each day."""
    return dict(numbers.group_by("day").agg(pl.col("number").max()).sort("day").collect().rows())


VARIANTS: dict[str, tuple[AnyStage | None, ...]] = {
    "received_numbers": (received_numbers, replace(received_numbers, function=received_doubles)),
    "numbers": (
        numbers,
        replace(numbers, function=numbers_in_two_steps),
        replace(numbers, function=small_numbers),
        replace(numbers, contract=FewNumbers),
        replace(numbers, function=numbers_of_marked_days),
    ),
    "two_day_total": (
        two_day_total,
        replace(two_day_total, function=total_with_one),
        replace(two_day_total, inputs={**two_day_total.inputs, "numbers": Reads(TrailingDays(3))}),
        replace(two_day_total, contract=PositiveTotal),
    ),
    "model": (model, replace(model, function=largest)),
    "settled_total": (
        settled_total,
        replace(settled_total, settled_after_days=0),
        replace(settled_total, settled_after_days=None),
    ),
    "share": (share, None),
    "monthly_total": (
        monthly_total,
        replace(monthly_total, inputs={"numbers": Reads(DaysOfMonth(), columns=("number",))}),
        replace(monthly_total, inputs={"numbers": Reads(DaysOfMonth(), columns=("number", "day"))}),
    ),
}
"""What can be deployed of each stage; the first is the toy pipeline's own, None takes the stage out."""


@dataclass(frozen=True)
class Code:
    """What is deployed: which variant of each stage, and the setting `factor`."""

    received_numbers: int = 0
    numbers: int = 0
    two_day_total: int = 0
    model: int = 0
    settled_total: int = 0
    share: int = 0
    monthly_total: int = 0
    factor: int = 1

    @property
    def stages(self) -> tuple[AnyStage, ...]:
        """The stages of the pipeline."""
        chosen = {name: VARIANTS[name][getattr(self, name)] for name in VARIANTS}
        found = (chosen.get(stage.name, stage) for stage in STAGES)
        return tuple(stage for stage in found if stage is not None)


CONTRACTS = tuple((name, choice) for name in ("numbers", "two_day_total") for choice in (0, 3))
"""The edits that change nothing but the rules, when they follow each other."""

EDITS = (
    *(
        (item.name, choice)
        for item in fields(Code)
        for choice in (range(min(3, len(VARIANTS[item.name]))) if item.name in VARIANTS else (1, 2))
    ),
    ("numbers", 4),
)
"""All other edits: the name of a stage or setting, and what is chosen for it."""
