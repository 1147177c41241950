"""The engine: one record of the collaborators that run the stages of a graph in one environment.

It decides and computes nothing itself. A partition that runs goes through its collaborators in one direction, see `running`.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.execution.auditor import Auditor
from spam_pipeline.protocol.execution.computation import Computation
from spam_pipeline.protocol.execution.delivering import Deliveries
from spam_pipeline.protocol.execution.publishing import Publisher
from spam_pipeline.protocol.execution.repairing import Repairs
from spam_pipeline.protocol.explanation.causes import Cause, causes_of
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import Observation
from spam_pipeline.protocol.planning.partition_status import PartitionStatus
from spam_pipeline.protocol.planning.planner import Planner
from spam_pipeline.protocol.planning.staleness import StalenessReport
from spam_pipeline.protocol.planning.targets import Targets
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.observation import PASSED_OVER, Classify, observe
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline.protocol.storage.store import Store


@dataclass(frozen=True)
class Engine:
    """Stages over one ledger and one store, in one environment, with what plans, computes, publishes and delivers them."""

    graph: StageGraph
    ledger: Ledger
    environment: str
    claims: Claims
    landing: LandingZone
    classify: Classify
    stores: tuple[Store, Store]
    reader: Reader
    planner: Planner
    computation: Computation
    repairs: Repairs
    publisher: Publisher
    deliveries: Deliveries

    def observe(self, seconds: float | None = None) -> list[Observation]:
        """Inspect the landing zone and record what has changed there, batch by batch; return all of these observations.

        After `seconds` it stops at the end of a batch, and the next call goes on. Raises `LandingVanished` when none of the
        known files is there.
        """
        started, seen = time.monotonic(), list[Observation]()
        placed = partial(self._placed, today=datetime.now(UTC).date().isoformat())
        for batch in observe(self.landing, placed, self.planner.observations().values()):
            self.ledger.observations.record(batch)
            seen += batch
            if seconds is not None and time.monotonic() - started >= seconds:
                break
        return seen

    def passed_over(self) -> dict[str, str]:
        """The paths that no source has though somebody may have meant one, in order, each with the reason."""
        found = [item for item in self.planner.observations().values() if item.source == PASSED_OVER]
        return {item.path: item.partition for item in sorted(found, key=lambda item: item.path) if item.digest}

    def _placed(self, path: str, today: str) -> tuple[str, str] | None:
        """Source and partition of a path. A day that is ahead of the clock would settle those before it, so it is passed over."""
        found = self.classify(path)
        source = self.graph.sources.get(found[0]) if found else None
        if found and source and source.cadence and found[1] > today:
            return PASSED_OVER, f"its day, {found[1]}, is ahead of the clock"
        return found

    def causes(self, report: StalenessReport, stage: str, statuses: Collection[PartitionStatus]) -> dict[str, Cause]:
        """The causes why partitions of a stage are not fresh, by partition."""
        return causes_of(self.ledger, self.graph.code_versions[stage], report, statuses)

    def sweep(self) -> None:
        """Remove what killed processes left behind a day ago or earlier."""
        for store in self.stores:
            store.sweep()


def open_engine(  # noqa: PLR0913 - the places that a pipeline consists of, each named
    *,
    graph: StageGraph,
    ledger: Ledger,
    store: Store,
    private_store: Store,
    landing: LandingZone,
    classify: Classify,
    claims: Claims,
    environment: str,
    unnamed_targets: Collection[str] = frozenset(),
) -> Engine:
    """Assemble an engine over the places that a pipeline consists of; `unnamed_targets` yield to another home, see `Targets`."""
    reader = Reader(graph, ledger, store, environment)
    targets = Targets(graph, ledger, environment, unnamed_targets)
    planner = Planner(graph, ledger, environment, targets)
    computation = Computation(
        graph=graph, ledger=ledger, reader=reader, store=store, private_store=private_store, landing=landing
    )
    repairs = Repairs(graph, ledger, computation, store)
    auditor = Auditor(graph, ledger, computation, environment, planner.snapshot, repairs)
    return Engine(
        graph=graph,
        ledger=ledger,
        environment=environment,
        claims=claims,
        landing=landing,
        classify=classify,
        stores=(store, private_store),
        reader=reader,
        planner=planner,
        computation=computation,
        repairs=repairs,
        publisher=Publisher(graph, ledger, auditor, environment),
        deliveries=Deliveries(graph, ledger, store, claims, environment, repairs, targets),
    )
