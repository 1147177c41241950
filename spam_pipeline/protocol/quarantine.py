"""The quarantine of an environment: which partitions want a version that its audit refused.

Who is told of it, and how, is up to the orchestrator and the command line; how one gets out of it is in `decision`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.needs import Snapshot, State, Work
from spam_pipeline.protocol.staleness import Assessment


class Quarantined(NamedTuple):
    """A refused version, and a mark of the circumstances of its audit, which changes when it is refused once more."""

    recipe: str
    mark: str


Quarantine = Mapping[tuple[str, str], Quarantined]
"""What is quarantined, by stage and partition."""


def quarantine(assessment: Assessment, snapshot: Snapshot) -> Quarantine:
    """The partitions whose wanted version is refused."""
    held = [
        need
        for needs in assessment.needs.values()
        for need in needs.values()
        if need.state is State.HELD and need.recipe
    ]
    wanted = {
        (need.stage, need.partition): need.recipe if need.work is Work.NOTHING else assessment.recipe(need).digest
        for need in held  # what is read instead may have to be audited meanwhile, and then that is what the need says
    }
    return {
        place: Quarantined(recipe, digest((recipe, snapshot.judged.get(recipe))))
        for place, recipe in wanted.items()
        if recipe in snapshot.refused
    }
