"""The catalogue of Iceberg tables: where engines find them, and where what changes in a table is committed as a whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, RESTError, TableAlreadyExistsError
from pyiceberg.io import FileIO
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, TableProperties
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertCreate,
    AssertRefSnapshotId,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Identifier

from spam_pipeline.operations.open_tables.schemas import (
    PARTITION_KEY,
    FieldIds,
    field_ids,
    mapped,
    name_mapping,
    paths_in,
    schema_of,
)
from spam_pipeline.operations.open_tables.snapshots import FORMAT, PUBLICATION, milliseconds
from spam_pipeline.protocol import Contract, PipelineError
from spam_pipeline.shown_urls import masked_url

NAME = "spam_pipeline"
"""The name of the catalogue: tables in a database stand under it, and its variables of pyiceberg begin with `PYICEBERG_CATALOG__SPAM_PIPELINE__`."""

_FIRST_FIELD_ID = 1000

_PROPERTIES = {
    "format-version": str(FORMAT),
    "gc.enabled": "false",  # files of the store are not the table's: an engine that expires snapshots must not delete them
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
}


class CatalogueUnusable(PipelineError):
    """A catalogue of tables cannot be opened, or has what this pipeline did not put there."""


@contextmanager
def opened(url: str, metadata: str | None) -> Iterator[Catalog]:
    """Open the catalogue at a URL: of SQLite or PostgreSQL, or of a REST server. New tables keep their metadata below `metadata`.

    Raises `CatalogueUnusable`, also when somebody else commits to a table meanwhile.
    """
    places = {"warehouse": _as_url(metadata)} if metadata else {}
    try:
        catalogue = load_catalog(NAME, uri=url, **places, **{"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"})
    except (sa.exc.SQLAlchemyError, RESTError, OSError, ValueError, ImportError) as error:
        shown = masked_url(url)
        raise CatalogueUnusable(f"the catalogue {shown} cannot be opened: {str(error).replace(url, shown)}") from error
    with closing(catalogue):
        yield catalogue


@dataclass(frozen=True)
class PreparedTable:
    """A table that is there, or is there with the next commit, and what that commit does beside adding snapshots."""

    table: Table
    schema: Schema
    requirement: TableRequirement
    updates: tuple[TableUpdate, ...]

    @property
    def metadata(self) -> TableMetadata:
        """The metadata as they are now."""
        return self.table.metadata


def prepared(
    catalogue: Catalog, name: Identifier, contract: type[Contract], own: Mapping[str, str], description: str
) -> PreparedTable:
    """Find a table, or prepare it: with the columns of a contract, and properties of its `own` that say whose it is.

    Raises `CatalogueUnusable` when it is somebody else's, or somebody else wrote to it last.
    """
    try:
        table = catalogue.load_table(name)
    except NoSuchTableError:
        return _new(catalogue, name, contract, {**_PROPERTIES, **own, "comment": description})
    current = table.current_snapshot()
    if any(table.properties.get(key) != value for key, value in own.items()):
        raise CatalogueUnusable(
            f"{'.'.join(name)} is a table of another ledger or environment: name a catalogue without it"
        )
    if current is None or current.summary is None or current.summary[PUBLICATION] is None:
        raise CatalogueUnusable(
            f"{'.'.join(name)} was written to by somebody else: drop it there, and it is exported anew"
        )
    return _present(table, current, contract)


def _new(
    catalogue: Catalog, name: Identifier, contract: type[Contract], properties: Mapping[str, str]
) -> PreparedTable:
    """A new table is committed with its first snapshots: they are older than it, which readers refuse of a table that was there."""
    catalogue.create_namespace_if_not_exists(name[:-1])
    key = PartitionField(1, _FIRST_FIELD_ID, IdentityTransform(), PARTITION_KEY)
    creation = catalogue.create_table_transaction(
        name,
        schema_of(contract, field_ids(contract, {})),
        partition_spec=PartitionSpec(key),
        properties=dict(properties),
    )
    table = creation._table  # noqa: SLF001 - the transaction itself cannot add snapshots
    ids = field_ids(contract, paths_in(table.schema()))  # they are numbered anew
    updates = (*creation._updates, _names(ids))  # noqa: SLF001 - the same
    return PreparedTable(table, table.schema(), AssertCreate(), updates)


def _present(table: Table, current: Snapshot, contract: type[Contract]) -> PreparedTable:
    requirement = AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": current.snapshot_id})
    ids = field_ids(contract, mapped(table.properties[TableProperties.DEFAULT_NAME_MAPPING]))
    schema = schema_of(contract, ids, max(item.schema_id for item in table.metadata.schemas) + 1)
    if schema.as_struct() == table.schema().as_struct():
        return PreparedTable(table, table.schema(), requirement, (_names(ids),))
    current_schema = SetCurrentSchemaUpdate.model_validate({"schema-id": schema.schema_id})
    updates = (AddSchemaUpdate(schema=schema), current_schema, _names(ids))
    return PreparedTable(table, schema, requirement, updates)


def _names(ids: FieldIds) -> SetPropertiesUpdate:
    return SetPropertiesUpdate(updates={TableProperties.DEFAULT_NAME_MAPPING: name_mapping(ids)})


def commit(catalogue: Catalog, to: PreparedTable, snapshots: Sequence[Snapshot], since: datetime | None) -> None:
    """Add snapshots to a table, the last of which is current, and forget those that nobody saw `since` a time any more."""
    forgotten, oldest = _forgotten([*to.metadata.snapshots, *snapshots], since)
    files = _metadata_files(forgotten, to.table.io)
    updates = [
        *to.updates,
        *(update for item in snapshots for update in (AddSnapshotUpdate(snapshot=item), _main(item))),
    ]
    if forgotten:
        ids = [item.snapshot_id for item in forgotten]
        updates.append(RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids}))
    try:
        catalogue.commit_table(to.table, (to.requirement,), tuple(updates))
    except (CommitFailedException, TableAlreadyExistsError) as error:
        raise CatalogueUnusable(f"somebody else changed a table meanwhile: run this again ({error})") from error
    for file in files - _metadata_files([oldest], to.table.io):
        to.table.io.delete(file)


def _main(snapshot: Snapshot) -> SetSnapshotRefUpdate:
    return SetSnapshotRefUpdate.model_validate(
        {
            "ref-name": MAIN_BRANCH,
            "type": SnapshotRefType.BRANCH,
            "snapshot-id": snapshot.snapshot_id,
        }
    )


def _forgotten(snapshots: Sequence[Snapshot], since: datetime | None) -> tuple[list[Snapshot], Snapshot]:
    """The snapshots that were superseded before a time, and the oldest of the others."""
    ordered = sorted(snapshots, key=lambda item: item.sequence_number or 0)
    if since is None:
        return [], ordered[0]
    kept = [number for number, after in enumerate(ordered[1:]) if after.timestamp_ms > milliseconds(since)]
    first = kept[0] if kept else len(ordered) - 1
    return ordered[:first], ordered[first]


def _metadata_files(snapshots: Iterable[Snapshot], io: FileIO) -> set[str]:
    """The files that snapshots consist of. A manifest that a snapshot no longer lists is in none after it."""
    manifests = {item.manifest_path for snapshot in snapshots for item in snapshot.manifests(io)}
    return manifests | {snapshot.manifest_list for snapshot in snapshots}


def _as_url(place: str) -> str:
    return place if "://" in place else f"file://{Path(place).absolute()}"
