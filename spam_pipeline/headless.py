"""Converging without a daemon: the same stages, run here and now, and a Dagster instance told about it meanwhile.

If the process that tells dies, the data is published all the same, and the next convergence tells what is missing.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from spam_pipeline.pipeline import Pipeline
from spam_pipeline.protocol.convergence import Converged, converge
from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.settings import Settings

_TELLER = "spam_pipeline.orchestration.teller"
"""Run as a module of its own, so that the orchestrator is not imported here."""


class NothingLanded(PipelineError):
    """There is no landing zone to observe."""


class InstanceNotTold(PipelineError):
    """Everything is published, but the Dagster instance could not be told."""


def converge_headless(
    pipeline: Pipeline, names: Collection[str] | None = None, tell: Callable[[str], None] = lambda _text: None
) -> Converged:
    """Observe the landing zone, converge, and report the publications to the Dagster instance.

    `tell` receives a line for every stage that has something to do. Raises `NothingLanded` when there is no landing zone, and
    `InstanceNotTold` when everything was published but the instance could not be told.
    """
    settings = pipeline.settings
    if not settings.landing.is_dir():
        raise NothingLanded(
            f"no landing zone at {settings.landing}: set SPAM_PIPELINE_HOME, or run spam-pipeline simulate"
        )

    pipeline.runner.store.sweep()
    with _telling_dagster(settings):
        tell("observing the landing zone")
        pipeline.runner.observe()
        done = converge(
            pipeline.runner, names or None, on_stage=lambda stage, count: tell(f"{stage}: {count} partitions")
        )
        tell("telling the Dagster instance")
    return done


@contextmanager
def _telling_dagster(settings: Settings) -> Iterator[None]:
    """Tell the instance about publications as long as the block runs, and about the last ones before it ends."""
    what = {
        "ledger": settings.ledger,
        "environment": settings.environment,
        "dagster_home": str(settings.dagster_home),
    }
    command = [sys.executable, "-m", _TELLER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as teller:  # noqa: S603 - our own module
        if teller.stdin is None:
            raise InstanceNotTold("the process that tells the Dagster instance cannot be talked to")
        with teller.stdin as line:
            line.write(json.dumps(what) + "\n")
            line.flush()
            yield
    if teller.returncode != 0:
        raise InstanceNotTold(
            "everything is published, but the Dagster instance could not be told; see the error above"
        )
