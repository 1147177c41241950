"""The job `converge_batch`: a worker of a convergence, as a run of the Dagster instance. Not for people to launch.

Whatever launches runs there (this machine, Celery, Kubernetes) starts the worker; `batch_runs` has the coordinator's side.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import TypeAdapter

from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.protocol.operating import Batch, Engine, PartitionResult, WorkerDiffers, work

BATCH_JOB = "converge_batch"
"""Name of the job."""

_OP = "compute_batch"

RESULTS, REFUSED = "results", "refused"
"""Names of metadata: of a run's output, and of its failure when the worker differs from the coordinator."""

_RESULTS = TypeAdapter(list[PartitionResult])
_CONFIG = {
    "stage": str,
    "causes": dg.Field({str: str}, description="why each partition runs, by partition"),
    "terms": dg.Field({str: str}, description="what the worker has in common with the coordinator"),
    "run": dg.Field(str, description="the run of the convergence, which reports what is published"),
}


def batch_job() -> dg.JobDefinition:
    """The job over the engine of the run's resources."""

    @dg.op(
        name=_OP,
        config_schema=_CONFIG,
        out=dg.Out(dg.Nothing),
        required_resource_keys={ENGINE},
        description="Runs partitions of one stage for a convergence.",
    )
    def compute_batch(context: dg.OpExecutionContext) -> None:
        engine: Engine = context.resources.engine
        batch = Batch(**context.op_config)
        with engine.claims.on_batch(context.run_id):
            try:
                results = list(work(engine, batch))
            except WorkerDiffers as problem:
                raise dg.Failure(str(problem), metadata={REFUSED: str(problem)}, allow_retries=False) from problem
        context.add_output_metadata({RESULTS: dg.MetadataValue.json(_RESULTS.dump_python(results, mode="json"))})

    @dg.job(
        name=BATCH_JOB, description="Partitions of one stage, computed for a convergence, which starts and reports it."
    )
    def converge_batch() -> None:
        compute_batch()

    return converge_batch


def batch_config(batch: Batch, run_id: str) -> dict[str, object]:
    """The run config of a batch."""
    config = {"stage": batch.stage, "causes": dict(batch.causes), "terms": dict(batch.terms), "run": run_id}
    return {"ops": {_OP: {"config": config}}}


def read_results(metadata: dg.MetadataValue[Any]) -> Sequence[PartitionResult]:
    """The results in the metadata of a run's output. Raises `ValueError`."""
    return _RESULTS.validate_python(metadata.value)
