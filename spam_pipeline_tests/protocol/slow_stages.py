"""A part of the toy pipeline with a stage that takes long enough for another process to come along."""

import time

import polars as pl

from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline_tests.protocol.toy_pipeline import Numbers, numbers, received_numbers


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def slow_copy(numbers: pl.LazyFrame) -> pl.LazyFrame:
    """The day's numbers again, after a while."""
    time.sleep(0.2)
    return numbers


STAGES = (received_numbers, numbers, slow_copy)
