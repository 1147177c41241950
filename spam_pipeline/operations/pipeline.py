"""The pipeline as a whole: the stages of all contexts, at the locations that the settings name. For notebooks, scripts and the command line.

Nothing here knows the orchestrator, and nothing decides: this module connects what the others provide.
"""

import logging
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import duckdb

from spam_pipeline.ingestion.assets import STAGES as INGESTION_STAGES
from spam_pipeline.ingestion.sources import classify as classify_for_ingestion
from spam_pipeline.ingestion.sources import sources, why_passed_over
from spam_pipeline.operations.alerts import note_decided_suspicion, note_issued
from spam_pipeline.operations.comparing import compare_environments, compare_versions, partition_typed
from spam_pipeline.operations.deciding import DecidedSuspicion, Narrowing, SuspicionAction, decide_suspicion
from spam_pipeline.operations.declaring import declare_gap
from spam_pipeline.operations.environments import require_environment, require_environment_to_decide
from spam_pipeline.operations.explaining import Explained, explain
from spam_pipeline.operations.identifier_key import require_key_of_ones_own, warn_of_development_key
from spam_pipeline.operations.issuing import issue
from spam_pipeline.operations.lost_ledger import fill_from_journal, require_ledger_of_store
from spam_pipeline.operations.moments import WrongMoment, moment, require_published_by
from spam_pipeline.operations.notifications import Notifications, require_known_owners
from spam_pipeline.operations.screening import Screening
from spam_pipeline.operations.statement_files import StatementFiles, write_statement_files
from spam_pipeline.operations.status import Status, status_of
from spam_pipeline.operations.suspicions import (
    SuspicionDetails,
    SuspicionsOfDay,
    suspicion_details,
    suspicions_of_day,
)
from spam_pipeline.protocol import WHOLE, NotPublished, PipelineError, Version
from spam_pipeline.protocol.fingerprint import Fingerprint, merged
from spam_pipeline.protocol.operating import (
    NEWEST,
    PASSED_OVER,
    PRODUCTION,
    PUBLISHED,
    Audit,
    CacheRoom,
    Claims,
    Comparison,
    Decided,
    Decision,
    DecisionKind,
    Engine,
    EnvironmentSummary,
    Executor,
    LandedCopies,
    LandingZone,
    Ledger,
    OnProgress,
    Overview,
    Planned,
    Processes,
    Promoted,
    Promotion,
    StageGraph,
    Store,
    Verified,
    Waiting,
    cores,
    decide,
    decide_all_matching,
    drop,
    no_progress,
    open_engine,
    plan,
    promote,
    promotion,
    verify,
)
from spam_pipeline.reporting.assets import STAGES as REPORTING_STAGES
from spam_pipeline.reporting.query import connect
from spam_pipeline.royalties.assets import STAGES as ROYALTIES_STAGES
from spam_pipeline.royalties.ddex import UNREGISTERED, Sender
from spam_pipeline.royalties.document import SOURCES as ROYALTIES_SOURCES
from spam_pipeline.royalties.document import classify as classify_for_royalties
from spam_pipeline.royalties.issuing import Issued
from spam_pipeline.settings import ExecutorChoice, Settings, settings_from_environment
from spam_pipeline.trust_and_safety.assets import STAGES as TRUST_AND_SAFETY_STAGES

__all__ = ["STAGES", "Pipeline", "Status", "WrongMoment", "moment"]

STAGES = (*INGESTION_STAGES, *TRUST_AND_SAFETY_STAGES, *ROYALTIES_STAGES, *REPORTING_STAGES)

_AT_ONCE = 2
"""Partitions side by side unless the settings say otherwise: 22.5 seconds become 18.2 on two cores, and memory grows by what a second one holds."""

_logger = logging.getLogger(__name__)


class Pipeline:
    """The pipeline at the locations that `settings` name; by default, settings come from environment variables.

    With `from_landing`, a ledger without any record is filled from its journal and the landing zone even beside a store that has files.
    """

    def __init__(self, settings: Settings | None = None, *, from_landing: bool = False) -> None:
        self.settings = settings or settings_from_environment()
        self._from_landing = from_landing
        self.graph = StageGraph(
            STAGES,
            (*sources(self.settings.plays_cadence), *ROYALTIES_SOURCES),
            self.settings.configuration(),
            self.settings.own_packages,
        )
        require_known_owners(self.settings.notify, {stage.owner for stage in self.graph.stages.values()})

    @cached_property
    def landing_zone(self) -> LandingZone:
        """Where files land."""
        return LandingZone(self.settings.landing_zone, LandedCopies(self.settings.cache / "landing", self._cache_room))

    @cached_property
    def _cache_room(self) -> CacheRoom:
        """Room for the local copies of everything that is remote."""
        return CacheRoom(self.settings.cache, self.settings.cache_size)

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs stages; it opens the ledger at first use, and creates the home if there is none.

        Raises `LedgerLost`, and `PlaceUnusable`.
        """
        settings = self.settings
        settings.home.mkdir(parents=True, exist_ok=True)
        if settings.has_development_key:
            warn_of_development_key(settings.home)
        ledger, store = Ledger(settings.ledger), Store(settings.store, settings.cache / "store", room=self._cache_room)
        if not self._from_landing:
            require_ledger_of_store(ledger, store)
        claims = Claims(settings.ledger)
        engine = open_engine(
            graph=self.graph,
            ledger=ledger,
            store=store,
            private_store=Store(settings.rejected, settings.cache / "rejected", owner_only=True, room=self._cache_room),
            landing=self.landing_zone,
            classify=_source_and_partition,
            claims=claims,
            environment=settings.environment,
            unnamed_targets=settings.unnamed_targets,
            at_once=_at_once(settings.executor),
            screen=Screening(self.landing_zone, claims, settings.identifier_key.get_secret_value()),
        )
        if self._from_landing:
            fill_from_journal(engine)
        engine.journal.catch_up()
        return engine

    def executor(self) -> AbstractContextManager[Executor | None]:
        """The executor on this machine that the settings name, to converge with; None for this process alone.

        Runs of an orchestrator are the orchestrator's to start: without one, everything runs in this process.
        """
        kind, number = self.settings.executor
        if kind != "processes":
            return nullcontext()
        return Processes(partial(_open_in_worker, self.settings), cores() if number is None else number)

    @cached_property
    def _notifications(self) -> Notifications:
        return Notifications(self.settings)

    def notify(self, found: Overview | None = None, *, only_late: bool = False) -> None:
        """Notify the targets that the settings name of what is new or over; with `only_late`, of what became late or is not late any more.

        That is by how the stages stand, as it was just `found`, or by what they are now.
        A target that is away raises nothing and is waited for some seconds; the next time makes up for it.
        """
        self._notifications.send(self.engine, found, only_late=only_late)

    def require_key_of_ones_own(self) -> None:
        """Raise `DevelopmentKeyRefused` in production when the development key would hash identifiers that nobody simulated."""
        require_key_of_ones_own(self.settings, self.landing_zone)

    def read(self, stage: str, partition: str | Sequence[str] = WHOLE, as_of: str | datetime | None = None) -> Any:
        """The published data of one partition, or of several: a `polars.LazyFrame`, or a stage's artifact.

        `as_of` reads what was published then: a date (its end, UTC), a date and time, or a `datetime`. Raises
        `NotPublished`, `WrongPartition`, or `WrongDefinition` for a stage that does not exist.
        """
        partitions = [partition] if isinstance(partition, str) else list(partition)
        return self.engine.reader.read(stage, partitions, moment(as_of))

    def partitions(self, stage: str) -> list[str]:
        """The published partitions of a stage, in order."""
        found = self.graph.find([stage])[0]
        return sorted(self.engine.ledger.published(self.settings.environment, [found.name])[found.name])

    def newest(self, stage: str) -> str:
        """The newest published partition of a stage; the only one of a stage without partitions, published or not. Raises `NotPublished`."""
        if self.graph.find([stage])[0].partitions.is_whole:
            return WHOLE
        published = self.partitions(stage)
        if not published:
            raise NotPublished(f"{stage} has no published partition")
        return published[-1]

    def fingerprint(self, stage: str, partition: str | Sequence[str] = WHOLE) -> Fingerprint:
        """The fingerprint of one published partition, or of several merged, without reading their data.

        `protocol.fingerprint.numbers` gives its numbers by name. Raises like `read`.
        """
        partitions = [partition] if isinstance(partition, str) else list(partition)
        return merged(self.engine.reader.version(stage, key).fingerprint for key in partitions)

    def versions(self, stage: str, partition: str = WHOLE) -> list[tuple[Version, Audit]]:
        """Every version of a partition ever computed, oldest first, each with its last audit."""
        key = partition_typed(self.engine, self.graph.find([stage])[0], partition)
        return self.engine.ledger.versions(stage, key, self.settings.environment)

    def published_at(self, versions: Sequence[tuple[Version, Audit]]) -> dict[int, datetime]:
        """When each of these versions was last published in this environment, by version id."""
        return self.engine.ledger.published_at(self.settings.environment, [version.id for version, _ in versions])

    def published_before(self, stage: str, partition: str = WHOLE) -> list[Version]:
        """The versions that readers of a partition saw before the published one, the last one first; none of a range."""
        return self.engine.ledger.published_before(self.settings.environment, stage, partition)[1:]

    def diff(self, stage: str, partition: str = WHOLE, old: str = PUBLISHED, new: str = NEWEST) -> Comparison:
        """Compare two versions of a partition, each named by the first digits of its recipe or by a keyword.

        The keywords are `published`, `newest`, and `production` for what is published there. Where nothing is published, the
        comparison has one side only, with the findings of its audit. In a range of partitions, `2026-01-01..2026-01-31`, digits are those of code
        versions. Raises `UnknownVersion`, `WrongPartition`, or `WrongDefinition` for a stage that does not exist.
        """
        return compare_versions(self.engine, stage, partition, old, new)

    def diff_environment(self, base: str = PRODUCTION) -> list[Comparison]:
        """Compare what this environment publishes with what another one does, stage by stage, where they differ.

        Raises `UnknownEnvironment`.
        """
        return compare_environments(self.engine, base)

    def decide(
        self, kind: DecisionKind | str, version: str, *, by: str, reason: str, all_matching: bool = False
    ) -> list[Decided]:
        """Accept a quarantined version or reject a published one, named by its recipe or the first digits of it.

        With `all_matching`, also accept the stage's other versions that the same code made and the same findings refuse. Raises
        `WrongDecision`, `UnknownVersion`, `AlreadyDecided`, and `UnknownEnvironment`.
        """
        require_environment_to_decide(self.engine, version)
        asked = (self.engine, version, DecisionKind(kind), by, reason)
        decided = decide_all_matching(*asked) if all_matching else [decide(*asked)]
        with _after_the_deed():
            self.notify()
        return decided

    def decisions(self) -> list[Decision]:
        """The decisions for this environment and for production, oldest first."""
        return self.engine.ledger.all_decisions(self.settings.environment)

    def suspicions(self, day: str | None = None, queue: str | None = None) -> SuspicionsOfDay:
        """The suspicions of a day, by default of the latest one that is published, of one queue or of both.

        Raises `NotPublished`, and `WrongPartition`.
        """
        return suspicions_of_day(self.engine, day, queue)

    def suspicion(self, suspicion: str) -> SuspicionDetails:
        """Everything about one suspicion, and how it was decided if it was. Raises `UnknownSuspicion`, and `WrongIncidentsFile`."""
        return suspicion_details(self.engine, self.landing_zone, suspicion)

    def decide_suspicion(  # noqa: PLR0913 - what about which, by whom and why, and how much of it
        self,
        action: SuspicionAction | str,
        suspicion: str,
        *,
        by: str,
        reason: str,
        first_day: str | None = None,
        last_day: str | None = None,
        devices: Collection[str] = (),
    ) -> DecidedSuspicion:
        """Confirm or clear a suspicion, all of it or some days and devices (`key:` and 16 digits), as lines of `incidents.csv`.

        They take the place of the incident's lines that are there. Raises `UnknownSuspicion`, `AlreadyDecided`, `NotDecided`,
        `WrongIncidentsFile`, `WrongPartition`, and `WrongDecision` without a name or a reason.
        """
        self.require_key_of_ones_own()
        narrowing = Narrowing(first_day, last_day, devices)
        asked = (SuspicionAction(action), suspicion, by, reason, narrowing)
        decided = decide_suspicion(self.engine, self.landing_zone, *asked)
        with _after_the_deed():
            note_decided_suspicion(self.engine, suspicion, decided.status, decided.by)
            self.notify()
        return decided

    def declare_gap(self, day: str, hour: str | None = None, *, by: str, reason: str) -> str:
        """Declare that no plays arrive for a day, or for one hour of it, and return the path of the declaration that has landed.

        Raises `NotDeclared` with the reason, `WrongPartition`, and `WrongDecision` without a name or a reason.
        """
        self.require_key_of_ones_own()
        return declare_gap(self.engine, self.landing_zone, day, hour, by, reason)

    def issue(self, month: str, *, by: str) -> Issued:
        """Issue a month's statement as it is published, once and for all; later changes to the month become adjustments.

        Downstream stages converge as after any other change. Raises `NotIssued` with the reason, `WrongPartition`, and
        `WrongDecision` when `by` is empty.
        """
        self.require_key_of_ones_own()
        issued = issue(self.engine, self.landing_zone, month, by)
        with _after_the_deed():
            note_issued(self.engine, month, issued.issued_by)
            self.notify()
        return issued

    def explain(self, payee_id: str, month: str) -> Explained:
        """Explain a payee's payment for a month, from the amount down to plays and versions, with every sum recomputed.

        Raises `NotPublished`, `WrongPartition`, and `DoesNotAddUp`.
        """
        return explain(self.engine, payee_id, month)

    def write_statements(
        self,
        month: str,
        folder: Path | None = None,
        sender: Sender = UNREGISTERED,
        on_progress: OnProgress = no_progress,
    ) -> StatementFiles:
        """Write the files of a month, statements for payees and the sales report, into a folder of its own below `folder`.

        By default that is `statements` in the home. `on_progress` receives a line per step. Raises `FilesExist`, `WrongPartition`,
        `WrongDocument`, and `NotPublished`.
        """
        place = folder or self.settings.environment_dir / "statements"
        return write_statement_files(self.engine, self.landing_zone, month, place, sender, on_progress)

    def environments(self) -> list[EnvironmentSummary]:
        """Every environment that something was ever published in, by name."""
        return self.engine.ledger.environments()

    def promotion(self) -> Promotion:
        """What promoting this environment would change for readers of production. Raises `NotPromoted`, and `UnknownEnvironment`."""
        require_environment(self.engine)
        self._observe()
        return promotion(self.engine)

    def promote(self, by: str, asked: Promotion | None = None) -> Promoted:
        """Publish to production what this environment publishes, in one transaction, without computing anything.

        With `asked`, that and nothing else, whatever the environment has published since. Raises `NotPromoted`, also when
        production has published something else there since.
        """
        return promote(self.engine, by, asked or self.promotion())

    def drop(self) -> int:
        """Discard everything that this environment publishes itself, and its deliveries; return the number of partitions.

        Its versions stay in the ledger. Raises `NotPromoted` in production, and `UnknownEnvironment`.
        """
        require_environment(self.engine)
        dropped = drop(self.engine)
        if self.settings.environment_dir.exists():
            shutil.rmtree(self.settings.environment_dir)
        return dropped

    def query(self, as_of: str | datetime | None = None, writable: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with one view per stage, `<context>.<stage>`, over what is published, or was at `as_of`.

        It may write no files but the `writable` ones. Raises `NotPublished` when nothing was published by then.
        """
        reader, then = self.engine.reader, moment(as_of)
        if then is not None:
            require_published_by(self.engine, then)
        read = reader.published(then)
        catalogue = reader.located(reader.catalogue(read)).collect()
        return connect(catalogue, reader.empty_frames(), reader.check, reader.file_system(read), writable)

    def verify(self, *, repair: bool = False, on_progress: OnProgress = no_progress) -> Verified:
        """Digest the bytes of every stored file that some version has. `on_progress` receives a line now and then.

        With `repair`, it observes the landing zone, and what is damaged or missing is computed again; only the same bytes take its
        place. Raises `DevelopmentKeyRefused` then, and `LandingVanished`.
        """
        if repair:
            on_progress("observing the landing zone")
            self._observe()
        return verify(self.engine, repair=repair, on_progress=on_progress)

    def plan(self, stages: Sequence[str] | None = None) -> list[Planned]:
        """The partitions that converging would run, and why. Observes the landing zone and runs nothing.

        Raises `DevelopmentKeyRefused`.
        """
        self._observe()
        return plan(self.engine, stages)

    def status(self, stages: Sequence[str] | None = None) -> Status:
        """The present state of partitions, after observing the landing zone. Raises `DevelopmentKeyRefused`."""
        self._observe()
        return status_of(self.engine, stages)

    def waiting(self) -> tuple[Waiting, ...]:
        """The partitions that wait for somebody, after observing the landing zone: why, since when, and what ends it.

        Raises `DevelopmentKeyRefused`.
        """
        self._observe()
        return Overview.of(self.engine).waiting

    def _observe(self) -> None:
        self.require_key_of_ones_own()
        self.engine.observe()


@contextmanager
def _after_the_deed() -> Iterator[None]:
    """Log a problem of telling people: what they should hear of is recorded, and somebody who saw an error would do it again."""
    try:
        yield
    except PipelineError as problem:
        _logger.warning("it is done, but not everybody may have been notified of it: %s", problem)


def _at_once(choice: ExecutorChoice) -> int:
    """How many partitions run side by side in a process: workers are several, so each of them runs one."""
    if choice.kind != "in_process":
        return 1
    return _AT_ONCE if choice.number is None else choice.number


def _open_in_worker(settings: Settings) -> Engine:
    logging.disable(logging.WARNING)  # the coordinator has warned, and workers would do so again, each of them
    return Pipeline(settings).engine


def _source_and_partition(path: str) -> tuple[str, str] | None:
    found = classify_for_ingestion(path) or classify_for_royalties(path)
    if found is not None:
        return found[0].name, found[1]
    why = why_passed_over(path)
    return None if why is None else (PASSED_OVER, why)
