"""A code location whose convergences have partitions computed in runs, one each, of which one kills its worker. For a real daemon."""

import os
from contextlib import nullcontext
from pathlib import Path

from spam_pipeline.orchestration.batch_runs import batch_runs
from spam_pipeline_tests.orchestration.toy_location import toy_location
from spam_pipeline_tests.protocol.deadly_stages import deadly_engine

HOME = "DEADLY_HOME"
"""The variable with the home."""

defs = toy_location(
    deadly_engine(Path(os.environ[HOME])),
    open_executor=lambda context, engine: nullcontext(batch_runs(context, engine, 0, {})),
)
