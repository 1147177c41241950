"""The engine: one record of the collaborators that run the stages of a graph in one environment.

It decides and computes nothing itself. A partition that runs goes through its collaborators in one direction, see `running`.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.execution.auditor import Auditor
from spam_pipeline.protocol.execution.computation import Computation
from spam_pipeline.protocol.execution.decision_document import DECISIONS, place_of_document
from spam_pipeline.protocol.execution.delivering import Deliveries
from spam_pipeline.protocol.execution.landed_decisions import DecisionDocuments
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
from spam_pipeline.protocol.storage.journal import Journal
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.looks import FILES_AT_ONCE, Choose, Rounds, everything, of_dates
from spam_pipeline.protocol.storage.observation import PASSED_OVER, Classify, Known, observe
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline.protocol.storage.store import Store

Screen = Callable[[list[Observation]], list[Observation]]
"""Looks into files that are new or replaced before anything is recorded of them, and returns those that may be read as they are.

It has rewritten the others, which are observed again then.
"""


def passes(batch: list[Observation]) -> list[Observation]:
    """A screen that lets every file pass."""
    return batch


@dataclass(frozen=True)
class Engine:
    """Stages over one ledger and one store, in one environment, with what plans, computes, publishes and delivers them.

    `at_once` is how many partitions a convergence computes side by side in this process: each holds the memory that its stage takes.
    """

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
    decisions: DecisionDocuments
    journal: Journal
    at_once: int = 1
    screen: Screen = passes
    rounds: Rounds = field(default_factory=Rounds)

    def observe(self) -> list[Observation]:
        """Inspect all of the landing zone and record what has changed there; return all of these observations.

        Raises `LandingVanished` when files are known and none is there.
        """
        return self._observe(self.planner.known(), everything)[0]

    def observe_recent(self, seconds: float | None = None) -> list[Observation]:
        """Inspect what may have changed, as `looks.Rounds` has it; whatever changed elsewhere is found within its round.

        After `seconds` it stops at the end of a batch, and the next call goes on. Raises like `observe`.
        """
        known = self.planner.known()
        is_small = known.files <= FILES_AT_ONCE
        seen, is_complete = self._observe(known, everything if is_small else self.rounds.choose, seconds)
        if not is_complete and is_small:
            self.rounds.want_everything()
        elif is_complete and not is_small:
            self.rounds.end()
        return seen

    def observe_for(self, name: str, *partitions: str) -> list[Observation]:
        """Inspect what partitions of a stage may read of the landing zone: files outside of dated folders, and those of their dates.

        A stage that reads no source has nothing to inspect. Raises like `observe`.
        """
        if not self.graph.sources_of(self.graph.stages[name]):
            return []
        return self._observe(self.planner.known(), of_dates(partitions))[0]

    def _observe(self, known: Known, choose: Choose, seconds: float | None = None) -> tuple[list[Observation], bool]:
        """Record what has changed in the chosen folders; return it, and True unless time was up before the end."""
        started, seen, is_rewritten = time.monotonic(), list[Observation](), False
        placed = partial(self._placed, today=datetime.now(UTC).date().isoformat())
        for batch in observe(self.landing, placed, known, choose):
            passed = self.screen(batch)
            self.ledger.observations.record(passed)
            seen += passed
            is_rewritten |= len(passed) < len(batch)
            if seconds is not None and time.monotonic() - started >= seconds:
                return seen, False
        if not is_rewritten:
            return seen, True
        again, is_complete = self._observe(self.planner.known(), choose, seconds)
        return seen + again, is_complete

    def passed_over(self) -> dict[str, str]:
        """The paths that no source has though somebody may have meant one, in order, each with the reason."""
        paths = {item.path: item.partition for item in self.ledger.observations.of_source(PASSED_OVER)}
        return dict(sorted((paths | self.decisions.refused()).items()))

    def _placed(self, path: str, today: str) -> tuple[str, str] | None:
        """Source and partition of a path. A day that is ahead of the clock would settle those before it, so it is passed over."""
        if path.startswith(f"{DECISIONS}/"):
            return _placed_decision(path)
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
        self.landing.sweep()


def _placed_decision(path: str) -> tuple[str, str] | None:
    """Source and partition of a path in the folder of decisions. Hidden files are in the making."""
    if path.rpartition("/")[2].startswith((".", "_")):
        return None
    document = place_of_document(path)
    return (DECISIONS, document[0]) if document else (PASSED_OVER, f"expected {DECISIONS}/YYYY-MM-DD/SHA-256.json")


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
    at_once: int = 1,
    screen: Screen = passes,
) -> Engine:
    """Assemble an engine over the places that a pipeline consists of; `unnamed_targets` yield to another home, see `Targets`."""
    reader = Reader(graph, ledger, store, environment)
    targets = Targets(graph, ledger, environment, unnamed_targets)
    planner = Planner(graph, ledger, environment, targets)
    computation = Computation(
        graph=graph, ledger=ledger, reader=reader, store=store, private_store=private_store, landing=landing
    )
    repairs = Repairs(graph, ledger, computation, store, planner.inputs_now)
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
        decisions=DecisionDocuments(graph, ledger, landing, claims),
        journal=Journal(ledger, store, private_store, claims),
        at_once=at_once,
        screen=screen,
    )
