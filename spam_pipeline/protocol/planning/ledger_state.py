"""The ledger's state as staleness needs it, kept up to date by reading only the rows added since the last time.

Rows are only added, in the order of their ids, because writers never overlap: a reader that has reached an id has read
everything before it. So an idle look at ten years of partitions takes 1.4 ms. `staleness` decides what follows.
"""

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Lock

from spam_pipeline.protocol.definition.stage import Source
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import (
    PRODUCTION,
    AuditBasis,
    AuditSummary,
    Changes,
    DecisionKind,
    Position,
    Verdict,
    VersionSummary,
)
from spam_pipeline.protocol.planning.landed import LandedState
from spam_pipeline.protocol.planning.partition_status import Snapshot
from spam_pipeline.protocol.storage.observation import Known


@contextmanager
def _keeping_everything() -> Iterator[None]:
    """Read without garbage collection, which takes half of the time to find none among hundreds of thousands of records."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


class LedgerState:
    """The state of one environment of a ledger, which audits by `contracts`. Several threads may use it at once.

    Numbers of fingerprints are read for the `expected` stages alone, which some consumer has expectations of.
    """

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        contracts: Collection[str],
        expected: Collection[str] = (),
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        self._ledger = ledger
        self._environments = tuple(dict.fromkeys((PRODUCTION, environment)))
        self._contracts = frozenset(contracts)
        self._expected = frozenset(expected)
        self._position = Position()
        self._landed = LandedState(ledger.observations, sources or {})
        self._pointers: dict[tuple[str, str], dict[str, VersionSummary | None]] = {}
        self._published: dict[str, dict[str, VersionSummary]] = {}
        self._refused: set[str] = set()
        self._overdue: set[str] = set()
        self._audited: dict[str, AuditBasis] = {}
        self._pruned: set[str] = set()
        self._decisions: dict[tuple[str, str], int] = {}
        self._known_decisions = {0}
        self._rejected: dict[tuple[str, str], int] = {}
        self._numbers: dict[int, Mapping[str, float]] = {}
        self._lacks_numbers = False
        self._marks: dict[str, int] = {}
        self._refreshes = 0
        self._lock = Lock()

    def known(self) -> Known:
        """The files that are known to be there, as observing needs them."""
        with self._lock:
            self._refresh()
            return self._landed.known()

    def snapshot(self, delivered: Mapping[str, str | None]) -> Snapshot:
        """The state at this moment; the caller knows what the targets hold."""
        with self._lock:
            self._refresh()
            return Snapshot(
                landed=self._landed.by_source,
                published=dict(self._published),
                refused=frozenset(self._refused),
                overdue=frozenset(self._overdue),
                audited=dict(self._audited),
                decisions=dict(self._decisions),
                rejected=frozenset(self._rejected.values()),
                numbers=self._numbers,
                delivered=delivered,
                marks=dict(self._marks),
                landed_mark=self._position.observation,
                files=self._landed.reader(),
            )

    def _refresh(self) -> None:
        before = self._position
        with _keeping_everything() if before == Position() else nullcontext():
            changes = self._ledger.changes(self._environments, before, self._contracts)
        self._position = changes.position
        self._refreshes += 1
        self._landed.refresh(changes.position.observation)
        self._take_pointers(changes)
        if not before.audit:  # the first look, or another one at what was empty: it is complete
            self._overdue.clear()
            self._refused.clear()
            self._audited.clear()
        self._take_decisions(changes)
        self._take_audits(changes, before.version)
        self._take_prunings(changes.pruned)
        self._take_numbers(changes)

    def _take_pointers(self, changes: Changes) -> None:
        for environment, by_stage in changes.pointers.items():
            for stage, pointers in by_stage.items():
                self._pointers.setdefault((environment, stage), {}).update(pointers)
        for environment, stage, partition in changes.dropped:
            self._pointers.setdefault((environment, stage), {}).pop(partition, None)
        moved = {stage for by_stage in changes.pointers.values() for stage in by_stage}
        for stage in moved | {stage for _, stage, _ in changes.dropped}:
            self._marks[stage] = self._refreshes
            merged: dict[str, VersionSummary | None] = {}
            for environment in self._environments:
                merged |= self._pointers.get((environment, stage), {})
            self._published[stage] = {key: version for key, version in merged.items() if version is not None}
            self._lacks_numbers |= stage in self._expected

    def _take_audits(self, changes: Changes, last_known: int) -> None:
        """Note audits. One by a contract or decision of others shows only that there is a version, which we have yet to audit."""
        audited: set[str] = set()
        for audit in changes.audits:
            self._marks[audit.stage] = self._refreshes
            if audit.contract in self._contracts and audit.decision in self._known_decisions:
                audited.add(audit.recipe)
                self._overdue.discard(audit.recipe)
                self._take_audited(audit)
            elif (audit.version_id > last_known or audit.recipe in self._pruned) and audit.recipe not in audited:
                self._overdue.add(audit.recipe)
        self._pruned -= {audit.recipe for audit in changes.audits}

    def _take_audited(self, audit: AuditSummary) -> None:
        is_refused = audit.verdict is Verdict.REFUSED
        self._refused.discard(audit.recipe)
        self._audited.pop(audit.recipe, None)
        if is_refused:
            self._refused.add(audit.recipe)
        if is_refused or audit.is_provisional or audit.decision:
            self._audited[audit.recipe] = AuditBasis(audit.history, audit.is_provisional, audit.decision)

    def _take_prunings(self, pruned: Mapping[str, str]) -> None:
        """Forget audits of versions that were pruned: wanted again, they are computed again."""
        self._pruned.update(pruned)
        self._refused.difference_update(pruned)
        self._overdue.difference_update(pruned)
        for recipe, stage in pruned.items():
            self._audited.pop(recipe, None)
            self._marks[stage] = self._refreshes

    def _take_decisions(self, changes: Changes) -> None:
        for decision in changes.decisions:
            about = decision.stage, decision.partition
            self._decisions[about] = decision.id
            self._rejected.pop(about, None)
            if decision.kind is DecisionKind.REJECT:
                self._rejected[about] = decision.version_id
            self._known_decisions.add(decision.id)
            self._marks[decision.stage] = self._refreshes

    def _take_numbers(self, changes: Changes) -> None:
        """Read the numbers of new publications, and of versions audited again, which may have been measured again.

        If that fails, the next look does it.
        """
        again = {audit.version_id for audit in changes.audits if audit.stage in self._expected}
        self._lacks_numbers |= bool(again)
        if self._lacks_numbers:
            read = [version for stage in self._expected for version in self._published.get(stage, {}).values()]
            wanted = {version.version_id for version in read}
            kept = wanted - again
            self._numbers = {key: known for key, known in self._numbers.items() if key in kept}
            self._numbers |= self._ledger.numbers(wanted - self._numbers.keys(), self._contracts)
            self._lacks_numbers = False
