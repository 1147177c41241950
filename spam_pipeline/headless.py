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
    """Everything in `done` is published, but the Dagster instance could not be told."""

    def __init__(self, done: Converged) -> None:
        super().__init__("everything is published, but the Dagster instance could not be told; see the error above")
        self.done = done


def converge_headless(
    pipeline: Pipeline, names: Collection[str] | None = None, tell: Callable[[str], None] = lambda _text: None
) -> Converged:
    """Observe the landing zone, converge, and report the publications to the Dagster instance.

    `tell` receives a line for every stage that has something to do. Raises `NothingLanded` when there is no landing zone, and
    `InstanceNotTold` when everything was published but the instance could not be told.
    """
    settings = pipeline.settings
    if not pipeline.landing_zone.exists():
        raise NothingLanded(
            f"no landing zone at {pipeline.landing_zone}: set SPAM_PIPELINE_HOME or SPAM_PIPELINE_LANDING_URL, "
            "or run spam-pipeline simulate"
        )

    pipeline.runner.sweep()
    with _teller(settings) as teller:
        tell("observing the landing zone")
        pipeline.runner.observe()
        done = converge(
            pipeline.runner, names or None, on_stage=lambda stage, count: tell(f"{stage}: {count} partitions")
        )
        tell("telling the Dagster instance")
    if teller.returncode != 0:
        raise InstanceNotTold(done)
    return done


@contextmanager
def _teller(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """A process that tells the instance about publications while the block runs, and about the last ones before it ends."""
    what = {
        "ledger": settings.ledger,
        "environment": settings.environment,
        "dagster_home": str(settings.dagster_home),
    }
    command = [sys.executable, "-m", _TELLER]
    # In a session of its own an interruption at the terminal does not reach it: it ends when its input does.
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True) as teller:  # noqa: S603 - our own module
        print(json.dumps(what), file=teller.stdin, flush=True)
        yield teller
