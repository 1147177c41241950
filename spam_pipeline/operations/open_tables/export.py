"""Bringing Iceberg tables to what the ledger says: a snapshot for each publication that readers saw, numbered like it.

A table says itself which publications it has, so an export that is killed goes on where it was. A snapshot has the time of its
publication, so reading a table as of a time is reading the pipeline as of that time.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyiceberg.catalog import Catalog

from spam_pipeline.operations.open_tables.catalogue import PreparedTable, commit, prepared
from spam_pipeline.operations.open_tables.snapshots import SnapshotWriter, TableChange, data_file
from spam_pipeline.protocol import ArtifactContract, Contract
from spam_pipeline.protocol.operating import AnyStage, Engine, OnProgress, PointerChange, no_progress, pointer_changes

_AT_ONCE = 100
"""Snapshots of a table that are committed together: each commit writes the list of all of them."""


@dataclass(frozen=True)
class Exported:
    """What an export did: tables that changed, snapshots added, and the last publication that a table has now."""

    tables: int
    snapshots: int
    last: int


def export(
    engine: Engine, catalogue: Catalog, since: datetime | None = None, on_progress: OnProgress = no_progress
) -> Exported:
    """Bring the table of each stage of frames that was ever published up to date.

    What was superseded before `since` is left out, and forgotten where tables have it. Raises `CatalogueUnusable`.
    """
    stages = {
        item.name: item for item in engine.graph.stages.values() if not isinstance(item.contract, ArtifactContract)
    }
    found = pointer_changes(engine.ledger.publications(engine.environment, list(stages)), engine.environment)
    changed, added = 0, 0
    for done, (name, changes) in enumerate(sorted(found.items())):
        on_progress(f"exporting {name}", done, len(found))
        some = _export_table(engine, catalogue, stages[name], changes, since)
        changed, added = changed + bool(some), added + some
    return Exported(changed, added, max((item.publication_id for items in found.values() for item in items), default=0))


def _export_table(
    engine: Engine, catalogue: Catalog, stage: AnyStage, changes: Sequence[PointerChange], since: datetime | None
) -> int:
    """Add what a stage's table lacks; return the number of snapshots."""
    added = 0
    while True:
        table = _prepared(engine, catalogue, stage)
        steps = list(together(missing(changes, {item.snapshot_id for item in table.metadata.snapshots}), since))
        if not steps:
            return added
        some = steps[:_AT_ONCE]
        writer = SnapshotWriter(table.metadata, table.schema, table.table.io)
        commit(catalogue, table, [writer.write(item) for item in _table_changes(engine, some)], since)
        added += len(some)


def _prepared(engine: Engine, catalogue: Catalog, stage: AnyStage) -> PreparedTable:
    own = {"spam-pipeline.ledger": engine.ledger.identity, "spam-pipeline.environment": engine.environment}
    contract: type[Contract] = stage.contract  # type: ignore[assignment]  # those of artifacts have no table
    return prepared(catalogue, (stage.context, stage.name), contract, own, stage.description)


def missing(changes: Sequence[PointerChange], known: Collection[int]) -> list[PointerChange]:
    """The changes that a table with some snapshots lacks.

    In PostgreSQL a publication can appear after one with a higher number. What is older than the table's first snapshot is in it,
    or was forgotten.

    >>> moment = datetime(2026, 1, 7)
    >>> changes = [PointerChange(number, moment, day, number) for number, day in [(1, "a"), (2, "b"), (3, "c"), (4, "b")]]
    >>> [change.publication_id for change in missing(changes, {1, 4})]
    [3]
    """
    first = min(known, default=0)
    last = {item.partition: item.publication_id for item in changes if item.publication_id in known}
    return [item for item in changes if item.publication_id > max(first, last.get(item.partition, 0))]


def together(changes: Sequence[PointerChange], since: datetime | None) -> Iterator[list[PointerChange]]:
    """Divide changes into those of one snapshot each; all that were published before `since` have one."""
    early = [item for item in changes if since and item.published_at < since]
    if early:
        yield early
    yield from ([item] for item in changes[len(early) :])


def _table_changes(engine: Engine, steps: Sequence[Sequence[PointerChange]]) -> Iterator[TableChange]:
    lasting = [{item.partition: item for item in step} for step in steps]
    ids = {item.version_id for step in lasting for item in step.values() if item.version_id is not None}
    files, versions = engine.ledger.files(ids), engine.ledger.made_by_id(ids)
    store = engine.stores[0]
    for step, last in zip(steps, lasting, strict=True):
        listed = {
            key: [
                data_file(_as_url(store.location(file.path)), key, file.rows, file.bytes)
                for part in (versions[item.version_id].parts if item.version_id is not None else ())
                for file in files[item.version_id or 0][part.name]
                if file.rows
            ]
            for key, item in last.items()
        }
        yield TableChange(step[-1].publication_id, step[-1].published_at, listed)


def _as_url(location: str) -> str:
    return location if "://" in location else f"file://{location}"
