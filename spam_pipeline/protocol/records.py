"""The records of the protocol: what the ledger keeps and what the parts of the protocol hand to each other. No behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property

from spam_pipeline.protocol.contract import Fingerprint
from spam_pipeline.protocol.digest import digest


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
class InputRead:
    """One thing that a version was computed from: a part of an upstream version, or a landed file.

    `record` is the ledger's id of that version, or of the observation of that file; it is not part of the recipe.
    """

    parameter: str
    upstream: str
    partition: str
    part: str
    content: str
    record: int
    is_file: bool = False


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a result, known before computing it."""

    stage: str
    partition: str
    code_version: str
    configuration: str
    inputs: tuple[InputRead, ...]

    @cached_property
    def digest(self) -> str:
        """The name of the version that this recipe leads to."""
        read = [(item.parameter, item.upstream, item.partition, item.part, item.content) for item in self.inputs]
        return digest((self.stage, self.partition, self.code_version, self.configuration, read))


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
    """The outcome of holding a version against its contract; one sentence per finding."""

    verdict: Verdict
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publication:
    """A pointer of an environment's stage and partition to a version, at a time. `run` is the orchestrator's, if any."""

    id: int
    environment: str
    stage: str
    partition: str
    version_id: int
    run: str | None
    published_at: datetime


@dataclass(frozen=True)
class Observation:
    """A file as it was seen in the landing zone; `digest` is None when it had gone."""

    source: str
    partition: str
    path: str
    digest: str | None
    size: int
    modified: int
    observed_at: datetime
    id: int = 0


@dataclass(frozen=True)
class PublishedPart:
    """What planning needs to know of a published part, without its files."""

    name: str
    content: str
    rows: int


@dataclass(frozen=True)
class Published:
    """What planning needs to know of a published version."""

    version_id: int
    recipe: str
    code_version: str
    content: str
    parts: tuple[PublishedPart, ...]
    side_parts: tuple[PublishedPart, ...]
