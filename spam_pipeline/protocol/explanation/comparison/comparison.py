"""Comparisons: differences between two versions of a partition, or of many partitions of a stage, and their causes.

Figures of several partitions are merged without reading data again; rows are compared partition by partition, leaving out
files that both versions have.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract
from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.explanation.causes import Cause, Provenance, differences
from spam_pipeline.protocol.explanation.comparison.figures import Figures, compared
from spam_pipeline.protocol.explanation.comparison.rows import Rows, rows_between, summed
from spam_pipeline.protocol.explanation.comparison.versions import Audited, Pair
from spam_pipeline.protocol.fingerprint import merged
from spam_pipeline.protocol.foundation.errors import Pruned
from spam_pipeline.protocol.foundation.finding import Finding
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.prunings import pruned_text
from spam_pipeline.protocol.ledger.records import Part, StoredFile, Verdict, Version
from spam_pipeline.protocol.storage.reader import Reader


@dataclass(frozen=True)
class Side:
    """One version in a comparison, with the result of its last audit."""

    recipe: str
    content: str
    code_version: str
    computed_at: datetime
    rows: int
    verdict: Verdict
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class ComparedPartition:
    """One partition on both sides; `rows` is None where they were not compared, or one side is missing."""

    partition: str
    old: Side | None
    new: Side | None
    rows: Rows | None

    @property
    def is_equal(self) -> bool:
        """Return True if both sides hold the same data."""
        return self.old is not None and self.new is not None and self.old.content == self.new.content


@dataclass(frozen=True)
class Comparison:
    """Differences in one stage: figures, rows and causes are those of all partitions that both sides have, together.

    `columns` says which were added, removed or changed their type.
    """

    stage: str
    partitions: tuple[ComparedPartition, ...]
    figures: Figures
    rows: Rows | None
    columns: tuple[str, ...]
    causes: tuple[Cause, ...]

    @property
    def differs(self) -> bool:
        """Return True if any partition holds other data on the two sides, or is on one side alone."""
        return not all(item.is_equal for item in self.partitions)


def compare(
    ledger: Ledger, reader: Reader, stage: AnyStage, pairs: Sequence[Pair], *, with_rows: bool = True
) -> Comparison:
    """Compare the old and the new versions of some partitions of a stage.

    Rows are read, which takes time, unless `with_rows` is false or the stage's result is no frame. Raises `Pruned` for a version
    of which there is nothing left to compare.
    """
    both = [(pair.old[0], pair.new[0]) for pair in pairs if pair.old and pair.new]
    _require_unpruned(ledger, both)
    rows: dict[str, Rows] = {}
    if with_rows and not isinstance(stage.contract, ArtifactContract):
        rows = {new.partition: _rows(reader, stage.contract, old, new) for old, new in both}
    return Comparison(
        stage.name,
        tuple(
            ComparedPartition(pair.partition, _side(pair.old), _side(pair.new), rows.get(pair.partition))
            for pair in pairs
        ),
        compared(merged(old.fingerprint for old, _ in both), merged(new.fingerprint for _, new in both)),
        summed(rows.values()) if rows else None,
        tuple(dict.fromkeys(line for old, new in both for line in _columns(old.columns, new.columns))),
        tuple(_causes(ledger, both)),
    )


def _side(audited: Audited | None) -> Side | None:
    if audited is None:
        return None
    version, audit = audited
    return Side(
        version.recipe,
        version.content,
        version.code_version,
        version.computed_at,
        version.rows,
        audit.verdict,
        audit.findings,
    )


def _require_unpruned(ledger: Ledger, both: Sequence[tuple[Version, Version]]) -> None:
    versions = {version.id: version for pair in both for version in pair}
    for version_id, when in ledger.prunings.of(versions).items():
        version = versions[version_id]
        raise Pruned(
            f"{version.stage} {version.partition}: {pruned_text(version.recipe, when)}; there is nothing left to compare"
        )


def _rows(reader: Reader, contract: type[Contract], old: Version, new: Version) -> Rows:
    """Compare the rows of two versions. Files that both have are not read: their rows are unchanged."""
    before, now = _files(old), _files(new)
    shared = before & now
    unchanged = Rows(unchanged=sum(file.rows * count for file, count in shared.items()))
    if before == now:
        return unchanged
    old_frame, new_frame = (
        reader.scan([Part("", "", tuple((side - shared).elements()))], contract) for side in (before, now)
    )
    return summed([unchanged, rows_between(old_frame, new_frame, contract.primary_key())])


def _files(version: Version) -> Counter[StoredFile]:
    return Counter(file for part in version.parts for file in part.files)


def _columns(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if name not in old:
            yield f"{name} (added)"
        elif name not in new:
            yield f"{name} (removed)"
        elif old[name] != new[name]:
            yield f"{name}: {old[name]} -> {new[name]}"


def _causes(ledger: Ledger, both: Sequence[tuple[Version, Version]]) -> list[Cause]:
    """All differences in the provenance of the versions, each kind of cause once."""
    codes = ledger.attempts.code({version.code_version for pair in both for version in pair})
    provenance = {
        version.id: Provenance(codes.get(version.code_version), version.configuration, version.inputs)
        for pair in both
        for version in pair
    }
    found: dict[str, list[Cause]] = {}
    for old, new in both:
        for cause in differences(
            provenance[old.id], provenance[new.id], is_same_code=old.code_version == new.code_version
        ):
            found.setdefault(cause.kind.value, []).append(cause)
    return [_together(several) for several in found.values()]


def _together(causes: Sequence[Cause]) -> Cause:
    names = dict.fromkeys(name for cause in causes for name in cause.names)
    sources = dict.fromkeys(source for cause in causes for source in cause.sources)
    return Cause(causes[0].kind, tuple(names), tuple(sources))
