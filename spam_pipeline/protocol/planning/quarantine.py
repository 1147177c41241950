"""The quarantine of an environment: the partitions whose wanted version was refused by its audit.

The orchestrator and the command line report it; `execution.decision` is a way out of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.planning.partition_status import RequiredAction, Snapshot, State
from spam_pipeline.protocol.planning.staleness import StalenessReport


@dataclass(frozen=True)
class Quarantined:
    """A refused version, and a mark of the circumstances of its audit, which changes when it is refused once more."""

    recipe: str
    mark: str


Quarantine = Mapping[tuple[str, str], Quarantined]
"""Quarantined versions by stage and partition."""


def quarantine(report: StalenessReport, snapshot: Snapshot) -> Quarantine:
    """The partitions whose wanted version is refused."""
    held = [
        status
        for statuses in report.statuses.values()
        for status in statuses.values()
        if status.state is State.HELD and status.recipe
    ]
    wanted = {
        (status.stage, status.partition): status.recipe
        if status.required_action is RequiredAction.NOTHING
        else report.recipe(status).digest
        for status in held  # the status may be about a fallback that has to be audited meanwhile
    }
    return {
        place: Quarantined(recipe, digest((recipe, snapshot.audited.get(recipe))))
        for place, recipe in wanted.items()
        if recipe in snapshot.refused
    }
