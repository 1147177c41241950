"""Converging without a daemon: the same stages, run here and now, and a Dagster instance told about it meanwhile.

If the process that tells dies, the data is published all the same, and the next convergence tells what is missing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import Converged, converge, quarantine

_REPORTER = "spam_pipeline.orchestration.event_reporting"
"""Run as a module of its own, so that the orchestrator is not imported here."""


class NothingLanded(PipelineError):
    """There is no landing zone to observe."""


class InstanceNotUpdated(PipelineError):
    """Everything in `done` is published, but the Dagster instance could not be told."""

    def __init__(self, done: Converged) -> None:
        super().__init__("everything is published, but the Dagster instance could not be told; see the error above")
        self.done = done


def converge_and_report(
    pipeline: Pipeline, names: Collection[str] | None = None, on_progress: Callable[[str], None] = lambda _text: None
) -> Converged:
    """Observe the landing zone, converge, and report the publications to the Dagster instance.

    `on_progress` receives a line for every stage that has something to do. Raises `NothingLanded` when there is no landing zone, and
    `InstanceNotUpdated` when everything was published but the instance could not be told.
    """
    if not pipeline.landing_zone.exists():
        raise NothingLanded(
            f"no landing zone at {pipeline.landing_zone}: set SPAM_PIPELINE_HOME or SPAM_PIPELINE_LANDING_URL, "
            "or run spam-pipeline simulate"
        )

    pipeline.engine.sweep()
    with _reporter(pipeline) as reporter:
        on_progress("observing the landing zone")
        pipeline.engine.observe()
        done = converge(
            pipeline.engine, names or None, on_stage=lambda stage, count: on_progress(f"{stage}: {count} partitions")
        )
        on_progress("telling the Dagster instance")
        _say(reporter, _quarantined(pipeline))
    if reporter.returncode != 0:
        raise InstanceNotUpdated(done)
    return done


@contextmanager
def _reporter(pipeline: Pipeline) -> Iterator["subprocess.Popen[str]"]:
    """A process that tells the instance about publications while the block runs, and about the last ones before it ends."""
    settings = pipeline.settings
    what = {
        "ledger": settings.ledger,
        "environment": settings.environment,
        "dagster_home": str(settings.dagster_home),
        "expected": list(_expected(pipeline)),
    }
    command = [sys.executable, "-m", _REPORTER]
    # In a session of its own an interruption at the terminal does not reach it: it ends when its input does.
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True) as reporter:  # noqa: S603 - our own module
        _say(reporter, what)
        yield reporter


def _say(reporter: "subprocess.Popen[str]", what: object) -> None:
    """Write a line to the process that tells; if that has died, nobody reads it, and its return code says so."""
    if reporter.stdin is not None:
        with suppress(BrokenPipeError):
            os.write(reporter.stdin.fileno(), f"{json.dumps(what)}\n".encode())


def _expected(pipeline: Pipeline) -> Iterator[tuple[str, str, list[tuple[str, float | None, float | None]]]]:
    """What consumers expect, as the process that tells reads it: by upstream stage and consumer."""
    for consumer in pipeline.graph.stages.values():
        for upstream, reads in consumer.inputs.items():
            if reads.expectations:
                limits = [(limit.number, limit.at_least, limit.at_most) for limit in reads.expectations]
                yield upstream, consumer.name, limits


def _quarantined(pipeline: Pipeline) -> list[tuple[str, str, str, str]]:
    """What is quarantined, as the process that tells reads it: by stage and partition."""
    found = quarantine(pipeline.engine.planner.report(), pipeline.engine.planner.snapshot([]))
    return [(stage, partition, *what) for (stage, partition), what in found.items()]
