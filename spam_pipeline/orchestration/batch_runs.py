"""Runs of the Dagster instance as workers of a convergence: batches of partitions, through the instance's own coordinator and launcher.

Nothing is scheduled here. A run's status is what somebody last reported of it; that its worker lives is known from the claim that
the worker holds, which goes with its process. `batch_job` has the worker's side.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

import dagster as dg

from spam_pipeline.orchestration.batch_job import BATCH_JOB, REFUSED, RESULTS, batch_config, read_results
from spam_pipeline.protocol.operating import Batch, Engine, PartitionResult, WorkerDiffers, divided

BATCH_TAG = "spam_pipeline/convergence"
"""The tag of a batch's run: the run of its convergence."""

BEGIN_SECONDS = 120.0
"""Time in which a run has to begin while no other one of the convergence does anything: there may be no slot for it, ever."""

CLAIM_SECONDS = 30.0
"""Time that a started run has to get its claim, and one that gave it up to end. After that its worker is dead."""

WORK_SECONDS = 25
"""Work of a run by default: starting one costs 7 s of CPU, or 1.8 s where a worker is warm."""

_LEAST_SHARE = 1 / 3
"""Share of a run's work below which the coordinator does it itself, in less time than a run needs to start."""

_LOOK_SECONDS = 1.0

_BEGUN = frozenset({dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING})
_ENDED = frozenset({dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED})


class Step(Enum):
    """What a coordinator does about a run."""

    WAIT = "wait"
    READ = "read its results"
    GIVE_UP = "do its batch elsewhere"


def next_step(
    status: dg.DagsterRunStatus, *, works: bool, begin_seconds_left: float, claim_seconds_left: float
) -> Step:
    """The step that follows from a run's status, from whether its worker holds its claim, and from the time it still has.

    >>> next_step(dg.DagsterRunStatus.STARTED, works=True, begin_seconds_left=0, claim_seconds_left=0)
    <Step.WAIT: 'wait'>
    >>> next_step(dg.DagsterRunStatus.STARTED, works=False, begin_seconds_left=90, claim_seconds_left=0)
    <Step.GIVE_UP: 'do its batch elsewhere'>
    """
    if status in _ENDED:
        return Step.READ
    if works:
        return Step.WAIT
    left = claim_seconds_left if status in _BEGUN else begin_seconds_left
    return Step.WAIT if left > 0 else Step.GIVE_UP


@dataclass
class _Launched:
    """A run that was submitted, and when it was last seen to be alive, or not to have begun."""

    run_id: str
    alive_at: float


@dataclass
class BatchRuns:
    """An executor whose workers are runs of an instance, in the code location of a convergence that is a run itself.

    `job` is the job `converge_batch`, `work_seconds` the work of one run, `tags` are more tags of runs, by stage. After a run that never began
    there is no other one: what is left of the convergence is left to its coordinator.
    """

    instance: dg.DagsterInstance
    convergence: dg.DagsterRun
    job: dg.JobDefinition
    engine: Engine
    log: logging.Logger
    work_seconds: float = WORK_SECONDS
    begin_seconds: float = BEGIN_SECONDS
    claim_seconds: float = CLAIM_SECONDS
    look_seconds: float = _LOOK_SECONDS
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _is_in_vain: bool = field(default=False, init=False)

    def run(self, batch: Batch, seconds_each: float) -> Iterator[PartitionResult]:
        """Yield the results of a batch that is worth a run, as `Executor` promises."""
        if self._is_in_vain or seconds_each * len(batch.causes) < self.work_seconds * _LEAST_SHARE:
            return
        launched: list[_Launched] = []
        try:
            for some in divided(batch, seconds_each, self.work_seconds):
                run_id = self._submit(some)
                if run_id is None:
                    break
                launched.append(_Launched(run_id, time.monotonic()))
            yield from self._results(launched)
        finally:
            for item in launched:
                self._cancel(item.run_id, "its convergence has ended")

    def _results(self, launched: list[_Launched]) -> Iterator[PartitionResult]:
        """The results of runs as they end. Those that ended, or were given up, are launched no more."""
        active_at = time.monotonic()
        while launched:
            time.sleep(self.look_seconds)
            runs = {run.run_id: run for run in self.instance.get_runs(_these(launched))}
            launched[:] = [item for item in launched if item.run_id in runs]  # somebody may have deleted one
            working = {item.run_id for item in launched if self._works(runs[item.run_id])}
            now = time.monotonic()
            active_at = now if working else active_at
            for item in list(launched):
                run, works = runs[item.run_id], item.run_id in working
                item.alive_at = now if works or run.status not in _BEGUN else item.alive_at
                step = next_step(
                    run.status,
                    works=works,
                    begin_seconds_left=self.begin_seconds - (now - active_at),
                    claim_seconds_left=self.claim_seconds - (now - item.alive_at),
                )
                if step is Step.WAIT:
                    continue
                launched.remove(item)
                if step is Step.READ:
                    active_at = now
                    yield from self._read(run)
                else:
                    self._give_up(run)

    def _works(self, run: dg.DagsterRun) -> bool:
        return run.status not in _ENDED and self.engine.claims.is_working(run.run_id)

    def _submit(self, batch: Batch) -> str | None:
        """Hand a run to the instance's coordinator, as a sensor would; return its id, or None if that failed."""
        remote, code = self.convergence.remote_job_origin, self.convergence.job_code_origin
        run = self.instance.create_run_for_job(
            self.job,
            run_config=batch_config(batch, self.convergence.run_id),
            tags={
                **self.tags.get(batch.stage, {}),
                BATCH_TAG: self.convergence.run_id,
                "spam_pipeline/stage": batch.stage,
                "dagster/max_retries": "0",
            },
            remote_job_origin=remote.repository_origin.get_job_origin(BATCH_JOB) if remote else None,
            job_code_origin=code._replace(job_name=BATCH_JOB) if code else None,
        )
        try:
            # The coordinator that is the default takes no workspace: the daemon has one.
            self.instance.submit_run(run.run_id, cast("Any", None))
        except Exception as error:  # noqa: BLE001 - of whatever launcher there is
            self._is_in_vain = True
            self.log.warning("run %s of a batch could not be submitted: %s", run.run_id, error)
            self._cancel(run.run_id, "it could not be submitted")
            return None
        return run.run_id

    def _read(self, run: dg.DagsterRun) -> Sequence[PartitionResult]:
        """The results of a run that ended; none of one that failed or was cancelled. Raises `WorkerDiffers`."""
        if run.status is dg.DagsterRunStatus.SUCCESS:
            outputs = self._events(run, dg.DagsterEventType.STEP_OUTPUT)
            return [item for event in outputs for item in read_results(event.step_output_data.metadata[RESULTS])]
        for event in self._events(run, dg.DagsterEventType.STEP_FAILURE):
            failure = event.step_failure_data.user_failure_data
            if failure and REFUSED in failure.metadata:
                raise WorkerDiffers(str(failure.metadata[REFUSED].value))
        self.log.warning("run %s of a batch ended: its partitions are done here", run.run_id)
        return ()

    def _give_up(self, run: dg.DagsterRun) -> None:
        """End a run whose worker is dead, or that does not begin; its partitions are done here."""
        if run.status in _BEGUN:
            self.instance.report_run_failed(run, "its worker died")
        else:
            self._is_in_vain = True
            self._cancel(run.run_id, f"it did not begin within {self.begin_seconds:.0f} seconds")
        self.log.warning("run %s of a batch is given up: its partitions are done here", run.run_id)

    def _cancel(self, run_id: str, why: str) -> None:
        """End a run as far as its launcher can; one without a worker has ended in any case."""
        try:
            self.instance.run_coordinator.cancel_run(run_id)
        except Exception as error:  # noqa: BLE001 - of whatever launcher there is
            self.log.warning("run %s of a batch could not be cancelled: %s", run_id, error)
        run = self.instance.get_run_by_id(run_id)
        if run and not run.is_finished and not self._works(run):
            self.instance.report_run_canceled(run, why)

    def _events(self, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        records = self.instance.get_records_for_run(run.run_id, of_type=kind).records
        return [record.event_log_entry.dagster_event for record in records if record.event_log_entry.dagster_event]


def batch_runs(
    context: dg.AssetExecutionContext, engine: Engine, work_seconds: float, tags: Mapping[str, Mapping[str, str]]
) -> BatchRuns | None:
    """The executor for a convergence that is the run of a context; None in a run that no instance has launched."""
    if context.run.remote_job_origin is None:
        context.log.warning(
            "this run belongs to no code location that an instance could launch others of: it does everything itself"
        )
        return None
    job = context.repository_def.get_job(BATCH_JOB)
    return BatchRuns(context.instance, context.run, job, engine, context.log, work_seconds, tags=tags)


def _these(launched: Sequence[_Launched]) -> dg.RunsFilter:
    return dg.RunsFilter(run_ids=[item.run_id for item in launched])
