"""A part of the toy pipeline with a stage that kills the worker which computes it first, in the middle of a batch."""

import multiprocessing
import os
import signal
from pathlib import Path

import polars as pl

from spam_pipeline.partitions import event_days
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline_tests.protocol.toy_pipeline import Numbers, numbers, received_numbers, toy_engine


@stage(partitions=event_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def deadly_copy(numbers: pl.LazyFrame, partition: str, board: str) -> pl.LazyFrame:
    """The day's numbers again. The worker that comes to the third of the month first is killed."""
    killed = Path(board).with_name("killed")
    if partition.endswith("03") and multiprocessing.parent_process() and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return numbers


STAGES = (received_numbers, numbers, deadly_copy)


def deadly_engine(home: Path) -> Engine:
    """An engine over these stages, that a process can open by this name."""
    return toy_engine(home, stages=STAGES)
