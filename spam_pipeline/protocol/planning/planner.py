"""The planner: the statuses of an environment's partitions, and which of them are due, by the present state of the ledger.

It gathers the snapshot that `staleness` is a function of. Nothing is run and nothing is recorded.
"""

from collections.abc import Collection
from datetime import datetime
from threading import Lock

from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.foundation.errors import Held
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Attempts, Version
from spam_pipeline.protocol.planning.ledger_state import LedgerState
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, PartitionStatuses, Snapshot
from spam_pipeline.protocol.planning.staleness import StalenessReport
from spam_pipeline.protocol.planning.targets import Targets
from spam_pipeline.protocol.storage.observation import Known


class Planner:
    """Compares the wanted versions of a graph's stages with those that one environment of a ledger has."""

    def __init__(self, graph: StageGraph, ledger: Ledger, environment: str, targets: Targets) -> None:
        self._graph = graph
        self._ledger = ledger
        self._environment = environment
        self._targets = targets
        self._lock = Lock()
        self._current_state: LedgerState | None = None
        self._last_report: StalenessReport | None = None

    def known(self) -> Known:
        """The landed files that are known to be there, as observing needs them."""
        return self._state.known()

    def snapshot(self, stages: Collection[AnyStage] = ()) -> Snapshot:
        """The state of the ledger at this moment, and the recipes that the targets of some stages hold."""
        return self._state.snapshot(self._targets.held(stages))

    def report(self, names: Collection[str] | None = None) -> StalenessReport:
        """The statuses of the named stages (or all) and of their upstreams."""
        stages = self._graph.with_upstreams(self._graph.stages if names is None else names)
        self._last_report = StalenessReport(self._graph, self.snapshot(stages), stages, earlier=self._last_report)
        return self._last_report

    def statuses(self, names: Collection[str] | None = None) -> PartitionStatuses:
        """The statuses of the named stages (or all), by stage and partition."""
        found = self.report(names).statuses
        return {stage: found[stage] for stage in found if names is None or stage in names}

    def status(self, name: str, partition: str) -> tuple[StalenessReport, PartitionStatus]:
        """The status of one partition. Raises `WrongPartition` for a wrong key, `Held` when nothing has landed for it."""
        self._graph.find([name])[0].partitions.check(partition)
        report = self.report([name])
        found = report.statuses[name].get(partition)
        if found is None:
            raise Held(f"{name} {partition}: nothing to compute it from has landed yet, or its day is not settled")
        return report, found

    def inputs_now(self, version: Version) -> tuple[InputRef, ...]:
        """The inputs that lead to a version now, if its recipe is wanted; otherwise those that it was computed from.

        They are the same in all that is read. But a version that differed elsewhere may have taken an input's place since, and the files of the
        earlier one may be gone.
        """
        if version.stage not in self._graph.stages:
            return version.inputs
        report = self.report([version.stage])
        status = report.statuses[version.stage].get(version.partition)
        return report.recipe(status).inputs if status and status.recipe == version.recipe else version.inputs

    def attempts(self, statuses: Collection[PartitionStatus]) -> dict[str, Attempts]:
        """The unsuccessful tries of the recipes that can run, by recipe."""
        return self._ledger.attempts.of({status.recipe for status in statuses if status.can_run})

    def due(self, statuses: Collection[PartitionStatus], now: datetime) -> list[PartitionStatus]:
        """The partitions that run unasked: those that can run and were not tried yet, or whose next try has come."""
        runnable = [status for status in statuses if status.can_run]
        tried = self.attempts(runnable)
        return [item for item in runnable if item.recipe not in tried or self._is_due(item, tried[item.recipe], now)]

    @property
    def _state(self) -> LedgerState:
        """One state for all threads: marks of two would pass for each other's, and a report of one be reused for the other."""
        with self._lock:
            if self._current_state is None:
                self._current_state = LedgerState(
                    self._ledger,
                    self._environment,
                    self._graph.contract_digests.values(),
                    self._graph.expected(),
                    self._graph.sources,
                )
            return self._current_state

    def _is_due(self, status: PartitionStatus, tried: Attempts, now: datetime) -> bool:
        next_try = self._graph.stages[status.stage].retry.next_try(tried)
        return next_try is not None and next_try <= now
