"""Statuses of partitions, and the snapshot of the ledger that they follow from. Records without decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from spam_pipeline.protocol.foundation.limit import Numbers
from spam_pipeline.protocol.ledger.records import AuditBasis, VersionSummary
from spam_pipeline.protocol.planning.landed import FilesOf, LandedBySource


class State(Enum):
    """The state of a partition."""

    FRESH = "fresh"
    STALE = "stale"
    HELD = "held"
    MISSING = "missing"


class RequiredAction(Enum):
    """The action that a partition requires."""

    NOTHING = "nothing"
    MAKE = "make"
    """Compute the wanted version, or take it from the ledger if it is there."""
    AUDIT = "audit"
    """Audit the version: its present contract has not, or the basis of its last audit has changed."""
    DELIVER = "deliver"
    """Deliver the published version: its target holds another one."""
    RETRACT = "retract"
    """Retract the published version: there is nothing to compute the partition from any more."""


class Reason(Enum):
    """The reason for a partition's state; the value is the text that people read, followed by details if there are any."""

    UP_TO_DATE = ""
    NOT_PUBLISHED = "the wanted version is not published"
    DAY_SETTLED = "its day is settled"
    INPUTS_UNPUBLISHED = "waits for"
    EXPECTATIONS_UNMET = "waits for better:"
    REFUSED = "its version was refused"
    RULES_CHANGED = "its rules"
    DECIDED = "a decision"
    PARTITION_COMPLETE = "its partition is complete"
    HISTORY_CHANGED = "the history it is audited against"
    TARGET_DIFFERS = "its target holds something else"
    NOT_LANDED = "nothing has landed for it"
    NOT_COMPLETE = "is read as it is, but lacks"
    NOT_SETTLED = "its day is not settled: it lacks"
    SOURCE_REMOVED = "what it was made from is gone: restore it, or reject the version to take it back"
    UNWANTED = "there is nothing to compute it from any more"


@dataclass(frozen=True)
class Snapshot:
    """The state of the ledger that staleness is a function of.

    `refused` has the recipes whose version is quarantined, `overdue` those whose version the present contract has not audited
    yet, `delivered` the recipe that each target of this process holds. `audited` has the basis of audits that refused a version, were
    provisional or took a decision into account; `decisions` the last one about a partition; `numbers` those of fingerprints,
    by version, where a consumer has expectations. `rejected` are the versions that the last decision about their partition
    rejected. The marks of stages, and of what has landed, differ from an earlier
    snapshot's when anything else about them does. `files` reads the files of a partition that has landed.
    """

    landed: LandedBySource
    published: Mapping[str, Mapping[str, VersionSummary]]
    refused: frozenset[str] = frozenset()
    overdue: frozenset[str] = frozenset()
    delivered: Mapping[str, str | None] = field(default_factory=dict)
    audited: Mapping[str, AuditBasis] = field(default_factory=dict)
    decisions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rejected: frozenset[int] = frozenset()
    numbers: Mapping[int, Numbers] = field(default_factory=dict)
    marks: Mapping[str, int] = field(default_factory=dict)
    landed_mark: int = 0
    files: FilesOf = field(default=lambda _source, _partition: (), compare=False)


class PartitionStatus(NamedTuple):
    """One partition: its state, the reason, and the required action; `recipe` is empty while an input has yet to be published."""

    stage: str
    partition: str
    state: State
    required_action: RequiredAction
    reason: Reason
    recipe: str
    published: VersionSummary | None
    details: tuple[str, ...] = ()

    @property
    def can_run(self) -> bool:
        """Return True if an action is required and everything for it is there."""
        return self.required_action is not RequiredAction.NOTHING

    @property
    def needs_somebody(self) -> bool:
        """Return True if nothing that the pipeline could do brings the partition on: somebody has to decide, repair or land."""
        return self.state is State.HELD or self.reason in {Reason.NOT_LANDED, Reason.NOT_SETTLED}

    @property
    def explanation(self) -> str:
        """The reason in words, such as `waits for plays 2026-01-05`."""
        separator = "; " if self.reason is Reason.EXPECTATIONS_UNMET else ", "
        return f"{self.reason.value} {separator.join(self.details)}".strip()

    def __str__(self) -> str:
        """The partition and the reason, such as `plays 2026-01-05: its version was refused`."""
        return f"{self.stage} {self.partition}: {self.explanation}"


NOT_REMARKABLE = AuditBasis("", is_provisional=False, decision=0)
"""The basis of an audit that passed, was not provisional, and took no decision into account."""

PartitionStatuses = Mapping[str, Mapping[str, PartitionStatus]]
"""Statuses by stage and partition."""
