"""Stages: what a parameter reads is said at the parameter, once, wherever it stands in the annotation."""

from typing import Annotated, Any

import polars as pl
import pytest

from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import DaysOfMonth, SamePartition, TrailingDays
from spam_pipeline.protocol.definition.stage import Stage, stage
from spam_pipeline.protocol.foundation.errors import WrongDefinition
from spam_pipeline_tests.protocol.toy_pipeline import Numbers

WEEK = Reads(TrailingDays(7), columns=("day",))
Weekly = Annotated[pl.LazyFrame, WEEK]


def reading(annotation: Any, parameter: str = "numbers") -> Stage[Any, Any]:
    def function(numbers: Any, partition: Any) -> Any:
        return numbers, partition

    function.__annotations__ = {parameter: annotation}
    return stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])(function)


@pytest.mark.parametrize("annotation", [Weekly, Weekly | None, dict[str, Weekly], WEEK])
def test_what_a_parameter_reads_is_found_wherever_it_stands(annotation: Any) -> None:
    assert reading(annotation).inputs == {"numbers": WEEK}


@pytest.mark.parametrize("annotation", [pl.LazyFrame, Any, "pl.LazyFrame"])
def test_a_parameter_that_says_nothing_reads_the_same_partition(annotation: Any) -> None:
    assert reading(annotation).inputs == {"numbers": Reads(SamePartition())}


def test_what_is_said_twice_is_refused() -> None:
    with pytest.raises(WrongDefinition, match="says 2 times what numbers reads: say it once"):
        reading(Annotated[Weekly, Reads(DaysOfMonth())])


def test_what_is_said_of_the_own_partition_is_refused() -> None:
    with pytest.raises(WrongDefinition, match="says what partition reads, which reads nothing"):
        reading(Weekly, "partition")


@pytest.mark.parametrize("annotation", ["Missing", "pl.Missing"])
def test_an_annotation_that_cannot_be_resolved_says_how_to_mend_it(annotation: str) -> None:
    with pytest.raises(WrongDefinition, match=r"does not exist when it runs .*: import it outside of TYPE_CHECKING"):
        reading(annotation)
