"""Running one partition of one stage: compute or reuse, audit, publish.

The only place where a stage's function is called by the pipeline. A crash at any point leaves the previous publication in
place and at most an unreferenced file. What to run is decided by `staleness`; in which order, by `convergence` or by the
orchestrator.
"""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from spam_pipeline.protocol.contract import ArtifactContract, Contract, Fingerprint, audit, column_types
from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.errors import Held, NotPublished, PipelineError
from spam_pipeline.protocol.graph import AnyStage, StageGraph
from spam_pipeline.protocol.landed_file import LandedFile
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.observation import Classify, observe
from spam_pipeline.protocol.reader import CATALOGUE_TYPES, Reader
from spam_pipeline.protocol.records import Audit, InputRead, Observation, Part, Publication, Recipe, Verdict, Version
from spam_pipeline.protocol.selection import EveryStage
from spam_pipeline.protocol.stage import OWN_PARTITION
from spam_pipeline.protocol.staleness import Need, Snapshot, assess, landed_by_source
from spam_pipeline.protocol.store import Store
from spam_pipeline.protocol.writer import Files, write_artifact, write_batches, write_result

_logger = logging.getLogger(__name__)

_FILES_AT_ONCE = 2
"""Landed files that are decoded side by side: many are small, and one alone does not keep two cores busy."""


class Action(Enum):
    """What was done for a partition."""

    COMPUTED = "computed"
    REUSED = "reused"
    DELIVERED = "delivered"
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
        landing: Path,
        classify: Classify,
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

    def sweep(self) -> None:
        """Remove what killed processes left behind a day ago or earlier."""
        for store in (self.store, self._private_store):
            store.sweep()

    def observe(self) -> list[Observation]:
        """Look at the landing zone and record what has changed there."""
        seen = observe(self._landing, self._classify, self.ledger.landed()) if self._landing.exists() else []
        self.ledger.record_observations(seen)
        return seen

    def needs(self, names: Collection[str] | None = None) -> dict[str, dict[str, Need]]:
        """What the named stages (or all) need, by stage and partition; what they rest on is assessed too, but left out."""
        stages = self.graph.with_upstreams(self.graph.stages if names is None else names)
        found = assess(self.graph, self._snapshot(stages), stages)
        return {stage: found[stage] for stage in found if names is None or stage in names}

    def need(self, name: str, partition: str) -> Need:
        """What one partition needs. Raises `WrongPartition` for a wrong key, `Held` when nothing has landed for it."""
        stage = self.graph.find([name])[0]
        stage.partitions.check(partition)
        found = self.needs([name])[name].get(partition)
        if found is None:
            raise Held(f"{name} {partition}: nothing to compute it from has landed yet, or its day is not settled")
        return found

    def run(self, need: Need, run: str | None = None) -> Outcome:
        """Bring one partition up to date and return what that took.

        Raises `Held` while an input has yet to be published, and whatever the stage's function raises.
        """
        if need.recipe is None:
            raise Held(f"{need.stage} {need.partition} {need.reason}")
        stage = self.graph.stages[need.stage]
        outcome = self._settle(stage, need, need.recipe, run)
        if stage.delivery and not outcome.refused and self._delivered(stage) != outcome.version.recipe:
            self._deliver(stage, outcome.version)
            if outcome.action is Action.NOTHING:
                return Outcome(Action.DELIVERED, outcome.version, outcome.audit, None)
        return outcome

    def _settle(self, stage: AnyStage, need: Need, recipe: Recipe, run: str | None) -> Outcome:
        found = self.ledger.version(recipe.digest)
        if found is None:
            return self._compute(stage, recipe, run)
        version, last = found
        is_published = need.published is not None and need.published.recipe == version.recipe
        if last.verdict is Verdict.REFUSED or is_published:
            return Outcome(Action.NOTHING, version, last, None)
        return Outcome(Action.REUSED, version, last, self.ledger.publish(version, self.environment, run))

    def _compute(self, stage: AnyStage, recipe: Recipe, run: str | None) -> Outcome:
        started = time.perf_counter()
        files = self._files(stage, recipe)
        version = self._version(stage, recipe, files, started)
        verdict = self._audit(stage, version)
        publication = self.ledger.record(version, verdict, self.environment, run)
        recorded = self.ledger.version(recipe.digest)
        if recorded is None:
            raise NotPublished(f"{stage.name} {recipe.partition}: the ledger lost recipe {recipe.digest}")
        return Outcome(Action.COMPUTED, *recorded, publication)

    def _files(self, stage: AnyStage, recipe: Recipe) -> Files:
        folder = f"{stage.context}/{stage.name}/{recipe.partition}"
        landed = self._landed_files(recipe.inputs)
        if stage.file_by_file:
            return self._shards(stage, recipe, folder, landed)
        result = stage(**self._arguments(stage, recipe, landed))
        if isinstance(stage.contract, ArtifactContract):
            return write_artifact(self.store, folder, result, stage.contract)
        return write_result(self.store, folder, result)

    def _shards(self, stage: AnyStage, recipe: Recipe, folder: str, landed: Mapping[int, LandedFile]) -> Files:
        """What each landed file was decoded into, joined by part; a file that was decoded before is not opened."""

        def decode(item: InputRead) -> Files:
            of_file = replace(recipe, inputs=(item,))
            files = self.ledger.shard(of_file.digest)
            if files is None:
                batches = stage(**self._arguments(stage, of_file, landed))
                files = write_batches(self.store, self._private_store, folder, batches, stage.private_parts)
                self.ledger.record_shard(of_file.digest, stage.name, item.part, files)
            return files

        gathered: Files = {}
        with ThreadPoolExecutor(_FILES_AT_ONCE) as decoders:
            for files in decoders.map(decode, recipe.inputs):
                gathered.update({part: gathered.get(part, ()) + made for part, made in files.items()})
        return gathered

    def _arguments(self, stage: AnyStage, recipe: Recipe, landed: Mapping[int, LandedFile]) -> dict[str, Any]:
        values: dict[str, Any] = self.graph.configuration_of(stage)
        for name in stage.parameters:
            read = [item for item in recipe.inputs if item.parameter == name]
            if name == OWN_PARTITION:
                values[name] = recipe.partition
            elif name in self.graph.sources:
                values[name] = next((landed[item.record] for item in read), None)
            elif isinstance(stage.selections[name], EveryStage):
                values[name] = self.reader.catalogue(read)
            elif name not in values:
                values[name] = self.reader.load(name, stage.selections[name].side_part, read)
        return values

    def _landed_files(self, inputs: tuple[InputRead, ...]) -> dict[int, LandedFile]:
        observed = self.ledger.observed({item.record for item in inputs if item.is_file})
        return {
            seen.id: LandedFile(
                seen.source, seen.partition, seen.path, str(seen.digest), seen.size, seen.modified, self._landing
            )
            for seen in observed.values()
        }

    def _version(self, stage: AnyStage, recipe: Recipe, files: Files, started: float) -> Version:
        listed = [Part.of(name, made) for name, made in sorted(files.items())]
        own = tuple(part for part in listed if part.name not in stage.side_parts)
        side = tuple(part for part in listed if part.name in stage.side_parts)
        return Version(
            recipe=recipe.digest,
            context=stage.context,
            stage=stage.name,
            partition=recipe.partition,
            code_version=recipe.code_version,
            content=digest({part.name: part.content for part in listed}),
            parts=own,
            side_parts=side,
            fingerprint=self._fingerprint(stage, own, side),
            columns=_columns(stage),
            rows_read=self.reader.rows_of(recipe.inputs),
            seconds=round(time.perf_counter() - started, 3),
            computed_at=datetime.now(UTC),
            inputs=recipe.inputs,
        )

    def _fingerprint(self, stage: AnyStage, own: tuple[Part, ...], side: tuple[Part, ...]) -> Fingerprint:
        aside = {f"{part.name}_records": part.rows for part in side}
        if isinstance(stage.contract, ArtifactContract):
            value = stage.contract.read(self.store.locate(own[0].files[0].path))
            return {**stage.contract.fingerprint(value), **aside}
        expressions = stage.contract.fingerprint()
        if not expressions:
            return aside
        frame = self.reader.scan(own, stage.contract).select(**expressions)
        return {**_numbers(frame.collect(engine="streaming").row(0, named=True)), **aside}

    def _audit(self, stage: AnyStage, version: Version) -> Audit:
        findings = [
            f"{part.name}: {finding}"
            for part, contract in _contracts(stage, version)
            for finding in audit(contract, self.reader.scan((part,), contract))
        ]
        return Audit(Verdict.REFUSED if findings else Verdict.PASSED, tuple(findings))

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

    def _deliver(self, stage: AnyStage, version: Version) -> None:
        if stage.delivery is None or isinstance(stage.contract, ArtifactContract):
            return
        frame = self.reader.scan(version.parts, stage.contract)
        if set(CATALOGUE_TYPES) <= set(column_types(stage.contract)):
            frame = self.reader.located(frame)
        stage.delivery.deliver(self.graph.configuration[stage.delivery.target], version.recipe, frame)

    def _snapshot(self, stages: Collection[AnyStage]) -> Snapshot:
        names = [stage.name for stage in stages]
        return Snapshot(
            landed=landed_by_source(self.ledger.landed()),
            published=self.ledger.published(self.environment, names),
            refused=frozenset(self.ledger.refused(names)),
            delivered={stage.name: self._known_delivered(stage) for stage in stages if stage.delivery},
        )


def _contracts(stage: AnyStage, version: Version) -> Iterator[tuple[Part, type[Contract]]]:
    """The parts of a version that are frames, each with the contract that it is held against."""
    for part in version.side_parts:
        yield part, stage.side_parts[part.name]
    if not isinstance(stage.contract, ArtifactContract):
        for part in version.parts:
            yield part, stage.contract


def _columns(stage: AnyStage) -> Mapping[str, str]:
    if isinstance(stage.contract, ArtifactContract):
        return {}
    return {name: str(dtype) for name, dtype in column_types(stage.contract).items()}


def _numbers(row: Mapping[str, Any]) -> dict[str, int | float]:
    """The numbers of a fingerprint; a statistic of no rows is absent rather than zero."""
    return {name: value for name, value in row.items() if value is not None and value == value}  # noqa: PLR0124 - NaN
