"""Records of the protocol: the values that the ledger keeps and that the wings exchange. No behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from spam_pipeline.protocol.fingerprint import Fingerprint
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.finding import Finding, Severity
from spam_pipeline.protocol.ledger.column_contents import ColumnContents
from spam_pipeline.protocol.ledger.recipe import InputRef

PRODUCTION = "production"
"""The environment that every other one reads through to."""

DROPPED = "dropped"
"""The action of a publication by which an environment gives its own pointer up and reads through to production again."""


@dataclass(frozen=True)
class StoredFile:
    """One immutable file of the store: its path below the store's root, which ends in the digest of its bytes."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Part:
    """A named part of a version: the unit of staleness. `content` is the digest over its files, in any order.

    `columns` are its contents by column, where those are known.
    """

    name: str
    content: str
    files: tuple[StoredFile, ...]
    columns: ColumnContents | None = None

    @classmethod
    def of(cls, name: str, files: tuple[StoredFile, ...]) -> "Part":
        """The part that these files make up; the same file twice counts twice."""
        return cls(name, digest(sorted(file.path.rsplit("/", 1)[-1] for file in files)), files)

    @property
    def rows(self) -> int:
        """Rows over all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes over all files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Version:
    """One immutable result of one stage for one partition. `id` is 0 until the ledger has recorded it.

    `fingerprint` is the one measured last; `schema_version` is that of the contract it was computed under.
    """

    recipe: str
    context: str
    stage: str
    partition: str
    code_version: str
    content: str
    parts: tuple[Part, ...]
    side_parts: tuple[Part, ...]
    fingerprint: Fingerprint
    columns: Mapping[str, str]
    rows_read: int
    seconds: float
    computed_at: datetime
    configuration: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputRef, ...] = field(default=(), repr=False)
    schema_version: int = 1
    id: int = 0

    @property
    def rows(self) -> int:
        """Rows over all parts; side parts count apart."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes of all files, side parts included."""
        return sum(part.bytes for part in (*self.parts, *self.side_parts))


class Verdict(Enum):
    """The outcome of an audit."""

    PASSED = "passed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Audit:
    """The result of auditing a version by the contract of this digest, and the basis of the audit.

    `history` is the digest of the history that the version was compared with; a provisional audit was made while the
    partition could still receive data; `decision` is the id of the last decision taken into account, 0 for none.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    contract: str = ""
    history: str = ""
    is_provisional: bool = False
    decision: int = 0

    @property
    def refusing(self) -> tuple[Finding, ...]:
        """The findings that the version is quarantined for."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.REFUSE)


class Refusal(NamedTuple):
    """The findings that a version is quarantined for, and when it was first refused since it last passed."""

    findings: tuple[Finding, ...]
    since: datetime


class DecisionKind(Enum):
    """The kind of a decision about a version."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True)
class Decision:
    """A person's decision about a version, for one environment and, if that is production, for those that read through to it.

    Accepting covers `findings`, and whatever has the same `content`. `id` is 0 until the ledger has recorded it.
    """

    environment: str
    version_id: int
    stage: str
    partition: str
    content: str
    kind: DecisionKind
    by: str
    reason: str
    findings: tuple[Finding, ...]
    decided_at: datetime
    id: int = 0


class Trigger(NamedTuple):
    """The trigger of a publication: the orchestrator's run, if any, what was done in it, and why."""

    run: str | None = None
    action: str = ""
    cause: str = ""


NO_TRIGGER = Trigger()
"""The trigger of a publication without a recorded reason."""


@dataclass(frozen=True)
class Publication:
    """A pointer of an environment's stage and partition to a version, with its time and trigger.

    Without a version it is a retraction: there is nothing to compute the partition from any more. If its action is `DROPPED`,
    the environment reads through to production again.
    """

    id: int
    environment: str
    stage: str
    partition: str
    version_id: int | None
    trigger: Trigger
    published_at: datetime


@dataclass(frozen=True)
class Observation:
    """A file as it was seen in the landing zone; `digest` is None when it had gone. `marker` changes when it is replaced."""

    source: str
    partition: str
    path: str
    digest: str | None
    size: int
    marker: str
    observed_at: datetime
    id: int = 0


class SeenFile(NamedTuple):
    """A file that is there by its last observation, with as much of it as planning needs."""

    source: str
    partition: str
    path: str
    digest: str


class KnownState(NamedTuple):
    """The state of a file by its last observation, with as much of it as observing compares."""

    source: str
    partition: str
    size: int
    marker: str


class PartSummary(NamedTuple):
    """A published part as planning needs it, without its files."""

    name: str
    content: str
    rows: int
    columns: ColumnContents | None = None


class VersionSummary(NamedTuple):
    """A published version as planning needs it."""

    version_id: int
    recipe: str
    code_version: str
    content: str
    parts: tuple[PartSummary, ...]
    side_parts: tuple[PartSummary, ...] = ()

    def columns_of(self, part: str) -> ColumnContents | None:
        """The contents by column of one of its parts; None where they are not known."""
        return next((item.columns for item in self.parts if item.name == part), None)


@dataclass(frozen=True)
class Attempts:
    """The unsuccessful tries of a recipe; `error` is None when the last one reported none: it still runs, or its process died."""

    count: int
    last_at: datetime
    error: str | None


class EnvironmentSummary(NamedTuple):
    """What an environment publishes itself: partitions, those that differ from production's, and since when, first and last."""

    name: str
    partitions: int
    differing: int
    since: datetime | None
    last: datetime | None


class AuditSummary(NamedTuple):
    """An audit of a version, as planning needs it."""

    version_id: int
    recipe: str
    stage: str
    verdict: Verdict
    contract: str
    history: str = ""
    is_provisional: bool = False
    decision: int = 0


class AuditBasis(NamedTuple):
    """The basis of a version's last audit, which is done again when the basis changes; see `Audit`."""

    history: str
    is_provisional: bool
    decision: int


class DecisionSummary(NamedTuple):
    """A decision about a version, as planning needs it."""

    environment: str
    stage: str
    partition: str
    id: int
    version_id: int
    kind: DecisionKind


class Position(NamedTuple):
    """A position in the ledger: the ids of the last rows that were read."""

    observation: int = 0
    version: int = 0
    audit: int = 0
    publication: int = 0
    decision: int = 0
    pruning: int = 0


@dataclass(frozen=True)
class Changes:
    """The rows added to the ledger up to a position.

    `pointers` are by environment, stage and partition, None where retracted; `dropped` has the environment, stage and partition of
    those that were given up. `pruned` are the recipes of versions that were pruned since an earlier position, with their stages.
    """

    pointers: Mapping[str, Mapping[str, Mapping[str, VersionSummary | None]]]
    dropped: list[tuple[str, str, str]]
    audits: list[AuditSummary]
    decisions: list[DecisionSummary]
    pruned: Mapping[str, str]
    position: Position
