"""Computation of versions: the only place where the pipeline calls a stage's function. Also checks and measures their data.

A version is a pure function of its recipe. `planning` decides whether it is computed, `publishing` what becomes of it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract, columns_of
from spam_pipeline.protocol.definition.graph import AnyStage, StageGraph
from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.definition.selection import EveryStage
from spam_pipeline.protocol.definition.stage import CONTENTS_READ, OWN_PARTITION
from spam_pipeline.protocol.execution.audit import findings_on_data, findings_on_parts
from spam_pipeline.protocol.execution.small_files import decoded_together
from spam_pipeline.protocol.fingerprint import Fingerprint, measure
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import LandingChanged
from spam_pipeline.protocol.foundation.finding import Finding, Severity
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.recipe import InputRef, Recipe
from spam_pipeline.protocol.ledger.records import Part, Version
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.reader import Reader
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline.protocol.storage.writer import Files, write_artifact, write_batches, write_result

_AT_HAND_ROWS = 1_000_000
"""Rows of a version up to which it is read once for all measures and rules: some 150 MB of plays. Of more, each scans the files."""

_FILES_AT_ONCE = 2
"""Shards that are decoded side by side: one alone does not keep two cores busy."""


class Computation:
    """Computes versions from recipes into one store."""

    def __init__(  # noqa: PLR0913 - the places that a computation reads and writes, each named
        self,
        *,
        graph: StageGraph,
        ledger: Ledger,
        reader: Reader,
        store: Store,
        private_store: Store,
        landing: LandingZone,
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._reader = reader
        self._store = store
        self._private_store = private_store
        self._landing = landing

    def version(self, stage: AnyStage, recipe: Recipe) -> tuple[Version, list[Finding]]:
        """Compute the version of a recipe and write it to the store; the ledger does not know of it yet. With it, what breaks contracts.

        Raises `LandingChanged`, `StoreDamaged`, `WrongDefinition`, and whatever the stage's function raises.
        """
        started = time.perf_counter()
        return self._described(stage, recipe, self.files(stage, recipe), started)

    def files(self, stage: AnyStage, recipe: Recipe) -> Files:
        """Compute the files of a recipe; what the store has of them already stays as it is, unless it is damaged. Raises like `version`."""
        try:
            return self._files(stage, recipe)
        except LandingChanged as changed:
            self._observe_again(recipe, changed)
            raise

    def examined(
        self, stage: AnyStage, parts: Sequence[Part], side_parts: Sequence[Part]
    ) -> tuple[Fingerprint, list[Finding]]:
        """Measure a version's data and find what breaks the contracts of its parts; side parts are measured under their names."""
        aside: Fingerprint = {}
        found = [
            Finding("columns", part.name, Severity.REFUSE, "no such part", f"{part.rows} rows", size=1)
            for part in side_parts
            if part.name not in stage.side_parts
        ]
        for part in side_parts:
            if contract := stage.side_parts.get(part.name):
                fingerprint, findings = self._examined_frames(contract, [part])
                found += findings
                aside = {**aside, **{f"{part.name}_{name}": item for name, item in fingerprint.items()}}
        if isinstance(stage.contract, ArtifactContract):
            value = stage.contract.read(self._store.locate(parts[0].files[0].path))
            return {**stage.contract.fingerprint(value), **aside}, found
        fingerprint, findings = self._examined_frames(stage.contract, parts)
        return {**fingerprint, **aside}, found + findings

    def _examined_frames(self, contract: type[Contract], parts: Sequence[Part]) -> tuple[Fingerprint, list[Finding]]:
        """The same for parts of one contract: measured together, each checked by itself."""
        scanned = self._reader.scan(parts, contract)
        if sum(part.rows for part in parts) <= _AT_HAND_ROWS:
            whole = scanned.collect()
            found = findings_on_parts(contract, whole, [(part.name, part.rows) for part in parts])
            return measure(contract.fingerprint(), whole), found
        return measure(contract.fingerprint(), scanned), [
            finding
            for part in parts
            for finding in findings_on_data(contract, self._reader.scan((part,), contract), part.name)
        ]

    def _files(self, stage: AnyStage, recipe: Recipe) -> Files:
        folder = f"{stage.context}/{stage.name}/{recipe.partition}"
        landed = self._landed_files(recipe.inputs)
        if stage.file_by_file:
            return self._shards(stage, recipe, folder, landed)
        result = stage(**self._arguments(stage, recipe, landed))
        if isinstance(stage.contract, ArtifactContract):
            files = write_artifact(self._store, folder, result, stage.contract)
        else:
            files = write_result(self._store, folder, result)
        return files

    def _observe_again(self, recipe: Recipe, changed: LandingChanged) -> None:
        """Record the bytes that were found in place of the observed ones: size and times may be those of before.

        Otherwise nobody would look again, and each convergence would fail.
        """
        state = self._landing.state(changed.path)
        if state is None or changed.digest is None:
            return
        ids = {item.record for item in recipe.inputs if item.part == changed.path}
        self._ledger.observations.record(
            [
                replace(
                    item,
                    digest=changed.digest,
                    size=state.size,
                    marker=state.marker,
                    observed_at=datetime.now(UTC),
                    id=0,
                )
                for item in self._ledger.observations.by_id(ids).values()
            ]
        )

    def _shards(self, stage: AnyStage, recipe: Recipe, folder: str, landed: Mapping[int, LandedFile]) -> Files:
        """Decode landed files and join the shards by part; files whose shard is there undamaged are not opened."""

        def batches(items: Sequence[InputRef]) -> Iterator[tuple[str, pl.DataFrame]]:
            for item in items:
                yield from stage(**self._arguments(stage, replace(recipe, inputs=(item,)), landed))

        def decode(items: tuple[InputRef, ...]) -> Files:
            shard = replace(recipe, inputs=items).digest
            known = self._ledger.observations.shard(shard)
            files = None if known is None else public(known)
            if files is None or not all(self._store.has(file) for made in files.values() for file in made):
                made = write_batches(self._store, self._private_store, folder, batches(items), stage.private_parts)
                self._ledger.observations.record_shard(shard, stage.name, items[0].part, made)
                files = public(made)
            return files

        def public(files: Files) -> Files:
            return {part: made for part, made in files.items() if part not in stage.private_parts}

        one_by_one = [(item,) for item in recipe.inputs]
        groups = decoded_together(recipe.inputs, landed) if stage.small_files_together else one_by_one
        gathered: Files = {}
        with ThreadPoolExecutor(_FILES_AT_ONCE) as decoders:
            for files in decoders.map(decode, groups):
                gathered.update({part: gathered.get(part, ()) + made for part, made in files.items()})
        return gathered

    def _arguments(self, stage: AnyStage, recipe: Recipe, landed: Mapping[int, LandedFile]) -> dict[str, Any]:
        values: dict[str, Any] = self._graph.configuration_of(stage)
        for name in stage.parameters:
            read = [item for item in recipe.inputs if item.parameter == name]
            if name == OWN_PARTITION:
                values[name] = recipe.partition
            elif name == CONTENTS_READ:
                values[name] = recipe.contents()
            elif name in self._graph.sources:
                values[name] = next((landed[item.record] for item in read), None)
            elif isinstance(stage.inputs[name].partitions, EveryStage):
                values[name] = self._reader.catalogue(read)
            elif name not in values:
                values[name] = self._reader.load(name, read, stage.inputs[name])
        return values

    def _landed_files(self, inputs: tuple[InputRef, ...]) -> dict[int, LandedFile]:
        observed = self._ledger.observations.by_id({item.record for item in inputs if item.is_file})
        return {
            seen.id: LandedFile(seen.source, seen.partition, seen.path, str(seen.digest), seen.size, self._landing)
            for seen in observed.values()
        }

    def _described(
        self, stage: AnyStage, recipe: Recipe, files: Files, started: float
    ) -> tuple[Version, list[Finding]]:
        listed = [Part.of(name, made) for name, made in sorted(files.items())]
        own = tuple(part for part in listed if part.name not in stage.side_parts)
        side = tuple(part for part in listed if part.name in stage.side_parts)
        fingerprint, findings = self.examined(stage, own, side)
        version = Version(
            recipe=recipe.digest,
            context=stage.context,
            stage=stage.name,
            partition=recipe.partition,
            code_version=recipe.code_version,
            configuration=recipe.configuration,
            content=digest({part.name: part.content for part in listed}),
            parts=own,
            side_parts=side,
            fingerprint=fingerprint,
            schema_version=1 if isinstance(stage.contract, ArtifactContract) else stage.contract.schema_version,
            columns=columns_of(stage.contract),
            rows_read=self._reader.rows_of(recipe.inputs),
            seconds=round(time.perf_counter() - started, 3),
            computed_at=datetime.now(UTC),
            inputs=recipe.inputs,
        )
        return version, findings
