"""Converging without a daemon: the same stages, run here and now, and a Dagster instance told about it meanwhile.

If the process that tells dies, the data is published all the same, and the next convergence tells what is missing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from spam_pipeline.pipeline import Pipeline
from spam_pipeline.protocol.convergence import Converged, converge
from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.quarantine import quarantine

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
    if not pipeline.landing_zone.exists():
        raise NothingLanded(
            f"no landing zone at {pipeline.landing_zone}: set SPAM_PIPELINE_HOME or SPAM_PIPELINE_LANDING_URL, "
            "or run spam-pipeline simulate"
        )

    pipeline.runner.sweep()
    with _teller(pipeline) as teller:
        tell("observing the landing zone")
        pipeline.runner.observe()
        done = converge(
            pipeline.runner, names or None, on_stage=lambda stage, count: tell(f"{stage}: {count} partitions")
        )
        tell("telling the Dagster instance")
        _say(teller, _quarantined(pipeline))
    if teller.returncode != 0:
        raise InstanceNotTold(done)
    return done


@contextmanager
def _teller(pipeline: Pipeline) -> Iterator["subprocess.Popen[str]"]:
    """A process that tells the instance about publications while the block runs, and about the last ones before it ends."""
    settings = pipeline.settings
    what = {
        "ledger": settings.ledger,
        "environment": settings.environment,
        "dagster_home": str(settings.dagster_home),
        "expected": list(_expected(pipeline)),
    }
    command = [sys.executable, "-m", _TELLER]
    # In a session of its own an interruption at the terminal does not reach it: it ends when its input does.
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True) as teller:  # noqa: S603 - our own module
        _say(teller, what)
        yield teller


def _say(teller: "subprocess.Popen[str]", what: object) -> None:
    """Write a line to the process that tells; if that has died, nobody reads it, and its return code says so."""
    if teller.stdin is not None:
        with suppress(BrokenPipeError):
            os.write(teller.stdin.fileno(), f"{json.dumps(what)}\n".encode())


def _expected(pipeline: Pipeline) -> Iterator[tuple[str, str, list[tuple[str, float | None, float | None]]]]:
    """What consumers expect, as the process that tells reads it: by upstream stage and consumer."""
    for consumer in pipeline.graph.stages.values():
        for upstream, limits in consumer.expectations.items():
            yield upstream, consumer.name, [(limit.number, limit.at_least, limit.at_most) for limit in limits]


def _quarantined(pipeline: Pipeline) -> list[tuple[str, str, str, str]]:
    """What is quarantined, as the process that tells reads it: by stage and partition."""
    found = quarantine(pipeline.runner.assess(), pipeline.runner.snapshot([]))
    return [(stage, partition, *what) for (stage, partition), what in found.items()]
