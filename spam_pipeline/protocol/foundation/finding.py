"""Findings: the results of an audit, in words, numbers and, where people have to decide, evidence side by side.

A finding is a value: it is kept in the ledger, shown in the orchestrator, and compared with findings that a person accepted before.
They are made by `execution.audit`, `drift` and the contexts' contracts, and drawn by `spam_pipeline.pages`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, NamedTuple


class Severity(Enum):
    """The consequence of a finding: none, a warning, or quarantine of the version."""

    NOTE = "note"
    WARN = "warn"
    REFUSE = "refuse"


class CategoryShift(NamedTuple):
    """A value whose share of the rows moved: the share that was expected, and the one that was seen."""

    value: str
    expected: float
    seen: float


class Clue(NamedTuple):
    """One piece of evidence: what was seen of a suspect, what is usual, and which explanation that supports, if any."""

    what: str
    seen: float
    usual: float
    supports: str = ""


class Curve(NamedTuple):
    """Numbers over equal steps, to be drawn: such as the share of plays in each hour of a day."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """Material for a person's decision: clues, curves to compare, and who or what is behind it."""

    clues: tuple[Clue, ...] = ()
    curves: tuple[Curve, ...] = ()
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One result of an audit: the rule, its subject, what was expected and what was seen.

    `size` says how much it matters, in a unit of the rule's own that grows with the damage; a decision that accepted a finding
    covers a later one by the same rule about the same thing as long as it has not grown.
    """

    rule: str
    about: str
    severity: Severity
    expected: str
    seen: str
    moved: tuple[CategoryShift, ...] = ()
    size: float = 0.0
    evidence: Evidence | None = None

    def __str__(self) -> str:
        """The finding in one sentence."""
        most = ", ".join(f"{item.value} {item.expected:.1%} -> {item.seen:.1%}" for item in self.moved)
        behind = ", ".join(self.evidence.behind) if self.evidence else ""
        return f"{self.about}: expected {self.expected}, got {self.seen}" + "".join(
            [f"; moved most: {most}" if most else "", f"; behind it: {behind}" if behind else ""]
        )


ACCEPTED = "; accepted by "
"""What follows what was seen in a finding that a person accepted; then come who and why."""

_OF_NUMBERS = frozenset({"columns", "drift", "limit", "loss", "rejected", "rows", "schema"})
"""The rules whose findings have numbers and names of columns, figures and stages alone: the protocol's own."""


def finding_without_names(finding: Finding) -> str:
    """The finding in a sentence for places that everybody reads: without evidence, reasons that somebody wrote, and names in the data.

    Of a contract's own rule there is only the name: its words may have files, tracks or campaigns.

    >>> finding_without_names(Finding("limit", "rows", Severity.REFUSE, "480 to 520", "0"))
    'rows: 0, expected 480 to 520'
    >>> finding_without_names(Finding("spike", "track 17", Severity.WARN, "at most 40 plays", "812 plays"))
    'it breaks the rule spike'
    """
    if finding.rule == "decision":
        return "somebody rejected it"
    if finding.rule not in _OF_NUMBERS:
        return f"it breaks the rule {finding.rule}"
    return f"{finding.about}: {finding.seen.partition(ACCEPTED)[0]}, expected {finding.expected}"


def finding_lines(finding: Finding) -> Iterator[str]:
    """Format a finding as lines: severity and sentence, then the clues as a table."""
    yield f"{finding.severity.value}: {finding}"
    if finding.evidence and finding.evidence.clues:
        yield f"  {'evidence':<60}{'seen':>12}{'usual':>12}  speaks for"
        for clue in finding.evidence.clues:
            yield f"  {clue.what:<60.60}{clue.seen:>12,.2f}{clue.usual:>12,.2f}  {clue.supports or 'neither'}"


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Convert a finding to JSON values."""
    return {**asdict(finding), "severity": finding.severity.value}


def finding_from_json(kept: Mapping[str, Any]) -> Finding:
    """Rebuild the finding that `finding_to_json` converted."""
    evidence = kept["evidence"]
    return Finding(
        rule=kept["rule"],
        about=kept["about"],
        severity=Severity(kept["severity"]),
        expected=kept["expected"],
        seen=kept["seen"],
        moved=tuple(CategoryShift(*item) for item in kept["moved"]),
        size=kept["size"],
        evidence=None
        if evidence is None
        else Evidence(
            tuple(Clue(*clue) for clue in evidence["clues"]),
            tuple(Curve(name, tuple(values)) for name, values in evidence["curves"]),
            tuple(evidence["behind"]),
        ),
    )
