"""SQL over a store on S3: what is fetched for an answer, what a warehouse has, and still no way out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import polars as pl
import pytest

from spam_pipeline.protocol import StoreDamaged, column_types
from spam_pipeline.protocol.ledger.records import StoredFile
from spam_pipeline.protocol.storage.reader import HISTORY_TYPES
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline.protocol.storage.stored_file_system import StoredFileSystem
from spam_pipeline.protocol.storage.writer import write_result
from spam_pipeline.reporting import warehouse
from spam_pipeline.reporting.contracts import Catalogue
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.query import ask, connect
from spam_pipeline_tests.object_storage import ObjectStorage, fetched, kinds, object_storage

DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
LARGE_ROWS = 600_000
CATALOGUE = {**column_types(Catalogue), "location": pl.String()}
HISTORY = {**HISTORY_TYPES, "location": pl.String()}
COLUMNS = {"event_id": pl.Int64(), "hour": pl.Int64()}
EMPTY = {
    (context, stage): pl.LazyFrame(schema=COLUMNS)
    for context, stage in [("ingestion", "plays"), ("reporting", "track_play_counts")]
}


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorage]:
    with object_storage() as served:
        yield served


@dataclass
class Published:
    """Files of a store on S3, as a machine sees them that has none of them yet."""

    url: str
    files: Mapping[tuple[str, str, str], StoredFile]
    cache: Path

    @property
    def catalogue(self) -> pl.DataFrame:
        rows = [
            (*place, "all", file.path, file.rows, Path(file.path).stem, self.location(file))
            for place, file in self.files.items()
        ]
        return pl.DataFrame(rows, schema=CATALOGUE, orient="row")

    def location(self, file: StoredFile) -> str:
        return f"{self.url}/{file.path}"

    def remote(self, outdated: tuple[str, ...] = ()) -> StoredFileSystem:
        store = Store(self.url, self.cache)
        assert store.remote
        files = {self.location(file): file for file in self.files.values()}
        return StoredFileSystem("s3", files, outdated, store.find, store.remote.read)

    def connect(self, outdated: tuple[str, ...] = ()) -> duckdb.DuckDBPyConnection:
        return connect(self.catalogue, EMPTY, remote=self.remote(outdated))


def plays(rows: int, seed: int) -> pl.DataFrame:
    """Plays of which the hours are a hundredth of the bytes."""
    ids = np.random.default_rng(seed).integers(0, 2**62, rows)
    return pl.DataFrame({"event_id": ids, "hour": np.arange(rows) * 24 // rows}, schema=COLUMNS)


@pytest.fixture
def published(s3: ObjectStorage, tmp_path: Path) -> Published:
    """Ten days of plays, two of which are large, and of a small report."""
    url = f"{s3.url}{tmp_path}"
    store = Store(url, tmp_path / "another machine")
    files = {}
    for number, day in enumerate(DAYS):
        frame = plays(LARGE_ROWS if day in DAYS[:2] else 48, number)
        files["ingestion", "plays", day] = write_result(store, f"ingestion/plays/{day}", frame)["all"][0]
        report = plays(24, 100 + number)
        files["reporting", "track_play_counts", day] = write_result(
            store, f"reporting/track_play_counts/{day}", report
        )["all"][0]
    s3.take()
    return Published(url, files, tmp_path / "cache")


def test_a_question_about_no_stage_fetches_nothing(s3: ObjectStorage, published: Published) -> None:
    with published.connect() as database:
        assert ask(database, "SELECT count(*) FROM duckdb_views() WHERE schema_name = 'ingestion'").rows == [(1,)]
        assert ask(database, "DESCRIBE reporting.track_play_counts").rows
    assert s3.take() == []


def test_one_column_over_ten_days_is_fetched_with_few_requests(s3: ObjectStorage, published: Published) -> None:
    with published.connect() as database:
        assert ask(database, "SELECT count(*), max(hour) FROM ingestion.plays").rows == [(2 * LARGE_ROWS + 8 * 48, 23)]
    asked = s3.take()
    large = sum(file.bytes for file in published.files.values() if file.rows == LARGE_ROWS)
    assert kinds(asked) == {"GET": 8, "HEAD": 2, "GET range": kinds(asked)["GET range"]}
    assert len(asked) <= 24
    assert fetched(asked) < large / 10


def test_of_one_day_one_file_is_fetched(s3: ObjectStorage, published: Published) -> None:
    sql = f"SELECT count(DISTINCT event_id) FROM ingestion.plays WHERE partition_key = '{DAYS[5]}'"  # noqa: S608
    with published.connect() as database:
        assert ask(database, sql).rows == [(48,)]
    assert kinds(s3.take()) == {"GET": 1}


def test_rows_know_their_partition(published: Published) -> None:
    sql = "SELECT partition_key, count(*) FROM ingestion.plays GROUP BY ALL ORDER BY ALL LIMIT 3"
    with published.connect() as database:
        assert ask(database, sql).rows == [(DAYS[0], LARGE_ROWS), (DAYS[1], LARGE_ROWS), (DAYS[2], 48)]


def test_files_with_other_columns_than_today_have_nulls_in_them(published: Published) -> None:
    store = Store(published.url, published.cache)
    old = write_result(store, "ingestion/plays/2025-12-31", pl.DataFrame({"event_id": [1]}))["all"][0]
    published.files = {**published.files, ("ingestion", "plays", "2025-12-31"): old}
    with published.connect(outdated=(published.location(old),)) as database:
        found = ask(database, "SELECT event_id, hour FROM ingestion.plays WHERE partition_key < '2026'").rows
    assert found == [(1, None)]


@pytest.mark.parametrize("day", [DAYS[0], DAYS[9]], ids=["large", "small"])
@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "replaced"])
def test_damage_fails_what_reads_it_and_nothing_else(published: Published, day: str, *, is_lost: bool) -> None:
    damaged = published.files["ingestion", "plays", day]
    file_system = fsspec.filesystem("s3")
    if is_lost:
        file_system.rm_file(published.location(damaged))
    else:
        file_system.pipe_file(published.location(damaged), b"PAR1" + bytes(damaged.bytes - 4))
    with published.connect() as database:
        with pytest.raises(QueryRefused, match=f"{damaged.path} (is missing|has bytes with the digest)"):
            ask(database, "SELECT count(*) FROM ingestion.plays")
        assert ask(database, "SELECT count(*) FROM reporting.track_play_counts").rows == [(240,)]


WAYS_OUT = (
    "SELECT * FROM read_parquet('{url}/unpublished.parquet')",
    "SELECT * FROM read_text('{url}/secret.txt')",
    "SELECT * FROM glob('{url}/**')",
    "SELECT * FROM read_parquet('{url}/*/*/*/*.parquet')",
    "SELECT * FROM read_text('s3://another-bucket/secret.txt')",
    "SELECT * FROM read_text('{local}')",
    "COPY (SELECT 1) TO '{url}/made.csv'",
    "COPY (SELECT 1 AS x) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
    "ATTACH '{url}/secret.db'",
)


def state_of(place: str) -> dict[str, str]:
    file_system = fsspec.filesystem("s3")
    file_system.invalidate_cache()
    return {name: found["ETag"] for name, found in file_system.find(place, detail=True).items()}


def test_nobody_leaves_what_is_published_or_writes_to_it(published: Published, tmp_path: Path) -> None:
    file_system, local = fsspec.filesystem("s3"), tmp_path / "unpublished.parquet"
    pl.DataFrame({"x": [1]}).write_parquet(local)
    file_system.put_file(str(local), f"{published.url}/unpublished.parquet")
    file_system.pipe_file(f"{published.url}/secret.txt", b"secret")
    before = state_of(published.url)
    file = published.location(published.files["ingestion", "plays", DAYS[9]])
    with published.connect() as database:
        for way in WAYS_OUT:
            sql = way.format(url=published.url, local=local, file=file)
            with pytest.raises(QueryRefused):
                ask(database, sql)
            with pytest.raises((duckdb.Error, PermissionError)):
                database.execute(sql)
    assert state_of(published.url) == before


def test_the_file_system_knows_the_files_of_the_catalogue_and_writes_none(published: Published) -> None:
    remote = published.remote()
    file = published.location(published.files["ingestion", "plays", DAYS[9]])
    with pytest.raises(PermissionError, match="is never written"):
        remote.open(file, "wb")
    assert remote.glob(file) == [file]
    for elsewhere in (f"{published.url}/secret.txt", f"{published.url}/**"):
        assert remote.glob(elsewhere) == []
        with pytest.raises(FileNotFoundError):
            remote.open(elsewhere)


def deliver(published: Published, target: Path, remote: StoredFileSystem) -> None:
    spans = {"published_at": datetime(2026, 1, 11, tzinfo=UTC), "superseded_at": None}
    history = published.catalogue.with_columns(
        pl.lit(value, HISTORY[name]).alias(name) for name, value in spans.items()
    )
    warehouse.deliver(
        str(target), "recipe-1", published.catalogue.lazy(), history.select(*HISTORY).lazy(), EMPTY, remote
    )


def read_elsewhere(target: Path, sql: str) -> list[Any]:
    """What another machine gets from a copy of the file, with credentials of its own."""
    with duckdb.connect(target, read_only=True) as database:
        database.register_filesystem(fsspec.filesystem("s3"))
        return database.execute(sql).fetchall()


def test_a_warehouse_copies_what_is_small_and_knows_the_rest_by_its_urls(
    s3: ObjectStorage, published: Published, tmp_path: Path
) -> None:
    target = tmp_path / "warehouse.duckdb"
    deliver(published, target, published.remote())
    reports = sum(file.bytes for (context, *_), file in published.files.items() if context == "reporting")
    asked = s3.take()
    assert kinds(asked) == {"GET": 10}, "the report of each day, and nothing of the plays"
    assert fetched(asked) == reports
    with duckdb.connect(target, read_only=True) as database:
        assert database.execute("SELECT count(*) FROM reporting.track_play_counts").fetchall() == [(240,)]
    assert s3.take() == []
    rows = [(2 * LARGE_ROWS + 8 * 48,)]
    assert read_elsewhere(target, "SELECT count(hour) FROM ingestion.plays") == rows
    assert read_elsewhere(target, "SELECT count(hour) FROM ingestion.plays_as_of('2026-01-12')") == rows
    assert read_elsewhere(target, "SELECT count(hour) FROM ingestion.plays_as_of('2026-01-10')") == [(0,)]


def test_a_warehouse_is_delivered_though_a_file_is_lost_that_it_does_not_copy(
    published: Published, tmp_path: Path
) -> None:
    fsspec.filesystem("s3").rm_file(published.location(published.files["ingestion", "plays", DAYS[0]]))
    deliver(published, tmp_path / "warehouse.duckdb", published.remote())


def test_a_damaged_file_is_not_copied_into_a_warehouse(published: Published, tmp_path: Path) -> None:
    damaged = published.location(published.files["reporting", "track_play_counts", DAYS[3]])
    fsspec.filesystem("s3").pipe_file(damaged, b"abc")
    with pytest.raises(StoreDamaged):
        published.remote().require([damaged])
    with pytest.raises(duckdb.Error, match="has bytes with the digest"):
        deliver(published, tmp_path / "warehouse.duckdb", published.remote())
