"""Reading published versions: frames, artifacts, and the catalogue of all of them.

A reader sees published versions only, except where a version is handed to it, and those of one moment: frames are lazy
scans of immutable files, so what is published later does not change a frame in hand.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from spam_pipeline.protocol.definition.columns import described_columns
from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract, columns_of
from spam_pipeline.protocol.definition.delivery import DescribedStage
from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.definition.reads import ALL_COLUMNS, Reads
from spam_pipeline.protocol.foundation.errors import Held, NotPublished, Pruned, StoreDamaged, WrongDefinition
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.publication_spans import spans
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import Part, Publication, StoredFile, Version
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline.protocol.storage.stored_file_system import StoredFileSystem

CATALOGUE_TYPES = {
    "context": pl.String(),
    "stage": pl.String(),
    "partition": pl.String(),
    "part": pl.String(),
    "file": pl.String(),
    "rows": pl.Int64(),
    "content": pl.String(),
}
"""Columns of the catalogue: one row per published file; `file` is its path below the store's root."""

HISTORY_TYPES = {
    **CATALOGUE_TYPES,
    "published_at": pl.Datetime("us", "UTC"),
    "superseded_at": pl.Datetime("us", "UTC"),
}
"""Columns of the history: one row per file and publication span; see `publication_spans`."""


class Reader:
    """Published data of one environment."""

    def __init__(self, graph: StageGraph, ledger: Ledger, store: Store, environment: str) -> None:
        self._graph = graph
        self._ledger = ledger
        self._store = store
        self._environment = environment

    def read(self, name: str, partitions: Sequence[str], as_of: datetime | None = None) -> Any:
        """The published data of some partitions of a stage: one lazy frame, or the artifact of a single partition.

        Raises `NotPublished` when one of them is not published (or was not, at `as_of`), `Pruned` when its data is gone, and
        `WrongPartition` for a wrong key.
        """
        stage = self._graph.find([name])[0]
        versions = [self.version(name, partition, as_of) for partition in partitions]
        if isinstance(stage.contract, ArtifactContract):
            return self._artifact(stage.contract, versions[0].parts[0].files[0])
        return self.scan([part for version in versions for part in version.parts], stage.contract)

    def version(self, name: str, partition: str, as_of: datetime | None = None) -> Version:
        """The published version of one partition. Raises like `read`."""
        stage = self._graph.find([name])[0]
        stage.partitions.check(partition)
        found = self._ledger.published_version(self._environment, name, partition, as_of)
        if found is None:
            moment = f" at {as_of.isoformat()}" if as_of else ""
            raise NotPublished(f"{name} {partition} is not published in {self._environment}{moment}")
        return found

    def load(self, name: str, read: Sequence[InputRef], reads: Reads = ALL_COLUMNS) -> Any:
        """Load an input of a stage: exactly the parts in `read`, in their order, and of them the columns that `reads` declares.

        Raises `Held` when a part is still published in a schema that cannot be converted to the one that is read.
        """
        stage = self._graph.stages[name]
        stored = self._ledger.files({item.record for item in read})
        files = {item: stored[item.record][item.part] for item in read}
        if isinstance(stage.contract, ArtifactContract):
            return self._artifact(stage.contract, files[read[0]][0])
        side_part = reads.partitions.side_part
        if side_part or reads.schema_read is None:
            contract = stage.side_parts[side_part] if side_part else stage.contract
            return self._scan_inputs([file for item in read for file in files[item]], contract)
        return self._in_schema(stage.contract, files, reads)

    def _in_schema(
        self, contract: type[Contract], files: Mapping[InputRef, Sequence[StoredFile]], reads: Reads
    ) -> pl.LazyFrame:
        """Convert parts to the schema that a consumer reads, whichever each of them was written in."""
        if not contract.earlier_schemas():
            return reads.of(self._scan_inputs([file for some in files.values() for file in some], contract), contract)
        written = self._ledger.schema_versions({item.record for item in files})
        frames = [reads.of(contract.empty(), contract)]
        for item, some in files.items():
            frame, found = self._scan_inputs(some, contract), written[item.record]
            if found == contract.schema_version:
                frames.append(reads.of(frame, contract))
            elif found == reads.schema_read:
                frames.append(frame.select(frames[0].collect_schema().names()))
            else:
                raise Held(f"{item.upstream} {item.partition} is still published in schema {found}")
        return pl.concat(frames)

    def rows_of(self, read: Sequence[InputRef]) -> int:
        """Rows in the parts that were read; landed files count nothing."""
        stored = self._ledger.files({item.record for item in read if not item.is_file})
        return sum(file.rows for item in read if not item.is_file for file in stored[item.record][item.part])

    def scan(self, parts: Collection[Part], contract: type[Contract]) -> pl.LazyFrame:
        """The rows of some parts, one after the other."""
        return self._scan_files([file for part in parts for file in part.files], contract)

    def rows(self, version: Version) -> pl.LazyFrame:
        """The rows of a version of a stage of frames, whether it is published or not."""
        contract = self._graph.stages[version.stage].contract
        if isinstance(contract, ArtifactContract):
            raise WrongDefinition(f"{version.stage} publishes {contract.suffix} files, which have no rows")
        return self.scan(version.parts, contract)

    def version_of_recipe(self, recipe: str) -> Version | None:
        """The version of a recipe, if the ledger knows it."""
        found = self._ledger.version(recipe, self._environment)
        return found[0] if found else None

    def seen_before(self, version: Version) -> Version | None:
        """The version that readers of a partition saw before a published one; None if there was none."""
        publications = [
            item
            for item in self._ledger.publications(self._environment, [version.stage])
            if item.partition == version.partition
        ]
        earlier = [span.version_id for span in spans(publications, self._environment) if span.version_id != version.id]
        return self._ledger.version_of_id(earlier[-1]) if earlier else None

    def published_at(self, version: Version) -> datetime | None:
        """The time at which a version was last published; None if it never was."""
        return self._ledger.published_at(self._environment, [version.id]).get(version.id)

    def catalogue(self, read: Sequence[InputRef]) -> pl.LazyFrame:
        """One row per file behind the parts in `read`, ordered by stage, partition, part and file."""
        stored = self._ledger.files({item.record for item in read})
        rows = [
            (stage.context, stage.name, item.partition, item.part, file.path, file.rows, item.content)
            for item in read
            for stage in [self._graph.stages[item.upstream]]
            for file in stored[item.record][item.part]
        ]
        frame = pl.LazyFrame(rows, schema=CATALOGUE_TYPES, orient="row")
        return frame.sort("context", "stage", "partition", "part", "file")

    def published(self, as_of: datetime | None = None) -> list[InputRef]:
        """Every part of all published frames, now or at `as_of`."""
        names = [
            stage.name for stage in self._graph.stages.values() if not isinstance(stage.contract, ArtifactContract)
        ]
        published = self._ledger.published(self._environment, names, as_of)
        return [
            InputRef(name, name, partition, part.name, part.content, version.version_id)
            for name, by_partition in published.items()
            for partition, version in by_partition.items()
            for part in version.parts
        ]

    def history(self) -> pl.LazyFrame:
        """Every file that readers ever saw of the stages in the catalogue, with its publication spans and location.

        What was pruned is left out, as far as nothing else has the same files.
        """
        stages = {
            stage.name: stage
            for stage in self._graph.stages.values()
            if stage.delivery is None and not isinstance(stage.contract, ArtifactContract)
        }
        by_place: dict[tuple[str, str], list[Publication]] = defaultdict(list)
        for item in self._ledger.publications(self._environment, list(stages)):
            by_place[item.stage, item.partition].append(item)
        seen = {place: list(spans(items, self._environment)) for place, items in by_place.items()}
        ids = {span.version_id for found in seen.values() for span in found}
        versions, files, pruned = self._ledger.made_by_id(ids), self._ledger.files(ids), self._ledger.prunings.of(ids)
        owned = {
            file.path for version_id in ids - pruned.keys() for made in files[version_id].values() for file in made
        }
        rows = [
            (stages[name].context, name, partition, part.name, file.path, file.rows, part.content, *span[1:])
            for (name, partition), found in seen.items()
            for span in found
            for part in versions[span.version_id].parts
            for file in files[span.version_id][part.name]
            if file.path in owned
        ]
        frame = pl.LazyFrame(rows, schema=HISTORY_TYPES, orient="row")
        return self.located(frame.sort("context", "stage", "partition", "published_at", "part", "file"))

    def located(self, catalogue: pl.LazyFrame) -> pl.LazyFrame:
        """A catalogue with the column `location`: the path of each file on this machine, or its URL in a remote store.

        Whoever reads one checks it first, so that a damaged or lost file concerns nobody else.
        """
        paths = catalogue.select("file").unique().collect()["file"].to_list()
        places = {"file": paths, "location": [self._store.location(path) for path in paths]}
        return catalogue.join(
            pl.LazyFrame(places, schema={"file": pl.String, "location": pl.String}), on="file", maintain_order="left"
        )

    def check(self, file: str) -> None:
        """Raise `StoreDamaged` unless the file of a catalogue has the bytes that its name promises; see `Store.locate`. Raises `Pruned`."""
        with self._naming_pruned():
            self._store.locate(file)

    def file_system(self, read: Sequence[InputRef]) -> StoredFileSystem | None:
        """The files behind the parts in `read` by their locations, as DuckDB takes them; None when they are on this machine."""
        remote = self._store.remote
        if remote is None:
            return None
        stored = self._ledger.files({item.record for item in read})
        files = {item: stored[item.record][item.part] for item in read}
        written = self._ledger.columns({item.record for item in read})
        present = {item.upstream: columns_of(self._graph.stages[item.upstream].contract) for item in read}
        outdated = [
            file for item, some in files.items() if written[item.record] != present[item.upstream] for file in some
        ]
        return StoredFileSystem(
            remote.protocol,
            {remote.url(file.path): file for some in files.values() for file in some},
            {remote.url(file.path) for file in outdated},
            self._find,
            remote.read,
        )

    def empty_frames(self, *, with_delivered: bool = True) -> dict[tuple[str, str], pl.LazyFrame]:
        """A frame without rows for every stage of frames, by context and name; on request without delivered ones."""
        return {
            (stage.context, stage.name): stage.contract.empty()
            for stage in self._graph.stages.values()
            if not isinstance(stage.contract, ArtifactContract) and (with_delivered or stage.delivery is None)
        }

    def described(self) -> dict[tuple[str, str], DescribedStage]:
        """What people read about every stage of frames, by context and name."""
        return {
            (stage.context, stage.name): DescribedStage(
                stage.description,
                {column.name: column.sentence for column in described_columns(stage.contract) if column.sentence},
            )
            for stage in self._graph.stages.values()
            if not isinstance(stage.contract, ArtifactContract)
        }

    def _artifact(self, contract: ArtifactContract, file: StoredFile) -> Any:
        with self._naming_pruned():
            return contract.read(self._store.locate(file.path))

    def _scan_files(self, files: Sequence[StoredFile], contract: type[Contract]) -> pl.LazyFrame:
        with self._naming_pruned():
            return self._store.scan(files) if files else contract.empty()

    def _scan_inputs(self, files: Sequence[StoredFile], contract: type[Contract]) -> pl.LazyFrame:
        """Scan inputs of a computation, which reads them several times, as those of the next partitions often do."""
        with self._naming_pruned():
            return self._store.scan(files, repeatedly=True) if files else contract.empty()

    def _find(self, files: Sequence[StoredFile]) -> list[Path | None]:
        with self._naming_pruned():
            return self._store.find(files)

    @contextmanager
    def _naming_pruned(self) -> Iterator[None]:
        """Raise `Pruned` for a file that is missing because retention has given up whatever had it."""
        try:
            yield
        except StoreDamaged as damage:
            pruned = self._ledger.prunings.of_file(damage.path)
            if pruned is None:
                raise
            _, stage, partition, _ = damage.path.split("/")
            raise Pruned(
                f"{stage} {partition}: {pruned}, and its data is gone; spam-pipeline versions {stage} {partition} shows what it was, "
                "and it is computed again once it is wanted"
            ) from damage
