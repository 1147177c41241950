"""Searching for traces of people: everything that is landed, stored, delivered or kept in the home is looked through for them.

For ids and for their pseudonyms, in every way that they are written: keys in columns of Parquet and of the warehouse, in samples of
fingerprints, and as text, decimal, hexadecimal or eight bytes elsewhere. Reading only; `erasing` acts on what is found.
"""

import mmap
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import duckdb
import polars as pl
from upath import UPath

from spam_pipeline.ingestion.compression import DamagedStream, decompressed
from spam_pipeline.ingestion.erased_people import ADDRESS, ErasedPeople, Erasure, keys_of, made_with, marks_of
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.screening import Screening
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import JOURNAL, LandingZone, OnProgress, no_progress, rows_with

LANDING, REJECTED, STORE, LEDGER, HOME = "landing zone", "rejected records", "store", "ledger", "home"
"""The places that are searched; the home has what is delivered, and Dagster's storage if it is there."""

_SHORTEST_WORD = 6
"""Characters from which an id is looked for in any text: a shorter one is a number or a word that means something else."""

_OVERLAP_BYTES = 4096
_FILES_AT_ONCE = 2
_PARQUET, _DUCKDB = ".parquet", ".duckdb"


class WrongPerson(PipelineError):
    """Somebody who cannot be searched for: an address that is none, or an empty id."""


class Person(NamedTuple):
    """An id of a kind (`user`, `device` or `ip`), as clients send it. Never to be printed or logged."""

    kind: str
    identity: str


class Trace(NamedTuple):
    """A place in which somebody occurs: what it is, the file or row, and how many records, where they are counted.

    `version_id` is that of the version whose fingerprint it is.
    """

    place: str
    where: str
    records: int | None = None
    version_id: int | None = None


@dataclass(frozen=True)
class Needles:
    """People to search for, and the pseudonyms that they have under an identifier key."""

    people: Sequence[Person]
    identifier_key: str

    @cached_property
    def keys_by_kind(self) -> dict[str, pl.Series]:
        """The pseudonyms of each kind. Raises `WrongPerson`."""
        kinds = {person.kind for person in self.people}
        ids = {kind: pl.Series([one.identity for one in self.people if one.kind == kind]) for kind in sorted(kinds)}
        found = {kind: keys_of(some, kind, self.identifier_key) for kind, some in ids.items()}
        if any(not person.identity.strip() for person in self.people) or any(
            key.null_count() for key in found.values()
        ):
            raise WrongPerson("expected an id, and for an address IPv4 or IPv6")
        return found

    @cached_property
    def keys(self) -> frozenset[int]:
        """All pseudonyms."""
        return frozenset(key for keys in self.keys_by_kind.values() for key in keys)

    def erasures(self, by: str, reason: str, asked_at: datetime) -> list[Erasure]:
        """The entries that the list of erased people gets for them."""
        made = made_with(self.identifier_key)
        return [
            Erasure(kind, mark, made, by, reason, asked_at)
            for kind, keys in self.keys_by_kind.items()
            for mark in marks_of(keys, kind, self.identifier_key)
        ]

    def erased(self) -> ErasedPeople:
        """The people as if they had been erased now."""
        return ErasedPeople.of(self.erasures("", "", datetime.now(UTC)), self.identifier_key)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Everything by which text names them."""
        ids = {one.identity for one in self.people if len(one.identity) >= _SHORTEST_WORD or one.kind == ADDRESS}
        keys = {word for key in self.keys for word in (f"{key:016x}", f"{key:016X}", str(key))}
        return tuple(sorted(ids | keys))

    @cached_property
    def text(self) -> str:
        """A regular expression for these words, as every engine here reads it."""
        return rf"(?:^|[^0-9A-Za-z_])(?:{'|'.join(map(re.escape, self.words))})(?:$|[^0-9A-Za-z_])"

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[bytes]]:
        return re.compile(self.text), re.compile(self.text.encode())

    @cached_property
    def _raw_keys(self) -> tuple[bytes, ...]:
        return tuple(key.to_bytes(8, order) for key in sorted(self.keys) for order in ("little", "big"))

    @cached_property
    def _raw_words(self) -> tuple[bytes, ...]:
        return tuple(word.encode() for word in self.words)

    def are_in(self, text: str) -> bool:
        """Tell whether a text names one of them."""
        return any(word in text for word in self.words) and self._patterns[0].search(text) is not None

    def are_in_bytes(self, data: bytes | mmap.mmap) -> bool:
        """Tell whether bytes name one of them, as text or by a pseudonym of eight bytes. Words come first: a pattern takes a hundred times as long."""
        if any(data.find(key) >= 0 for key in self._raw_keys):
            return True
        return any(data.find(word) >= 0 for word in self._raw_words) and self._patterns[1].search(data) is not None


def traces(pipeline: Pipeline, people: Sequence[Person], on_progress: OnProgress = no_progress) -> list[Trace]:
    """Every place in which one of some people occurs. Reads everything. Raises `WrongPerson`."""
    settings = pipeline.settings
    needles = Needles(people, settings.identifier_key.get_secret_value())
    on_progress("searching the landing zone")
    found = list(landed_traces(pipeline, needles))
    for place, url in ((STORE, settings.store), (REJECTED, settings.rejected)):
        on_progress(f"searching the {place}")
        found += stored_traces(place, url, needles)
    on_progress("searching the ledger")
    found += [Trace(STORE, path) for path in pipeline.engine.journal.documents_with(needles.are_in, needles.keys)]
    rows = rows_with(settings.ledger, needles.are_in, needles.keys)
    found += [Trace(LEDGER, f"{row.table}: {row.about}", version_id=row.version_id) for row in rows]
    on_progress("searching the home")
    return found + list(_traces_in_home(pipeline, needles))


def landed_traces(pipeline: Pipeline, needles: Needles) -> Iterator[Trace]:
    """Landed files that hold records of people, with how many, or name them elsewhere."""
    zone, engine = pipeline.landing_zone, pipeline.engine
    screening = Screening(zone, engine.claims, needles.identifier_key)
    paths = sorted(state.path for state in zone.files())
    records = screening.count(paths, needles.erased())
    yield from (Trace(LANDING, path, count) for path, count in records.items())
    for path in paths:
        if path not in records and _occurs(zone, path, needles):
            yield Trace(LANDING, path)


def stored_traces(place: str, url: str, needles: Needles) -> list[Trace]:
    """Stored files with people in them, whether a version has them or not."""
    zone = LandingZone(url)
    # The journal is searched row by row, as the ledger is: its samples of keys show in no text.
    paths = sorted(state.path for state in zone.files() if not state.path.startswith(f"{JOURNAL}/"))
    with ThreadPoolExecutor(_FILES_AT_ONCE) as readers:
        found = readers.map(lambda path: _occurs(zone, path, needles), paths)
        return [Trace(place, path) for path, occurs in zip(paths, found, strict=True) if occurs]


def _traces_in_home(pipeline: Pipeline, needles: Needles) -> Iterator[Trace]:
    """Files below the home, and pages and the warehouse elsewhere; what was searched otherwise is left out.

    A warehouse on object storage is not looked into: it has just been replaced as a whole by one without them.
    """
    settings, home = pipeline.settings, pipeline.settings.home.absolute()
    searched = {Path(place) for place in (settings.landing_zone, settings.store, settings.rejected)}
    ledger = f"{home}/ledger.db"
    for file in sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        if not searched.isdisjoint(file.parents) or (str(file) == ledger and not settings.ledger_url):
            continue
        if _in_warehouse(file, needles) if file.suffix == _DUCKDB else _in_file(file, needles):
            yield Trace(HOME, str(file.relative_to(home)))
    if settings.reports_url:
        yield from stored_traces(str(settings.reports), str(settings.reports), needles)
    if (
        settings.warehouse_url
        and Path(str(settings.warehouse)).is_file()
        and _in_warehouse(settings.warehouse, needles)
    ):
        yield Trace(HOME, str(settings.warehouse))


def _occurs(zone: LandingZone, path: str, needles: Needles) -> bool:
    with suppress(FileNotFoundError), zone.open(path) as raw:
        return _in_parquet(raw, needles) if path.endswith(_PARQUET) else _in_stream(raw, path, needles)
    return False


def _in_stream(raw: BinaryIO, path: str, needles: Needles) -> bool:
    before = b""
    with suppress(DamagedStream):
        for piece in decompressed(raw, path):
            data = before + piece.data
            if needles.are_in_bytes(data):
                return True
            before = data[-_OVERLAP_BYTES:]
    return False


def _in_file(file: Path, needles: Needles) -> bool:
    with suppress(FileNotFoundError), file.open("rb") as raw:
        if file.suffix == _PARQUET:
            return _in_parquet(raw, needles)
        if not file.stat().st_size:
            return False
        with closing(mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            return needles.are_in_bytes(data)
    return False


def _in_parquet(raw: BinaryIO, needles: Needles) -> bool:
    """Search column by column: a whole day of plays takes several times the memory."""
    names = list(pl.read_parquet_schema(raw))
    return any(_in_column(pl.read_parquet(_from_start(raw), columns=[name])[name], needles) for name in names)


def _from_start(raw: BinaryIO) -> BinaryIO:
    raw.seek(0)
    return raw


def _in_column(values: pl.Series, needles: Needles) -> bool:
    match values.dtype:
        case pl.UInt64():
            return bool(values.is_in(list(needles.keys)).any())
        case pl.String():
            return bool(values.str.contains(needles.text).any())
        case pl.Binary():
            return any(map(needles.are_in_bytes, values.drop_nulls()))
        case pl.List() | pl.Array():
            return _in_column(values.explode(), needles)
        case pl.Struct():
            return any(_in_column(values.struct.field(name), needles) for name in values.struct.fields)
        case _:
            return False


def _in_warehouse(file: Path | UPath, needles: Needles) -> bool:
    """Search the tables of a DuckDB file, which lie compressed; its views are over stored files, which are searched there."""
    listed = (
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE database_name = 'searched' AND "
        "(schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables() WHERE database_name = 'searched')"
    )
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{str(file).replace(chr(39), chr(39) * 2)}' AS searched (TYPE duckdb, READ_ONLY)")
        columns = database.execute(listed).fetchall()
        return any(
            _holds(database, _quoted(schema, table), _quoted(column), needles) for schema, table, column in columns
        )


def _holds(database: duckdb.DuckDBPyConnection, table: str, column: str, needles: Needles) -> bool:
    query = f"SELECT count(*) FROM searched.{table} WHERE regexp_matches(CAST({column} AS VARCHAR), $text)"  # noqa: S608 - quoted names
    found: Any = database.execute(query, {"text": needles.text}).fetchone()
    return bool(found[0])


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def by_place(found: Iterable[Trace]) -> dict[str, list[Trace]]:
    """Traces by place, in the order in which they were found."""
    places: dict[str, list[Trace]] = {}
    for trace in found:
        places.setdefault(trace.place, []).append(trace)
    return places
