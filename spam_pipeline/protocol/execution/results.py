"""Results of workers, completed from the ledger to the outcomes that a convergence reports: a worker says little, or died before it could."""

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.executor import PartitionResult
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure, Outcome
from spam_pipeline.protocol.planning.partition_status import PartitionStatus


def outcome_of(engine: Engine, stage: str, result: PartitionResult) -> Outcome | Failure:
    """The outcome behind a worker's result."""
    if result.error:
        return Failure(stage, result.partition, result.error)
    found = engine.ledger.publication(engine.environment, stage, result.partition) if result.publication else None
    publication = found[0] if found and found[0].id == result.publication else None  # somebody may have published since
    return Outcome(result.action, *engine.publisher.recorded(result.recipe), publication)


def published_since(engine: Engine, status: PartitionStatus, run: str | None, cause: str) -> Outcome | None:
    """The outcome of a partition that a worker has published since `status`, and died before it could say so; None if none has."""
    found = engine.ledger.publication(engine.environment, status.stage, status.partition)
    before = status.published.version_id if status.published else None
    if found is None or found[0].version_id == before or (found[0].trigger.run, found[0].trigger.cause) != (run, cause):
        return None
    publication, recorded = found
    if recorded is None and status.published is not None:  # retracted: the outcome has what was published until then
        recorded = engine.publisher.recorded(status.published.recipe)
    return Outcome(ActionTaken(publication.trigger.action), *recorded, publication) if recorded else None
