"""Promoting the publications of an environment to production, and dropping them.

Both move pointers and compute nothing: the versions are in the ledger already. What production publishes next depends on the
code that runs there, so a change is promoted together with its deployment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import PipelineError
from spam_pipeline.protocol.ledger.records import NO_TRIGGER, PRODUCTION, Publication
from spam_pipeline.protocol.planning.partition_status import PartitionStatuses, State


class NotPromoted(PipelineError):
    """Nothing was promoted or dropped: the environment is production itself, or has not converged."""


@dataclass(frozen=True)
class Promoted:
    """The new publications of production, and the partitions that were left out because they are held."""

    publications: tuple[Publication, ...]
    held: tuple[str, ...]


def promote(engine: Engine, by: str) -> Promoted:
    """Point production at everything fresh that the engine's environment has pointers of its own to, in one transaction.

    Raises `NotPromoted` in production, and while any of that is stale.
    """
    if engine.environment == PRODUCTION:
        raise NotPromoted(
            "production is what others are promoted to: set SPAM_PIPELINE_ENVIRONMENT to the one to promote"
        )
    own, statuses = engine.ledger.own(engine.environment), engine.planner.statuses()
    stale = _in_state(own, statuses, State.STALE)
    if stale:
        raise NotPromoted(f"{len(stale)} partitions of {engine.environment} are stale: converge it first ({stale[0]})")
    held = _in_state(own, statuses, State.HELD)
    fresh = {place: version for place, version in own.items() if f"{place[0]} {place[1]}" not in held}
    trigger = NO_TRIGGER._replace(action="promoted", cause=f"promoted from {engine.environment} by {by}")
    return Promoted(tuple(engine.ledger.promote(engine.environment, fresh, trigger)), tuple(held))


def drop(engine: Engine) -> int:
    """Let the engine's environment read through to production again everywhere; return how many partitions it gave up.

    Raises `NotPromoted` in production.
    """
    if engine.environment == PRODUCTION:
        raise NotPromoted("production cannot be dropped: set SPAM_PIPELINE_ENVIRONMENT to the environment to drop")
    return engine.ledger.drop(engine.environment, NO_TRIGGER._replace(cause="dropped"))


def _in_state(own: Mapping[tuple[str, str], int | None], statuses: PartitionStatuses, state: State) -> list[str]:
    found = ((place, statuses.get(place[0], {}).get(place[1])) for place in own)
    return [f"{stage} {partition}" for (stage, partition), status in found if status and status.state is state]
