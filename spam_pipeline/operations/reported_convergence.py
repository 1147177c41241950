"""Converging without a daemon: the same stages, run here and now, while another process reports to a Dagster instance.

If the reporting process dies, the data is published all the same, and the next convergence reports what is missing.
"""

import logging
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from spam_pipeline.operations import reporter_process
from spam_pipeline.operations.home_page import update_home_page
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import (
    CONVERGING,
    OBSERVING,
    PRODUCTION,
    Cause,
    Converged,
    Course,
    Failure,
    OnProgress,
    Outcome,
    Overview,
    PartitionStatus,
    Quarantined,
    converge,
    no_progress,
    noting_stop,
    plan,
)
from spam_pipeline.reporter_messages import Assignment, Ending, to_line

_logger = logging.getLogger(__name__)


class NothingLanded(PipelineError):
    """There is no landing zone to observe."""


class InstanceNotUpdated(PipelineError):
    """Everything in `done` is published, but the Dagster instance does not show all of it."""

    def __init__(self, done: Converged) -> None:
        super().__init__(
            "everything is published, but reporting it to the Dagster instance failed: see the error above"
        )
        self.done = done


def converge_and_report(
    pipeline: Pipeline,
    names: Collection[str] | None = None,
    on_progress: OnProgress = no_progress,
    *,
    is_estimated: bool = False,
) -> Converged:
    """Observe the landing zone, converge, report the publications to the Dagster instance, and notify whoever is to be notified.

    `on_progress` receives a line for every stage that has something to do, and each partition that is done; with `is_estimated`,
    the work is planned first, which takes as long as finding that there is none. Raises `NothingLanded` when there is no landing zone,
    `DevelopmentKeyRefused`, and `InstanceNotUpdated` when everything was published but reporting it failed.
    """
    if not pipeline.landing_zone.exists() and not _knows_files(pipeline):
        raise NothingLanded(
            f"no landing zone at {pipeline.landing_zone}: set SPAM_PIPELINE_HOME or SPAM_PIPELINE_LANDING_URL, "
            "or run spam-pipeline simulate"
        )
    pipeline.require_key_of_ones_own()
    pipeline.engine.sweep()
    with _reporter(pipeline) as reporter, pipeline.executor() as executor:
        with _notifying_of_a_stop(pipeline):
            on_progress("observing the landing zone")
            with noting_stop(pipeline.engine, OBSERVING):
                pipeline.engine.observe()
            course = _course(pipeline, names or None) if is_estimated else Course((), {})
            with noting_stop(pipeline.engine, CONVERGING):
                done = converge(
                    pipeline.engine,
                    names or None,
                    executor=executor,
                    on_stage=lambda stage, count: _meet(course, stage, count, on_progress),
                    on_outcome=lambda status, cause, outcome: _finish(course, status, cause, outcome, on_progress),
                )
        on_progress("reporting to the Dagster instance")
        found = Overview.of(pipeline.engine)
        _send(reporter, _ending(done, found))
        update_home_page(found, pipeline.settings)
        pipeline.notify(found)
    if reporter.returncode != 0:
        raise InstanceNotUpdated(done)
    return done


def _knows_files(pipeline: Pipeline) -> bool:
    """Return True if files have landed in this home before; a home that is not there is not made for asking."""
    return pipeline.settings.home.is_dir() and bool(pipeline.engine.planner.known().files)


@contextmanager
def _notifying_of_a_stop(pipeline: Pipeline) -> Iterator[None]:
    """Notify people when the block raises, as far as what is broken lets it; the error is the caller's."""
    try:
        yield
    except Exception:
        try:
            pipeline.notify()
        except PipelineError as problem:
            _logger.warning("nobody could be notified of that: %s", problem)
        raise


def _course(pipeline: Pipeline, names: Collection[str] | None) -> Course:
    return Course(plan(pipeline.engine, names), pipeline.engine.ledger.recent_costs())


def _meet(course: Course, stage: str, partitions: int, on_progress: OnProgress) -> None:
    course.meet(stage, partitions)
    on_progress(f"{stage}: {partitions} partitions", course.done, course.total)


def _finish(
    course: Course, status: PartitionStatus, why: Cause, outcome: Outcome | Failure, on_progress: OnProgress
) -> None:
    result = f"failed: {outcome.error}" if isinstance(outcome, Failure) else outcome.action.value
    _logger.info("%s %s: %s (%s)", status.stage, status.partition, result, why)
    course.finish(status.stage, status.partition)
    on_progress("", course.done, course.total)


@contextmanager
def _reporter(pipeline: Pipeline) -> Iterator["subprocess.Popen[str]"]:
    """A process that reports publications while the block runs, and the last ones before it ends."""
    settings = pipeline.settings
    assignment = Assignment(
        settings.ledger,
        settings.environment,
        settings.dagster_home,
        pipeline.graph.expected(),
        settings.asset_prefix,
    )
    command = [sys.executable, "-m", reporter_process.__name__]
    # In a session of its own an interruption at the terminal does not reach it: it ends when its input does.
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, text=True, start_new_session=True, env=_variables(settings.environment)
    ) as reporter:
        _send(reporter, assignment)
        yield reporter


def _variables(environment: str) -> dict[str, str]:
    """The variables of the reporting process: the instance that `DAGSTER_HOME` names may be production's, and hears of nothing else."""
    is_heard = environment == PRODUCTION
    return {name: value for name, value in os.environ.items() if is_heard or name != "DAGSTER_HOME"}


def _send(reporter: "subprocess.Popen[str]", message: Assignment | Ending) -> None:
    """Write a message to the reporting process; if that has died, nobody reads it, and its return code says so."""
    if reporter.stdin is not None:
        with suppress(BrokenPipeError):
            os.write(reporter.stdin.fileno(), to_line(message))


def _ending(done: Converged, found: Overview) -> Ending:
    quarantined = defaultdict[str, dict[str, Quarantined]](dict)
    for (stage, partition), item in found.quarantined.items():
        quarantined[stage][partition] = item
    return Ending(done, quarantined, found.outlooks, found.waiting)
