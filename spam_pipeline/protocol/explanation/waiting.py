"""What waits for somebody: partitions that only a decision, a repair or a delivery brings on, and what follows until then.

Those that wait for another partition of the list are its consequence, and are named there. Nothing is decided here: `execution.decision`
takes decisions.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.explanation.causes import listed
from spam_pipeline.protocol.foundation.finding import Finding, finding_without_names
from spam_pipeline.protocol.foundation.partition import WHOLE
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, DecisionKind
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, Reason
from spam_pipeline.protocol.planning.quarantine import Quarantine
from spam_pipeline.protocol.planning.staleness import StalenessReport

_SIGNATURE = "--by WHO --reason TEXT"
_DIGITS = 16
"""Digits of a recipe that a person copies."""

_Place = tuple[str, str]
"""A stage and one of its partitions."""

_HOUR = re.compile(r"\b\d\d\b")

_FOR_AN_UPSTREAM = frozenset({Reason.INPUTS_UNPUBLISHED, Reason.NOT_SETTLED})
_FOR_FILES = frozenset({Reason.NOT_LANDED, Reason.NOT_COMPLETE})


@dataclass(frozen=True)
class Waiting:
    """A partition that waits for somebody.

    `recipe` is that of its quarantined version, `findings` refuse that, and `since` is when they first did; without one they are empty and
    None. `keeps` is the recipe that readers have now, published at `published_at`; empty and None when nothing is. `readers`
    are the stages that read the partition's stage, and `behind` the partitions that wait for this one. `hours` are those of a day that have not landed,
    if others have.
    """

    stage: str
    partition: str
    owner: str
    reason: Reason
    explanation: str
    readers: tuple[str, ...]
    recipe: str = ""
    findings: tuple[Finding, ...] = ()
    since: datetime | None = None
    keeps: str = ""
    published_at: datetime | None = None
    behind: tuple[str, ...] = ()
    environment: str = PRODUCTION
    hours: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The stage and the partition, such as `plays 2026-01-05`; the stage alone where it has no partitions."""
        return place_of(self.stage, self.partition)

    @property
    def why(self) -> str:
        """The first finding that refuses its version, without names, and how many more there are; or else what it waits for."""
        return self._first(finding_without_names)

    @property
    def why_in_full(self) -> str:
        """The same for a terminal, with what somebody wrote and whom the finding names."""
        return self._first(str)

    def _first(self, in_words: Callable[[Finding], str]) -> str:
        if not self.findings:
            return self.explanation
        rest = len(self.findings) - 1
        return in_words(self.findings[0]) + (f"; and {rest} more finding{'s' if rest > 1 else ''}" if rest else "")

    @property
    def consequence(self) -> str:
        """What follows until somebody acts: what readers have meanwhile, and which partitions wait."""
        published = f"what was published on {self.published_at:%Y-%m-%d %H:%M} UTC" if self.published_at else ""
        meanwhile = what_readers_have(self.readers, published)
        return f"{meanwhile}; {listed(self.behind)} wait for it" if self.behind else meanwhile

    @property
    def decision(self) -> tuple[DecisionKind, str] | None:
        """The decision that would end it, and the digits of the version that it is about; None where none would."""
        if self.recipe:
            return DecisionKind.ACCEPT, self.recipe[:_DIGITS]
        return (DecisionKind.REJECT, self.keeps[:_DIGITS]) if self.reason is Reason.SOURCE_REMOVED else None

    @property
    def command(self) -> str:
        """The command that ends it; empty where nothing but better data does."""
        if self.decision:
            return decide_command(*self.decision, self.environment)
        if self.reason in _FOR_FILES:
            which = f"{self.partition} --hour {self.hours[0]}" if self.hours else self.partition
            return f"spam-pipeline declare-gap {which} {_SIGNATURE}"
        return ""


def shell_command(words: str, environment: str) -> str:
    """A command about an environment, to be pasted: without its name it would be about production."""
    return f"spam-pipeline {words}" + ("" if environment == PRODUCTION else f" --environment {environment}")


def decide_command(kind: DecisionKind, recipe: str, environment: str) -> str:
    """The command that decides about a version, but for who does and why.

    >>> decide_command(DecisionKind.ACCEPT, "0123456789abcdef0123", "dev")
    'spam-pipeline decide accept 0123456789abcdef --by WHO --reason TEXT --environment dev'
    """
    return shell_command(f"decide {kind.value} {recipe[:_DIGITS]} {_SIGNATURE}", environment)


def place_of(stage: str, partition: str) -> str:
    """A partition in words: its stage and its key, such as `plays 2026-01-05`; the stage alone where it has no partitions."""
    return stage if partition == WHOLE else f"{stage} {partition}"


def what_readers_have(readers: tuple[str, ...], published: str) -> str:
    """What the readers of a partition have meanwhile: what is published of it, in words, or nothing.

    >>> what_readers_have(("numbers", "board"), "what is published")
    'numbers, board keep what is published'
    """
    who = listed(readers) or "readers"
    return f"{who} keep {published}" if published else f"{who} have nothing of it"


def waiting(
    graph: StageGraph, ledger: Ledger, environment: str, report: StalenessReport, quarantined: Quarantine
) -> tuple[Waiting, ...]:
    """What waits for somebody in an environment, in the order of the stages, by a report and the quarantine that goes with it."""
    statuses = [status for by_partition in report.statuses.values() for status in by_partition.values()]
    waits = [item for item in statuses if item.needs_somebody or _place(item) in quarantined]
    behind = _behind(waits)
    roots = [item for item in waits if _place(item) in behind]
    published_at = ledger.published_at(environment, {item.published.version_id for item in roots if item.published})
    refusals = ledger.refusals([item.recipe for item in quarantined.values()], environment)
    found = []
    for item in roots:
        refused = quarantined.get(_place(item))
        refusal = refusals.get(refused.recipe) if refused else None
        found.append(
            Waiting(
                stage=item.stage,
                partition=item.partition,
                owner=graph.stages[item.stage].owner,
                reason=Reason.REFUSED if refused else item.reason,
                explanation=Reason.REFUSED.value if refused else item.explanation,
                readers=graph.read_by[item.stage],
                recipe=refused.recipe if refused else "",
                findings=refusal.findings if refusal else (),
                since=refusal.since if refusal else None,
                keeps=item.published.recipe if item.published else "",
                published_at=published_at.get(item.published.version_id) if item.published else None,
                behind=tuple(f"{stage} {partition}" for stage, partition in behind[_place(item)]),
                environment=environment,
                hours=tuple(_HOUR.findall(" ".join(item.details))) if item.reason is Reason.NOT_COMPLETE else (),
            )
        )
    return tuple(found)


def _behind(statuses: Iterable[PartitionStatus]) -> Mapping[_Place, list[_Place]]:
    """The partitions that wait for no other one of these, each with those that wait for it, directly or not."""
    roots: dict[str, list[_Place]] = {}
    behind: dict[_Place, list[_Place]] = {}
    for status in statuses:  # in the order of the stages, so that what a partition waits for comes before it
        names = status.details if status.reason in _FOR_AN_UPSTREAM else ()
        own = list(dict.fromkeys(root for name in names for root in roots.get(name, ())))
        for root in own:
            behind[root].append(_place(status))
        if not own:
            own = [_place(status)]
            behind[_place(status)] = []
        roots[f"{status.stage} {status.partition}"] = own
    return behind


def _place(status: PartitionStatus) -> _Place:
    return status.stage, status.partition
