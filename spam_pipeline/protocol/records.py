"""The records of the protocol: what the ledger keeps and what the parts of the protocol hand to each other. No behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from spam_pipeline.protocol.contract import Fingerprint
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.recipe import InputRead

PRODUCTION = "production"
"""The environment that every other one reads through to."""


@dataclass(frozen=True)
class StoredFile:
    """One immutable file of the store: its path below the store's root, which ends in the digest of its bytes."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Part:
    """A named part of a version: the unit of staleness. `content` is the digest over its files, in any order."""

    name: str
    content: str
    files: tuple[StoredFile, ...]

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
    """One immutable result of one stage for one partition. `id` is 0 until the ledger has recorded it."""

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
    inputs: tuple[InputRead, ...] = field(default=(), repr=False)
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
    """What an audit says of a version."""

    PASSED = "passed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Audit:
    """The outcome of holding a version against the contract of this digest; one sentence per finding."""

    verdict: Verdict
    findings: tuple[str, ...] = ()
    contract: str = ""


class Occasion(NamedTuple):
    """On what occasion something is published: the orchestrator's run, if any, what was done for it, and why."""

    run: str | None = None
    action: str = ""
    cause: str = ""


NO_OCCASION = Occasion()
"""Nothing is told of why something is published."""


@dataclass(frozen=True)
class Publication:
    """A pointer of an environment's stage and partition to a version, at a time and on an occasion.

    Without a version it is a retraction: there is nothing to compute the partition from any more.
    """

    id: int
    environment: str
    stage: str
    partition: str
    version_id: int | None
    occasion: Occasion
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


class PublishedPart(NamedTuple):
    """What planning needs to know of a published part, without its files."""

    name: str
    content: str
    rows: int


class Published(NamedTuple):
    """What planning needs to know of a published version."""

    version_id: int
    recipe: str
    code_version: str
    content: str
    parts: tuple[PublishedPart, ...]
    side_parts: tuple[PublishedPart, ...] = ()


@dataclass(frozen=True)
class Attempts:
    """How often a recipe was tried without success; `error` is None when the last try has told of none: it runs, or died."""

    count: int
    last_at: datetime
    error: str | None


class AuditOf(NamedTuple):
    """An audit of a version, as planning needs it."""

    version_id: int
    recipe: str
    stage: str
    verdict: Verdict
    contract: str


class Position(NamedTuple):
    """How far somebody has read the ledger: the ids of the last rows."""

    observation: int = 0
    version: int = 0
    audit: int = 0
    publication: int = 0


@dataclass(frozen=True)
class Changes:
    """What was added to the ledger up to a position; `pointers` by environment, stage and partition, None where retracted."""

    observations: list[Observation]
    pointers: Mapping[str, Mapping[str, Mapping[str, Published | None]]]
    audits: list[AuditOf]
    position: Position
