"""The ledger's state as staleness sees it, kept up to date by reading only what was added since the last look.

Rows are only added, in the order of their ids, because writers never overlap: so whoever has read up to an id has read
everything before it. What follows from the state is decided in `staleness`.
"""

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Lock

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.records import PRODUCTION, Changes, Observation, Position, Published, Verdict
from spam_pipeline.protocol.staleness import Snapshot, landed_by_source


@contextmanager
def _keeping_everything() -> Iterator[None]:
    """Read without collecting garbage: of hundreds of thousands of records none is any, and looking takes half of the time."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


class LedgerState:
    """What one environment of a ledger says now; `contracts` are those that it judges by.

    Several threads may ask at once.
    """

    def __init__(self, ledger: Ledger, environment: str, contracts: Collection[str]) -> None:
        self._ledger = ledger
        self._environments = tuple(dict.fromkeys((PRODUCTION, environment)))
        self._contracts = frozenset(contracts)
        self._position = Position()
        self._observations: dict[str, Observation] = {}
        self._landed = landed_by_source(())
        self._pointers: dict[tuple[str, str], dict[str, Published | None]] = {}
        self._published: dict[str, dict[str, Published]] = {}
        self._refused: set[str] = set()
        self._overdue: set[str] = set()
        self._marks: dict[str, int] = {}
        self._looks = 0
        self._lock = Lock()

    def observations(self) -> Mapping[str, Observation]:
        """The last observation of every path, gone files included."""
        with self._lock:
            self._refresh()
            return dict(self._observations)

    def snapshot(self, delivered: Mapping[str, str | None]) -> Snapshot:
        """The state at this moment; what the targets hold is told by the caller."""
        with self._lock:
            self._refresh()
            return Snapshot(
                landed=self._landed,
                published=dict(self._published),
                refused=frozenset(self._refused),
                overdue=frozenset(self._overdue),
                delivered=delivered,
                marks=dict(self._marks),
                landed_mark=self._position.observation,
            )

    def _refresh(self) -> None:
        before = self._position
        with _keeping_everything() if before == Position() else nullcontext():
            changes = self._ledger.changes(self._environments, before, self._contracts)
        self._position = changes.position
        self._looks += 1
        if changes.observations:
            self._observations.update({item.path: item for item in changes.observations})
            self._landed = landed_by_source(self._observations.values())
        self._take_pointers(changes)
        if not before.audit:  # the first look, or another one after nothing was there: it says everything
            self._overdue.clear()
            self._refused.clear()
        self._take_audits(changes, before.version)

    def _take_pointers(self, changes: Changes) -> None:
        for environment, by_stage in changes.pointers.items():
            for stage, pointers in by_stage.items():
                self._pointers.setdefault((environment, stage), {}).update(pointers)
                self._marks[stage] = self._looks
        for stage in {stage for by_stage in changes.pointers.values() for stage in by_stage}:
            merged: dict[str, Published | None] = {}
            for environment in self._environments:
                merged |= self._pointers.get((environment, stage), {})
            self._published[stage] = {key: version for key, version in merged.items() if version is not None}

    def _take_audits(self, changes: Changes, last_known: int) -> None:
        """What somebody else's contract says of a version tells only that there is one; ours has yet to judge it."""
        judged: set[str] = set()
        for audit in changes.audits:
            self._marks[audit.stage] = self._looks
            if audit.contract in self._contracts:
                judged.add(audit.recipe)
                self._overdue.discard(audit.recipe)
                self._refused.discard(audit.recipe)
                if audit.verdict is Verdict.REFUSED:
                    self._refused.add(audit.recipe)
            elif audit.version_id > last_known and audit.recipe not in judged:
                self._overdue.add(audit.recipe)
