"""Needs: what staleness is a function of, a snapshot of the ledger, and what it answers. Records without decisions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from spam_pipeline.protocol.limit import Numbers
from spam_pipeline.protocol.records import Judged, Observation, Published


class State(Enum):
    """How a partition stands."""

    FRESH = "fresh"
    STALE = "stale"
    HELD = "held"
    MISSING = "missing"


class Work(Enum):
    """What a partition that is not fresh waits for."""

    NOTHING = "nothing"
    MAKE = "make"
    """The wanted version: computed, or taken from the ledger if it is there."""
    AUDIT = "audit"
    """An audit: by a contract that has not judged the version yet, or because of what else has changed since it did."""
    DELIVER = "deliver"
    """A delivery: its target holds something else."""
    RETRACT = "retract"
    """A retraction: there is nothing to compute it from any more."""


@dataclass(frozen=True)
class Snapshot:
    """The state of the ledger that staleness is a function of.

    `refused` has the recipes whose version is quarantined, `overdue` those whose version the contract of now has not judged
    yet, `delivered` the recipe that each target holds. `judged` has the circumstances of audits that refused a version, were
    provisional or took a decision into account; `decisions` the last one about a partition, and `numbers` those of fingerprints,
    by version, of stages that somebody has an expectation of. The marks of stages, and of what has landed, differ from an earlier
    snapshot's when anything else about them does.
    """

    landed: Mapping[str, Mapping[str, tuple[Observation, ...]]]
    published: Mapping[str, Mapping[str, Published]]
    refused: frozenset[str] = frozenset()
    overdue: frozenset[str] = frozenset()
    delivered: Mapping[str, str | None] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    decisions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    numbers: Mapping[int, Numbers] = field(default_factory=dict)
    marks: Mapping[str, int] = field(default_factory=dict)
    landed_mark: int = 0


class Need(NamedTuple):
    """One partition: its state, why, and what is to be done; `recipe` is empty while an input has yet to be published."""

    stage: str
    partition: str
    state: State
    work: Work
    reason: str
    recipe: str
    published: Published | None

    @property
    def can_run(self) -> bool:
        """Whether something is to be done, and everything for it is there."""
        return self.work is not Work.NOTHING


RULES, DECISION, COMPLETE, HISTORY = (
    "its rules",
    "a decision",
    "its partition is complete",
    "the history it is judged against",
)
"""Why a version is audited again."""

DELIVERY = "its target holds something else"
"""Why a version is delivered again."""

NOT_REMARKABLE = Judged("", is_provisional=False, decision=0)
"""The circumstances of an audit that passed, was not provisional, and took no decision into account."""

Needs = Mapping[str, Mapping[str, Need]]
"""Needs by stage and partition."""


def landed_by_source(observed: Iterable[Observation]) -> dict[str, dict[str, tuple[Observation, ...]]]:
    """Files that are there now, by source and partition, each group ordered by path."""
    grouped: dict[str, dict[str, list[Observation]]] = defaultdict(lambda: defaultdict(list))
    for item in sorted(observed, key=lambda item: item.path):
        if item.digest is not None:
            grouped[item.source][item.partition].append(item)
    return {source: {key: tuple(files) for key, files in by_key.items()} for source, by_key in grouped.items()}
