"""Promoting the publications of an environment to production, and dropping them.

Both move pointers and compute nothing: the versions are in the ledger already. What production publishes next depends on the
code that runs there, so a change is promoted together with its deployment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.errors import NotPromoted
from spam_pipeline.protocol.ledger.records import NO_TRIGGER, PRODUCTION, Publication
from spam_pipeline.protocol.planning.partition_status import PartitionStatuses, State

Place = tuple[str, str]
"""A stage and a partition."""


@dataclass(frozen=True)
class Promotion:
    """What promoting an environment carries over: version ids by place, None for a retraction; and the partitions held back.

    `changes` are those that readers of production notice, with the id that they see until then; None where they see nothing.
    """

    environment: str
    carried: Mapping[Place, int | None]
    changes: Mapping[Place, int | None]
    held: tuple[str, ...]


@dataclass(frozen=True)
class Promoted:
    """The new publications of production, and the partitions that were left out because they are held."""

    publications: tuple[Publication, ...]
    held: tuple[str, ...]


def promotion(engine: Engine) -> Promotion:
    """What promoting the engine's environment would change: everything fresh that it has pointers of its own to.

    Raises `NotPromoted` in production, and while any of that is stale.
    """
    if engine.environment == PRODUCTION:
        raise NotPromoted(
            "production is what others are promoted to: name the one to promote with --environment or "
            "SPAM_PIPELINE_ENVIRONMENT"
        )
    own, statuses = engine.ledger.own(engine.environment), engine.planner.statuses()
    stale = _in_state(own, statuses, State.STALE)
    if stale:
        raise NotPromoted(f"{len(stale)} partitions of {engine.environment} are stale: converge it first ({stale[0]})")
    held = _in_state(own, statuses, State.HELD)
    fresh = {place: version for place, version in own.items() if f"{place[0]} {place[1]}" not in held}
    before = engine.ledger.own(PRODUCTION)
    changes = {place: before.get(place) for place, version in fresh.items() if before.get(place) != version}
    return Promotion(engine.environment, fresh, changes, tuple(held))


def promote(engine: Engine, by: str, asked: Promotion | None = None) -> Promoted:
    """Point production at what is promoted, in one transaction: at what was asked for, or at all that can be.

    Raises like `promotion`, and `NotPromoted` when production has published something else there since that was found.
    """
    found = asked or promotion(engine)
    trigger = NO_TRIGGER._replace(action="promoted", cause=f"promoted from {found.environment} by {by}")
    seen = {place: found.changes.get(place, version) for place, version in found.carried.items()}
    published = engine.ledger.promote(found.environment, found.carried, trigger, seen)
    engine.journal.try_to_export()
    return Promoted(tuple(published), found.held)


def drop(engine: Engine) -> int:
    """Let the engine's environment read through to production again everywhere; return how many partitions it gave up.

    Raises `NotPromoted` in production.
    """
    if engine.environment == PRODUCTION:
        raise NotPromoted(
            "production cannot be dropped: name the environment to drop with --environment or SPAM_PIPELINE_ENVIRONMENT"
        )
    dropped = engine.ledger.drop(engine.environment, NO_TRIGGER._replace(cause="dropped"))
    engine.journal.try_to_export()
    return dropped


def _in_state(own: Mapping[tuple[str, str], int | None], statuses: PartitionStatuses, state: State) -> list[str]:
    found = ((place, statuses.get(place[0], {}).get(place[1])) for place in own)
    return [f"{stage} {partition}" for (stage, partition), status in found if status and status.state is state]
