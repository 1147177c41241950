"""Environments of one's own: carrying what is published in one over to production, and giving one up.

Both move pointers and compute nothing: the versions are in the ledger already. What production publishes next follows from the
code that runs there, so a change is promoted together with its deployment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.errors import PipelineError
from spam_pipeline.protocol.needs import Needs, State
from spam_pipeline.protocol.records import NO_OCCASION, PRODUCTION, Publication
from spam_pipeline.protocol.runner import Runner


class NotPromoted(PipelineError):
    """Nothing was promoted or dropped: the environment is production itself, or has not converged."""


@dataclass(frozen=True)
class Promoted:
    """What production now reads, and the partitions that the environment keeps to itself because they are held there."""

    publications: tuple[Publication, ...]
    held: tuple[str, ...]


def promote(runner: Runner, by: str) -> Promoted:
    """Point production at everything that the runner's environment publishes apart and that is fresh: in one transaction.

    Raises `NotPromoted` in production, and while something that the environment publishes itself is stale.
    """
    if runner.environment == PRODUCTION:
        raise NotPromoted(
            "production is what others are promoted to: set SPAM_PIPELINE_ENVIRONMENT to the one to promote"
        )
    own, needs = runner.ledger.own(runner.environment), runner.needs()
    stale = _in_state(own, needs, State.STALE)
    if stale:
        raise NotPromoted(f"{len(stale)} partitions of {runner.environment} are stale: converge it first ({stale[0]})")
    held = _in_state(own, needs, State.HELD)
    fresh = {place: version for place, version in own.items() if f"{place[0]} {place[1]}" not in held}
    occasion = NO_OCCASION._replace(action="promoted", cause=f"promoted from {runner.environment} by {by}")
    return Promoted(tuple(runner.ledger.promote(runner.environment, fresh, occasion)), tuple(held))


def drop(runner: Runner) -> int:
    """Let the runner's environment read through to production again everywhere; return how many partitions it gave up.

    Raises `NotPromoted` in production.
    """
    if runner.environment == PRODUCTION:
        raise NotPromoted("production cannot be dropped: set SPAM_PIPELINE_ENVIRONMENT to the environment to drop")
    return runner.ledger.drop(runner.environment, NO_OCCASION._replace(cause="dropped"))


def _in_state(own: Mapping[tuple[str, str], int | None], needs: Needs, state: State) -> list[str]:
    found = ((place, needs.get(place[0], {}).get(place[1])) for place in own)
    return [f"{stage} {partition}" for (stage, partition), need in found if need and need.state is state]
