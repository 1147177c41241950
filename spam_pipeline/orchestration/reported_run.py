"""A run that reports what other processes did: events under a job of its own, with which its page opens like that of any other run.

The job is in no code location, so nobody can launch it. A run begins with its first event, and none without one.
"""

from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, AssetObservationData, StepMaterializationData
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from spam_pipeline.dagster_links import LOCATION

_OP = "report"

_REPOSITORY = RemoteRepositoryOrigin(
    ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="spam_pipeline.definitions"), LOCATION),
    "__repository__",
)
"""The code location under which the timeline of runs shows them: it leaves out runs of none."""


class ReportedRun:
    """A run of one instance, reported while or after something happened elsewhere."""

    def __init__(self, instance: dg.DagsterInstance, job: str, description: str, tags: Mapping[str, str]) -> None:
        self._instance = instance
        self._job = job
        self._description = description
        self._tags = tags
        self._run: dg.DagsterRun | None = None

    def materialized(self, materialization: dg.AssetMaterialization, run: dg.DagsterRun | None = None) -> None:
        """Report a materialization, in this run or in the one that it was made in."""
        self._event(dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(materialization), run)

    def observed(self, observation: dg.AssetObservation, run: dg.DagsterRun | None = None) -> None:
        """Report an observation, likewise."""
        self._event(dg.DagsterEventType.ASSET_OBSERVATION, AssetObservationData(observation), run)

    def checked(self, evaluation: dg.AssetCheckEvaluation, run: dg.DagsterRun | None = None) -> None:
        """Report the outcome of a check, likewise."""
        self._event(dg.DagsterEventType.ASSET_CHECK_EVALUATION, evaluation, run)

    def planned(self, asset: dg.AssetKey, partition: str | None) -> None:
        """Report that a partition was to be materialized: it is shown as failed once this run fails without having done so."""
        planned = AssetMaterializationPlannedData(asset, partition=partition)
        self._event(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned)

    def fail(self, why: str) -> None:
        """End the run as one that failed, also if nothing else has been reported in it."""
        self._instance.report_run_failed(self._begun(), why)
        self._run = None

    def __enter__(self) -> Self:
        """Let the run end with the block: an open one takes a slot of the instance for ever."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the run, if it has begun and not ended; as one that failed if something was raised."""
        if self._run and kind:
            self.fail(f"reporting ended with {kind.__name__}")
        elif self._run:
            self._event(dg.DagsterEventType.RUN_SUCCESS)

    def _event(self, kind: dg.DagsterEventType, data: Any = None, run: dg.DagsterRun | None = None) -> None:
        into = run or self._begun()
        event = dg.DagsterEvent(event_type_value=kind.value, job_name=into.job_name, event_specific_data=data)
        self._instance.report_dagster_event(event, run_id=into.run_id)

    def _begun(self) -> dg.DagsterRun:
        if self._run is None:
            job = dg.GraphDefinition(
                name=self._job,
                node_defs=[dg.OpDefinition(compute_fn=lambda _: None, name=_OP, description=self._description)],
            ).to_job(description=self._description)
            self._run = self._instance.create_run_for_job(
                job, tags=self._tags, remote_job_origin=RemoteJobOrigin(_REPOSITORY, self._job)
            )
            self._event(dg.DagsterEventType.RUN_START)
        return self._run
