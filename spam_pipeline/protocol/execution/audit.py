"""Audits: findings about a version by its contract, its stage's recent accepted history, and people's decisions.

Everything but `findings_on_data` is a pure function of a fingerprint and an audit context, so that a version is audited again
without reading its data when the context changes. `drift` decides what is significant, `publishing` what follows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import polars as pl
import scipy  # type: ignore[import-untyped]  # it ships no types, and loads scipy.special when that is used

from spam_pipeline.protocol.definition.contract import (
    REJECTED_PART,
    AnyContract,
    ArtifactContract,
    Contract,
    column_types,
)
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.drift import HistoricFingerprint, drift, losses
from spam_pipeline.protocol.fingerprint import Frame, engine_for, numbers
from spam_pipeline.protocol.foundation.finding import ACCEPTED, Finding, Severity
from spam_pipeline.protocol.foundation.limit import breaches
from spam_pipeline.protocol.foundation.slices import SLICE_ROWS, rows_in, slices_of
from spam_pipeline.protocol.ledger.records import Decision, DecisionKind, Verdict, Version

ON_DATA = frozenset({"columns", "rows"})
"""Rules that read the data; their findings stay true as long as the contract stays the same."""

_MAY_BE_CHANCE = 0.01
"""A rejected share above the tolerated one counts when the chance of as many is below this."""

_GROWN = 1.1
"""An accepted finding covers the same one in later versions until it is this much larger, so that late plays do not ask again."""


class Schema(NamedTuple):
    """The columns of a version by name, and the number of the schema that they belong to."""

    number: int
    columns: Mapping[str, str]


@dataclass(frozen=True)
class AuditContext:
    """The context of an audit: the fingerprints of the stage's recent accepted history, and what else is known.

    `is_judged_for_losses` says that a version with less than the published one is the work of landed files or of other code. Where
    neither is new, its inputs have less, and were judged for that.

    `is_open` says that the landing zone has not moved past the partition, so that it may be incomplete. `decisions` are those
    about the partition, oldest first. `published` is the schema that readers have now; `readers` has each one's columns.
    """

    history: tuple[HistoricFingerprint, ...] = ()
    is_open: bool = False
    is_judged_for_losses: bool = False
    decisions: tuple[Decision, ...] = ()
    published: Schema | None = None
    readers: Mapping[str, Reads] | None = None


def findings_on_data(contract: type[Contract], frame: Frame, name: str, slice_rows: int = SLICE_ROWS) -> list[Finding]:
    """Findings about a frame by the columns, keys and rules of its contract; `name` is that of its part."""
    expected, seen = column_types(contract), dict(frame.collect_schema())
    found = [
        _broken("columns", f"{name}: column {column}", expected.get(column), seen.get(column))
        for column in sorted(expected.keys() | seen.keys())
        if expected.get(column) != seen.get(column)
    ]
    if not found and list(expected) != list(seen):
        found = [_broken("columns", f"{name}: order of columns", ", ".join(expected), ", ".join(seen))]
    slices = [] if found else _slices(contract, frame, slice_rows)
    counts: Counter[str] = Counter()
    for rows in slices:
        if not contract.is_valid(rows, engine=engine_for(rows)):
            counts.update(contract.filter(rows.lazy().collect()).failure.counts())
    return found or [
        Finding(
            "rows", f"{name}: {rule}", Severity.REFUSE, "every row to keep it", f"{rows} rows that do not", size=rows
        )
        for rule, rows in sorted(counts.items())
    ]


def findings_on_parts(contract: type[Contract], whole: pl.DataFrame, parts: Sequence[tuple[str, int]]) -> list[Finding]:
    """Findings about parts that follow each other in a frame, given by name and rows, as `findings_on_data` has them of each.

    Where the whole keeps columns, key and rules, so does each part, unless the contract's own rules compare rows: then one look is enough.
    A version of the accounts has 119 parts, which took 0.6 ms each.
    """
    if len(parts) > 1 and not _has_own_rules(contract) and not findings_on_data(contract, whole, ""):
        return []
    found, start = list[Finding](), 0
    for name, rows in parts:
        found += findings_on_data(contract, whole.slice(start, rows), name)
        start += rows
    return found


def _has_own_rules(contract: type[Contract]) -> bool:
    return bool(contract._schema_validation_rules())  # noqa: SLF001 - dataframely shows its rules nowhere else


def _slices(contract: type[Contract], frame: Frame, slice_rows: int) -> Sequence[Frame]:
    """Divide a frame into slices that keep the contract if, and only if, the whole does.

    Rows of one key are together, because a key that comes twice breaks it: 5 million plays as a whole took 1.5 GB. A rule of the
    contract's own may compare any rows, as of a pool and its lines, so such a frame stays whole.
    """
    key = contract.primary_key()
    slices = slices_of(_rows_in(frame), slice_rows) if key and not _has_own_rules(contract) else 1
    if slices == 1:
        return [frame]
    number = pl.struct(key).hash() % slices
    return [frame.filter(number == at) for at in range(slices)]


def _rows_in(frame: Frame) -> int:
    return frame.height if isinstance(frame, pl.DataFrame) else rows_in(frame)


def evaluate(contract: AnyContract, version: Version, on_data: Iterable[Finding], known: AuditContext) -> list[Finding]:
    """All findings about a version: those on its data, and those that its fingerprint and the context add."""
    found = [*on_data, *_by_fingerprint(contract, version, known)]
    return [*_accepted(found, version, known.decisions), *_rejections(version, known.decisions)]


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The verdict on a version with these findings."""
    is_refused = any(finding.severity is Severity.REFUSE for finding in findings)
    return Verdict.REFUSED if is_refused else Verdict.PASSED


def _by_fingerprint(contract: AnyContract, version: Version, known: AuditContext) -> Iterator[Finding]:
    if isinstance(contract, ArtifactContract):
        yield from breaches(contract.limits, numbers(version.fingerprint))
        yield from contract.findings(version.fingerprint, known.history)
        return
    yield from _rejected(contract, version)
    yield from _schema(version, known)
    yield from breaches(contract.limits(), numbers(version.fingerprint))
    if _is_excused(contract, version):
        return
    yield from drift(
        contract.fingerprint(), version.partition, version.fingerprint, known.history, is_open=known.is_open
    )
    if known.is_judged_for_losses:
        yield from losses(contract.fingerprint(), version.partition, version.fingerprint, known.history)
    yield from contract.findings(version.fingerprint, known.history)


def _rejected(contract: type[Contract], version: Version) -> Iterator[Finding]:
    """More rejected records than tolerated, by more than chance: an exact binomial test. Everything rejected is no chance."""
    tolerated = contract.tolerated_rejected_share
    rejected = _rows_of(version, REJECTED_PART)
    records = rejected + version.rows
    if tolerated is None or not rejected:
        return
    if version.rows and float(scipy.special.bdtrc(rejected - 1, records, tolerated)) >= _MAY_BE_CHANCE:
        return
    share = rejected / records
    seen = f"{share:.2%} ({rejected:,} of {records:,})"
    yield Finding("rejected", "rejected records", Severity.REFUSE, f"at most {tolerated:.2%}", seen, size=share)


def _is_excused(contract: type[Contract], version: Version) -> bool:
    return contract.excusing_part is not None and not version.rows and _rows_of(version, contract.excusing_part) > 0


def _rows_of(version: Version, side_part: str) -> int:
    return sum(part.rows for part in version.side_parts if part.name == side_part)


def _schema(version: Version, known: AuditContext) -> Iterator[Finding]:
    """Columns that readers have now and that are gone or changed, though the number of the schema is the same."""
    before = known.published
    if before is None or before.number != version.schema_version:
        return
    for column, dtype in before.columns.items():
        if version.columns.get(column) != dtype:
            breaks = sorted(
                name for name, reads in (known.readers or {}).items() if not reads.columns or column in reads.columns
            )
            seen = f"{version.columns.get(column, 'no such column')}, which breaks {', '.join(breaks) or 'nobody here'}"
            way_out = "raise schema_version and keep the earlier schema readable"
            expected = f"{dtype} as long as the schema is {before.number} ({way_out})"
            yield Finding("schema", f"column {column}", Severity.REFUSE, expected, seen, size=1 + len(breaks))


def _accepted(found: Iterable[Finding], version: Version, decisions: Iterable[Decision]) -> Iterator[Finding]:
    """The findings, those turned into notes that a person accepted in this version or an earlier one of the partition."""
    standing = {decision.content: decision for decision in decisions}
    acceptances = [decision for decision in standing.values() if decision.kind is DecisionKind.ACCEPT]
    for finding in found:
        by = next((item for item in acceptances if _covers(item, version, finding)), None)
        if by is None or finding.severity is not Severity.REFUSE:
            yield finding
        else:
            seen = f"{finding.seen}{ACCEPTED}{by.by}: {by.reason}"
            yield replace(finding, severity=Severity.NOTE, seen=seen)


def _covers(decision: Decision, version: Version, finding: Finding) -> bool:
    return any(
        (known.rule, known.about) == (finding.rule, finding.about)
        and (decision.content == version.content or finding.size <= known.size * _GROWN)
        for known in decision.findings
    )


def _rejections(version: Version, decisions: Iterable[Decision]) -> Iterator[Finding]:
    standing = {decision.content: decision for decision in decisions}.get(version.content)
    if standing and standing.kind is DecisionKind.REJECT:
        seen = f"one that {standing.by} rejected: {standing.reason}"
        yield Finding("decision", "version", Severity.REFUSE, "a version that nobody rejected", seen, size=1)


def _broken(rule: str, about: str, expected: object, seen: object) -> Finding:
    nothing = "no such column"
    return Finding(rule, about, Severity.REFUSE, str(expected or nothing), str(seen or nothing), size=1)
