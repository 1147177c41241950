"""Running one partition: computed or taken from the ledger, audited, published, delivered, in this direction and once.

A crash at any point leaves the previous publication in place and at most an unreferenced file. Stored files that are read for it and
prove damaged are computed again first. `planning` decides what to run,
`convergence` or the orchestrator in which order.
"""

from dataclasses import replace

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import ActionTaken, Outcome, format_error
from spam_pipeline.protocol.foundation.errors import Held, PlaceUnusable, Pruned
from spam_pipeline.protocol.ledger.recipe import Recipe
from spam_pipeline.protocol.ledger.records import NO_TRIGGER, Audit, Trigger, Version
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason, RequiredAction
from spam_pipeline.protocol.planning.staleness import StalenessReport


def run(
    engine: Engine,
    report: StalenessReport,
    status: PartitionStatus,
    trigger: Trigger = NO_TRIGGER,
    *,
    wait: bool = True,
) -> Outcome:
    """Bring one partition up to date and return the outcome; `trigger` is recorded with its publication.

    Raises `Held` while an input has yet to be published, `Claimed` when another process is computing it and `wait` is
    false, and whatever the stage's function raises.
    """
    stage = engine.graph.stages[status.stage]
    if status.required_action is RequiredAction.RETRACT:
        return engine.publisher.retract(status, trigger)
    if not status.recipe:
        raise Held(f"{status.stage} {status.partition} {status.explanation}")
    try:
        outcome = _published(engine, stage, report, status, trigger, wait=wait)
    except Pruned:  # somebody has pruned the version, or one to fall back to, since this was planned
        outcome = _made(engine, stage, report.recipe(status), trigger, wait=wait)
    # What only has to be delivered is read already, whatever the rules of another environment said of it last.
    is_read = status.required_action is RequiredAction.DELIVER or not outcome.refused
    is_delivered = is_read and engine.deliveries.deliver(stage, outcome.version, trigger)
    if is_delivered and outcome.action is ActionTaken.NOTHING:
        return replace(outcome, action=ActionTaken.DELIVERED)
    return outcome


def run_partition(engine: Engine, name: str, partition: str, run_id: str | None = None) -> Outcome:
    """Bring one partition up to date as it stands now. Raises like `Planner.status` and `run`."""
    report, status = engine.planner.status(name, partition)
    why = engine.causes(report, name, [status])[partition] if status.can_run else ""
    return run(engine, report, status, Trigger(run_id, cause=str(why)))


def follow_decision(engine: Engine, version: Version, trigger: Trigger) -> Outcome | None:
    """Let a decision about a version take effect as far as that needs no computation; None if it has no effect yet.

    The version that is read from then on is delivered; a target that is away gets it once it answers.
    """
    stage = engine.graph.stages[version.stage]
    report = engine.planner.report([version.stage])
    status = report.statuses[version.stage].get(version.partition)
    is_about_it = status is not None and status.recipe == version.recipe
    if status and (
        status.required_action is RequiredAction.RETRACT
        or (status.required_action is RequiredAction.AUDIT and is_about_it)
    ):
        outcome = run(engine, report, status, trigger)
    elif engine.publisher.is_read(version):
        outcome = engine.publisher.audit_again(stage, version.recipe, trigger, is_decided=True)
    else:
        return None
    engine.deliveries.deliver_if_reachable(stage, version.partition, trigger)
    return outcome


def audit_now(engine: Engine, name: str, partition: str) -> tuple[Version, Audit] | None:
    """Audit the wanted version of a partition, or else the newest; nothing is computed or recorded."""
    status = engine.planner.statuses([name])[name].get(partition)
    return engine.publisher.audit_now(name, partition, status.recipe if status else "")


def _published(  # noqa: PLR0913 - of one partition
    engine: Engine,
    stage: AnyStage,
    report: StalenessReport,
    status: PartitionStatus,
    trigger: Trigger,
    *,
    wait: bool,
) -> Outcome:
    match status.required_action:
        case RequiredAction.DELIVER:
            return Outcome(ActionTaken.NOTHING, *engine.publisher.recorded(status.recipe), None)
        case RequiredAction.AUDIT:
            is_decided = status.reason is Reason.DECIDED
            return engine.publisher.audit_again(stage, status.recipe, trigger, is_decided=is_decided)
    return _made(engine, stage, report.recipe(status), trigger, wait=wait)


def _made(engine: Engine, stage: AnyStage, recipe: Recipe, trigger: Trigger, *, wait: bool) -> Outcome:
    """The version of a recipe, published if its audit passes: taken from the ledger, or computed by one process."""
    known = engine.publisher.known(stage, recipe.digest)
    if known is None:
        with engine.claims.on(recipe.digest, wait=wait):  # look again: who held the claim may have computed it
            known = engine.publisher.known(stage, recipe.digest)
            if known is None:
                return _computed(engine, stage, recipe, trigger)
    return engine.publisher.publish_known(stage, *known, trigger)


def _computed(engine: Engine, stage: AnyStage, recipe: Recipe, trigger: Trigger) -> Outcome:
    attempts = engine.ledger.attempts
    attempts.remember_code(engine.graph.code_versions[stage.name])
    attempt = attempts.begin(recipe.digest, stage.name, recipe.partition, trigger.run)
    try:
        version, on_data = engine.repairs.mending(lambda: engine.computation.version(stage, recipe))
        audit = engine.publisher.audit(stage, version, on_data)
    except PlaceUnusable:
        attempts.complete(attempt)  # the recipe did not fail: it is tried again as soon as there is room
        raise
    except Exception as error:
        attempts.fail(attempt, format_error(error))
        raise
    return engine.publisher.publish_computed(version, audit, trigger)
