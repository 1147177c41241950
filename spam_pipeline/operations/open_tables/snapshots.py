"""Snapshots of Iceberg tables: which files of the store a table has after a publication.

A snapshot lists manifests, and a manifest the files of all partitions whose keys begin alike, as the days of a month do. So a
publication writes one manifest of a month and one list of months, however many years a table has.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.typedef import Record

FORMAT: Final = 2
PUBLICATION = "spam-pipeline.publication"
"""The entry of a snapshot's summary that says which publication it is of."""

_CODEC: Final = "deflate"
_ALIKE = len("YYYY-MM")


@dataclass(frozen=True)
class TableChange:
    """What publications change in a table: the files of each partition from then on. `publication_id` is that of the last one."""

    publication_id: int
    published_at: datetime
    files: Mapping[str, Sequence[DataFile]]


def data_file(url: str, partition: str, rows: int, size: int) -> DataFile:
    """A file of the store as tables list it. Of its columns nothing is said: no file is read, and the key says which to open."""
    return DataFile.from_args(
        _table_format_version=FORMAT,
        content=DataFileContent.DATA,
        file_path=url,
        file_format=FileFormat.PARQUET,
        partition=Record(partition),
        record_count=rows,
        file_size_in_bytes=size,
    )


class SnapshotWriter:
    """Writes one snapshot of a table after the other, each from the one before. None counts until the table is committed."""

    def __init__(self, metadata: TableMetadata, schema: Schema, io: FileIO) -> None:
        self._last = metadata.current_snapshot()
        self._sequence_number = (self._last.sequence_number or 0) if self._last else 0
        self._place = f"{metadata.location}/metadata/{uuid4()}"
        self._spec, self._schema, self._io = metadata.spec(), schema, io
        self._manifests = {_beginning(item): item for item in (self._last.manifests(io) if self._last else ())}

    def write(self, change: TableChange) -> Snapshot:
        """Write what publications change."""
        self._sequence_number += 1
        manifests = {name: item for name, item in self._manifests.items() if _is_live(item)}
        for number, name in enumerate(sorted({key[:_ALIKE] for key in change.files})):
            entries = list(self._entries(manifests.pop(name, None), change, name))
            if entries:
                place = f"{self._place}-{change.publication_id}-{number}.avro"
                manifests[name] = self._write_manifest(entries, change.publication_id, place)
        self._manifests = manifests
        parent = self._last.snapshot_id if self._last else None
        place = f"{self._place}-{change.publication_id}.avro"
        with write_manifest_list(
            FORMAT, self._io.new_output(place), change.publication_id, parent, self._sequence_number, _CODEC
        ) as listed:
            listed.add_manifests(list(manifests.values()))
        self._last = Snapshot.model_validate(
            {
                "snapshot-id": change.publication_id,
                "parent-snapshot-id": parent,
                "sequence-number": self._sequence_number,
                "timestamp-ms": max(milliseconds(change.published_at), self._last.timestamp_ms if self._last else 0),
                "manifest-list": place,
                "summary": _summary(change, manifests.values()),
                "schema-id": self._schema.schema_id,
            }
        )
        return self._last

    def _entries(self, before: ManifestFile | None, change: TableChange, name: str) -> Iterator[ManifestEntry]:
        """The entries of a manifest: files that stay, files that go, and new ones."""
        new = [file for key, files in change.files.items() if key[:_ALIKE] == name for file in files]
        wanted = Counter(file.file_path for file in new)
        for entry in before.fetch_manifest_entry(self._io) if before else ():
            file, stays = entry.data_file, True
            if file.partition[0] in change.files:
                stays = wanted[file.file_path] > 0
                wanted[file.file_path] -= 1
            status = ManifestEntryStatus.EXISTING if stays else ManifestEntryStatus.DELETED
            since = entry.snapshot_id if stays else change.publication_id
            yield _entry(status, file, since, entry.sequence_number)
        for file in new:
            if wanted[file.file_path] > 0:
                wanted[file.file_path] -= 1
                yield _entry(ManifestEntryStatus.ADDED, file, change.publication_id, self._sequence_number)

    def _write_manifest(self, entries: Sequence[ManifestEntry], snapshot_id: int, place: str) -> ManifestFile:
        output = self._io.new_output(place)
        with write_manifest(FORMAT, self._spec, self._schema, output, snapshot_id, _CODEC) as manifest:
            for entry in entries:
                manifest.add_entry(entry)
        written = manifest.to_manifest_file()
        written.sequence_number = self._sequence_number
        return written


def milliseconds(moment: datetime) -> int:
    """The first whole millisecond at or after a time, so that a snapshot is not there before its publication was.

    >>> from datetime import UTC
    >>> milliseconds(datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC))
    1001
    """
    since = moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return -(-since // timedelta(milliseconds=1))


def _entry(
    status: ManifestEntryStatus, file: DataFile, snapshot_id: int | None, sequence_number: int | None
) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=snapshot_id,
        sequence_number=sequence_number,
        file_sequence_number=sequence_number,
        data_file=file,
    )


def _beginning(manifest: ManifestFile) -> str:
    """How all keys in a manifest begin."""
    keys = manifest.partitions or ()
    return (keys[0].lower_bound or b"").decode()[:_ALIKE] if keys else ""


def _is_live(manifest: ManifestFile) -> bool:
    return manifest.has_added_files() or manifest.has_existing_files()


def _summary(change: TableChange, manifests: Collection[ManifestFile]) -> Summary:
    """What engines show of a snapshot."""
    own = [item for item in manifests if item.added_snapshot_id == change.publication_id]
    added = sum(item.added_files_count or 0 for item in own)
    deleted = sum(item.deleted_files_count or 0 for item in own)
    operation = Operation.OVERWRITE if added and deleted else Operation.DELETE if deleted else Operation.APPEND
    live = [item for item in manifests if _is_live(item)]
    numbers = {
        "added-data-files": added,
        "deleted-data-files": deleted,
        "added-records": sum(item.added_rows_count or 0 for item in own),
        "deleted-records": sum(item.deleted_rows_count or 0 for item in own),
        "total-data-files": sum((item.added_files_count or 0) + (item.existing_files_count or 0) for item in live),
        "total-records": sum((item.added_rows_count or 0) + (item.existing_rows_count or 0) for item in live),
        PUBLICATION: change.publication_id,
    }
    partition = {"spam-pipeline.partition": next(iter(change.files))} if len(change.files) == 1 else {}
    return Summary(operation, **{name: str(number) for name, number in numbers.items()}, **partition)
