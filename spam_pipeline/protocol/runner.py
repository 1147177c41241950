"""Running one partition of one stage: compute or reuse, audit, publish.

A crash at any point leaves the previous publication in place and at most an unreferenced file. What to run is decided by
`staleness`; in which order, by `convergence` or by the orchestrator.
"""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial

from spam_pipeline.protocol.auditor import Auditor
from spam_pipeline.protocol.causes import Cause, MadeFrom, cause
from spam_pipeline.protocol.claims import Claims
from spam_pipeline.protocol.computation import Computation
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.errors import Held, NotPublished, PipelineError
from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.landing_zone import LandingZone
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.state import LedgerState
from spam_pipeline.protocol.needs import DECISION, Need, Needs, Snapshot, Work
from spam_pipeline.protocol.observation import Classify, observe
from spam_pipeline.protocol.reader import Reader
from spam_pipeline.protocol.recipe import InputRead, Recipe
from spam_pipeline.protocol.records import (
    NO_OCCASION,
    Attempts,
    Audit,
    Observation,
    Occasion,
    Publication,
    Published,
    Verdict,
    Version,
)
from spam_pipeline.protocol.staleness import Assessment
from spam_pipeline.protocol.store import Store

_logger = logging.getLogger(__name__)

_LONGEST_ERROR = 500
"""Characters of an error that the ledger keeps."""


class Action(Enum):
    """What was done for a partition."""

    COMPUTED = "computed"
    REUSED = "reused"
    AUDITED = "audited"
    DELIVERED = "delivered"
    RETRACTED = "retracted"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Outcome:
    """What running a partition led to; `publication` is None when nothing new was published."""

    action: Action
    version: Version
    audit: Audit
    publication: Publication | None

    @property
    def refused(self) -> bool:
        """Whether the version is quarantined."""
        return self.audit.verdict is Verdict.REFUSED


class Runner:
    """Stages over one ledger and one store, in one environment."""

    def __init__(  # noqa: PLR0913 - the places that the pipeline consists of, each named
        self,
        *,
        graph: StageGraph,
        ledger: Ledger,
        store: Store,
        private_store: Store,
        landing: LandingZone,
        classify: Classify,
        claims: Claims,
        environment: str,
    ) -> None:
        self.graph = graph
        self.ledger = ledger
        self.reader = Reader(graph, ledger, store, environment)
        self.environment = environment
        self.store = store
        self._private_store = private_store
        self._landing = landing
        self._classify = classify
        self.claims = claims
        self._computation = Computation(
            graph=graph, ledger=ledger, reader=self.reader, store=store, private_store=private_store, landing=landing
        )
        self._state = LedgerState(ledger, environment, graph.contract_digests.values(), graph.expected())
        self._auditor = Auditor(graph, ledger, self._computation, environment, lambda: self._state.snapshot({}))
        self._assessed: Assessment | None = None
        self._remembered: set[str] = set()

    def sweep(self) -> None:
        """Remove what killed processes left behind a day ago or earlier."""
        for store in (self.store, self._private_store):
            store.sweep()

    def observe(self, seconds: float | None = None) -> list[Observation]:
        """Look at the landing zone and record what has changed there, batch by batch; return all of it.

        After `seconds` it stops at the end of a batch, and the next call goes on. Raises `LandingVanished` when everything
        that was known to be there is away.
        """
        started, seen = time.monotonic(), list[Observation]()
        for batch in observe(self._landing, self._classify, self._state.observations().values()):
            self.ledger.record_observations(batch)
            seen += batch
            if seconds is not None and time.monotonic() - started >= seconds:
                break
        return seen

    def assess(self, names: Collection[str] | None = None) -> Assessment:
        """The needs of the named stages (or all) and of what they rest on."""
        stages = self.graph.with_upstreams(self.graph.stages if names is None else names)
        self._assessed = Assessment(self.graph, self.snapshot(stages), stages, earlier=self._assessed)
        return self._assessed

    def needs(self, names: Collection[str] | None = None) -> Needs:
        """What the named stages (or all) need, by stage and partition."""
        found = self.assess(names).needs
        return {stage: found[stage] for stage in found if names is None or stage in names}

    def need(self, name: str, partition: str) -> tuple[Assessment, Need]:
        """What one partition needs. Raises `WrongPartition` for a wrong key, `Held` when nothing has landed for it."""
        stage = self.graph.find([name])[0]
        stage.partitions.check(partition)
        assessment = self.assess([name])
        found = assessment.needs[name].get(partition)
        if found is None:
            raise Held(f"{name} {partition}: nothing to compute it from has landed yet, or its day is not settled")
        return assessment, found

    def attempts(self, needs: Collection[Need]) -> dict[str, Attempts]:
        """How often what is needed was tried without success, by recipe."""
        return self.ledger.attempts({need.recipe for need in needs if need.can_run})

    def due(self, needs: Collection[Need], now: datetime) -> list[Need]:
        """The needs that can run and that nobody has to ask for: not tried yet, or to be tried again by now."""
        runnable = [need for need in needs if need.can_run]
        tried = self.attempts(runnable)
        return [need for need in runnable if need.recipe not in tried or self._is_due(need, tried[need.recipe], now)]

    def causes(self, assessment: Assessment, stage: str, needs: Collection[Need]) -> dict[str, Cause]:
        """Why partitions of a stage are not fresh, by partition."""
        code = self.graph.code_versions[stage]
        made_from = self._made_from([need.published for need in needs if need.published], code.digest)
        return {
            need.partition: cause(
                need,
                code,
                made_from[need.published.version_id] if need.published else None,
                partial(assessment.recipe, need),
            )
            for need in needs
        }

    def run(
        self, assessment: Assessment, need: Need, occasion: Occasion = NO_OCCASION, *, wait: bool = True
    ) -> Outcome:
        """Bring one partition up to date and return what that took; `occasion` is told of what is published.

        Raises `Held` while an input has yet to be published, `Claimed` when another process is computing it and `wait` is
        false, and whatever the stage's function raises.
        """
        stage = self.graph.stages[need.stage]
        if need.work is Work.RETRACT:
            return self._retract(need, occasion)
        if not need.recipe:
            raise Held(f"{need.stage} {need.partition} {need.reason}")
        if need.work is Work.DELIVER:
            version, audit = self._recorded(stage, need.recipe)
            is_carried = self._deliver(stage, version, occasion)
            return Outcome(Action.DELIVERED if is_carried else Action.NOTHING, version, audit, None)
        if need.work is Work.AUDIT:
            outcome = self._audit_known(stage, need.recipe, occasion, is_decided=need.reason == DECISION)
        else:
            outcome = self._make(stage, assessment.recipe(need), occasion, wait=wait)
        delivered = not outcome.refused and self._deliver(stage, outcome.version, occasion)
        if delivered and outcome.action is Action.NOTHING:
            return Outcome(Action.DELIVERED, outcome.version, outcome.audit, None)
        return outcome

    def run_partition(self, name: str, partition: str, run: str | None = None) -> Outcome:
        """Bring one partition up to date as it stands now. Raises like `need` and `run`."""
        assessment, need = self.need(name, partition)
        why = self.causes(assessment, name, [need])[partition] if need.can_run else ""
        return self.run(assessment, need, Occasion(run, cause=str(why)))

    def follow(self, version: Version, occasion: Occasion) -> Outcome | None:
        """Let a decision about a version take effect as far as nothing has to be computed for that; None if that is nowhere.

        What is read from then on is carried to the stage's target; if that is away, it is once it answers.
        """
        stage = self.graph.stages[version.stage]
        assessment = self.assess([version.stage])
        need = assessment.needs[version.stage].get(version.partition)
        if need and need.work is Work.AUDIT and need.recipe == version.recipe:
            outcome = self.run(assessment, need, occasion)
        elif self._is_read(version):
            outcome = self._audit_known(stage, version.recipe, occasion, is_decided=True)
        else:
            return None
        self._deliver_what_is_read(stage, version.partition, occasion)
        return outcome

    def judge(self, name: str, partition: str) -> tuple[Version, Audit] | None:
        """Audit the version of a partition that is wanted, or else the newest, again; nothing is computed or recorded."""
        stage = self.graph.find([name])[0]
        versions = [item for item, _ in self.ledger.versions(name, stage.partitions.check(partition), self.environment)]
        if not versions:
            return None
        need = self.needs([name])[name].get(partition)
        wanted = next((item for item in versions if need and item.recipe == need.recipe), versions[-1])
        return self._auditor.by_new_rules(stage, wanted)

    def snapshot(self, stages: Collection[AnyStage]) -> Snapshot:
        """The state of the ledger and of the stages' targets at this moment."""
        return self._state.snapshot({stage.name: self._known_delivered(stage) for stage in stages if stage.delivery})

    def _made_from(self, published: Collection[Published], code_version: str) -> dict[int, MadeFrom]:
        """What published versions rest on; where the code differs already, only the code is looked up."""
        codes = self.ledger.code({item.code_version for item in published})
        same_code = [item.version_id for item in published if item.code_version == code_version]
        remembered = self.ledger.made_from(same_code)
        nothing: tuple[dict[str, str], tuple[InputRead, ...]] = ({}, ())
        return {
            item.version_id: MadeFrom(codes.get(item.code_version), *remembered.get(item.version_id, nothing))
            for item in published
        }

    def _is_due(self, need: Need, tried: Attempts, now: datetime) -> bool:
        next_try = self.graph.stages[need.stage].retry.next_try(tried)
        return next_try is not None and next_try <= now

    def _make(self, stage: AnyStage, recipe: Recipe, occasion: Occasion, *, wait: bool) -> Outcome:
        """The version of a recipe, published if its audit passes: taken from the ledger, or computed."""
        contract = self.graph.contract_digests[stage.name]
        known = self.ledger.judged(recipe.digest, contract, self.environment)
        if known is None:
            with self.claims.on(recipe.digest, wait=wait):
                known = self.ledger.judged(recipe.digest, contract, self.environment)
                if known is None:
                    return self._compute(stage, recipe, _doing(Action.COMPUTED, occasion))
        version, last = known
        if last is None or self._auditor.has_new_decision(version, last):
            return self._audit(stage, version, last, _doing(Action.AUDITED, occasion))
        if last.verdict is Verdict.REFUSED:
            return Outcome(Action.NOTHING, version, last, None)
        publication = self.ledger.publish(version, self.environment, _doing(Action.REUSED, occasion))
        return Outcome(Action.REUSED if publication else Action.NOTHING, version, last, publication)

    def _audit_known(self, stage: AnyStage, recipe: str, occasion: Occasion, *, is_decided: bool) -> Outcome:
        """Audit a version that is there; a decision about one that other rules accepted is followed by what those found."""
        version, last = self._known(stage, recipe)
        if last is None and is_decided:
            recorded = self.ledger.version(recipe, self.environment)
            last = recorded[1] if recorded else None
        return self._audit(stage, version, last, _doing(Action.AUDITED, occasion))

    def _known(self, stage: AnyStage, recipe: str) -> tuple[Version, Audit | None]:
        known = self.ledger.judged(recipe, self.graph.contract_digests[stage.name], self.environment)
        if known is None:
            raise NotPublished(f"{stage.name}: the ledger has no version of recipe {recipe}")
        return known

    def _is_read(self, version: Version) -> bool:
        found = self.ledger.published_version(self.environment, version.stage, version.partition)
        return found is not None and found.id == version.id

    def _audit(self, stage: AnyStage, version: Version, last: Audit | None, occasion: Occasion) -> Outcome:
        """Audit a version that was computed before, again. If it is refused, an earlier one is read in its place."""
        with self._noting_failure(stage, version, occasion):
            if last is None:
                version, audit = self._auditor.by_new_rules(stage, version)
            else:
                audit = self._auditor.again(stage, version, last)
            gives_way = audit.verdict is Verdict.REFUSED and self._is_read(version)
            instead = self._last_accepted(stage, version) if gives_way else None
        measured = version.fingerprint if last is None else None
        publication = self.ledger.record_audit(
            version, audit, self.environment, occasion, instead, fingerprint=measured
        )
        return Outcome(Action.AUDITED, version, audit, publication)

    def _last_accepted(self, stage: AnyStage, refused: Version) -> int | None:
        """The last version before a refused one that the contract of now accepts; it is audited if it has yet to be."""
        contract = self.graph.contract_digests[stage.name]
        for version in self.ledger.published_before(self.environment, stage.name, refused.partition):
            _, last = self.ledger.judged(version.recipe, contract, self.environment) or (version, None)
            if last is None or last.is_provisional:
                _, last = self._auditor.by_new_rules(stage, version, instead_of=refused.recipe)
            if version.id != refused.id and last.verdict is Verdict.PASSED:
                return version.id
        return None

    @contextmanager
    def _noting_failure(self, stage: AnyStage, version: Version, occasion: Occasion) -> Iterator[None]:
        """Note a failure of what is done with a version that is there already, so that it counts as a try."""
        try:
            yield
        except Exception as error:
            attempt = self.ledger.begin(version.recipe, stage.name, version.partition, occasion.run)
            self.ledger.fail(attempt, told(error))
            raise

    def _compute(self, stage: AnyStage, recipe: Recipe, occasion: Occasion) -> Outcome:
        if recipe.code_version not in self._remembered:
            self.ledger.remember_code(self.graph.code_versions[stage.name])
            self._remembered.add(recipe.code_version)
        attempt = self.ledger.begin(recipe.digest, stage.name, recipe.partition, occasion.run)
        try:
            version = self._computation.version(stage, recipe)
            verdict = self._auditor.first(stage, version)
        except Exception as error:
            self.ledger.fail(attempt, told(error))
            raise
        publication = self.ledger.record(version, verdict, self.environment, occasion)
        return Outcome(Action.COMPUTED, *self._recorded(stage, recipe.digest), publication)

    def _recorded(self, stage: AnyStage, recipe: str) -> tuple[Version, Audit]:
        """A version that is in the ledger, with its last audit, whatever contract that was by."""
        recorded = self.ledger.version(recipe, self.environment)
        if recorded is None:
            raise NotPublished(f"{stage.name}: the ledger lost recipe {recipe}")
        return recorded

    def _retract(self, need: Need, occasion: Occasion) -> Outcome:
        known = self.ledger.version(need.published.recipe, self.environment) if need.published else None
        if known is None:
            raise NotPublished(f"{need.stage} {need.partition} is not published")
        done = _doing(Action.RETRACTED, occasion)
        publication = self.ledger.retract(need.stage, need.partition, self.environment, done)
        return Outcome(Action.RETRACTED, *known, publication)

    def _delivered(self, stage: AnyStage) -> str | None:
        if stage.delivery is None:
            return None
        return stage.delivery.delivered(self.graph.configuration[stage.delivery.target])

    def _known_delivered(self, stage: AnyStage) -> str | None:
        """What the target holds, or None where it cannot be asked: only delivering to it has to fail then."""
        try:
            return self._delivered(stage)
        except PipelineError as problem:
            _logger.warning("%s: %s", stage.name, problem)
            return None

    def _deliver_what_is_read(self, stage: AnyStage, partition: str, occasion: Occasion) -> None:
        version = self.ledger.published_version(self.environment, stage.name, partition)
        try:
            if version is not None:
                self._deliver(stage, version, occasion)
        except PipelineError as problem:
            _logger.warning("%s: %s", stage.name, problem)

    def _deliver(self, stage: AnyStage, version: Version, occasion: Occasion) -> bool:
        """Carry what is read now to its stage's target, if it has one that holds something else; return whether that was so.

        That is `version`, unless another process has published a newer one meanwhile. One process delivers to a target at a time,
        so that none takes it back to something older.
        """
        if stage.delivery is None:
            return False
        target = self.graph.configuration[stage.delivery.target]
        with self._noting_failure(stage, version, occasion), self.claims.on(digest(("deliver", target)), wait=True):
            read = self.ledger.published_version(self.environment, stage.name, version.partition) or version
            if self._delivered(stage) == read.recipe:
                return False
            stage.delivery.deliver(target, read, self.reader)
        return True


def _doing(action: Action, occasion: Occasion) -> Occasion:
    return occasion._replace(action=action.value)


def told(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:_LONGEST_ERROR]
