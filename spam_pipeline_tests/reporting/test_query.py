"""Ad-hoc SQL: answers from what is published, and no way out."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from spam_pipeline.protocol import StoreDamaged, column_types
from spam_pipeline.reporting.contracts import Catalogue, DailyPlays
from spam_pipeline.reporting.errors import QueryRefused
from spam_pipeline.reporting.query import ask, connect

Publish = Callable[[str, str, str, pl.DataFrame], dict[str, Any]]

CATALOGUE = {**column_types(Catalogue), "location": pl.String()}
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def published(publish: Publish) -> dict[str, Any]:
    plays = pl.DataFrame({"event_id": ["a", "b"], "occurred_at": [NOON, NOON + timedelta(hours=1)]})
    return publish("ingestion", "plays", "2026-01-05", plays)


@pytest.fixture
def database(published: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    empty = {("reporting", "daily_plays"): DailyPlays.empty(), ("ingestion", "plays"): pl.LazyFrame({"other": [1]})}
    with connect(pl.DataFrame([published], schema=CATALOGUE), empty) as opened:
        yield opened


def test_a_query_answers_in_columns_and_rows(database: duckdb.DuckDBPyConnection) -> None:
    answer = ask(database, "SELECT partition_key, event_id, occurred_at FROM ingestion.plays ORDER BY event_id")
    assert answer.columns == ("partition_key", "event_id", "occurred_at")
    assert answer.rows == [("2026-01-05", "a", NOON), ("2026-01-05", "b", NOON + timedelta(hours=1))]


def test_columns_may_share_a_name_and_hold_what_frames_cannot(database: duckdb.DuckDBPyConnection) -> None:
    answer = ask(database, "SELECT max(occurred_at) - min(occurred_at) AS x, 1 AS x FROM ingestion.plays")
    assert (answer.columns, answer.rows) == (("x", "x"), [(timedelta(hours=1), 1)])


def test_a_stage_that_published_nothing_is_empty_and_has_its_columns(database: duckdb.DuckDBPyConnection) -> None:
    answer = ask(database, "SELECT * FROM reporting.daily_plays")
    assert (answer.columns, answer.rows) == (("partition_key", *column_types(DailyPlays)), [])


def test_nothing_published_at_all_can_be_queried() -> None:
    with connect(pl.DataFrame(schema=CATALOGUE)) as database:
        assert ask(database, "SELECT 1").rows == [(1,)]


@pytest.mark.parametrize(
    "sql", ["DESCRIBE ingestion.plays", "SUMMARIZE ingestion.plays", "SHOW ALL TABLES", "VALUES (1)"]
)
def test_looking_around_is_allowed(database: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert ask(database, sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('{folder}/*.parquet')",
        "SELECT * FROM read_parquet('{folder}/unpublished.parquet')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{folder}/made.csv''')",
        "SELECT * FROM enable_logging(storage = 'file', storage_path = '{folder}/log')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM published",
        "COPY (SELECT 1) TO '{folder}/made.csv'",
        "COPY (SELECT 1 AS x) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "COPY (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS x) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "SELECT 1; COPY (SELECT 1 AS x) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPORT DATABASE '{folder}/made'",
        "ATTACH '{folder}/made.db'",
        "ATTACH '{file}' AS published",
        "CREATE TABLE made AS SELECT 1",
        "DROP VIEW ingestion.plays",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET allowed_paths",
        "PRAGMA enable_profiling = 'json'",
        "SET VARIABLE x = 1",
        "INSTALL httpfs",
        "LOAD '{folder}/made.duckdb_extension'",
        "SELECT 1; SELECT 2",
        "SELEC 1",
        "SELECT no_such_column FROM ingestion.plays",
        "-- nothing",
        "",
    ],
)
def test_a_query_can_neither_leave_nor_write(
    database: duckdb.DuckDBPyConnection, published: dict[str, Any], tmp_path: Path, sql: str
) -> None:
    folder, file = tmp_path / "elsewhere", Path(published["location"])
    folder.mkdir()
    (folder / "secret.txt").write_text("a,b\n1,2\n")
    pl.DataFrame({"x": [1]}).write_parquet(folder / "unpublished.parquet")
    before = (sorted(tmp_path.rglob("*")), file.read_bytes())
    quoted = {"folder": folder, "secret": folder / "secret.txt", "file": file}
    with pytest.raises(QueryRefused):
        ask(database, sql.format(**{name: str(path).replace("'", "''") for name, path in quoted.items()}))
    assert (sorted(tmp_path.rglob("*")), file.read_bytes()) == before
    assert ask(database, "SELECT count(*) FROM ingestion.plays").rows == [(2,)]


@pytest.mark.parametrize("sql", ["SELECT * FROM read_text('{secret}')", "COPY (SELECT 1) TO '{secret}.csv'"])
def test_the_connection_itself_opens_no_file_that_is_not_published(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, sql: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    with pytest.raises(duckdb.PermissionException):
        database.execute(sql.format(secret=secret))


def test_the_connection_itself_stays_locked(database: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.InvalidInputException):
        database.execute("SET enable_external_access = true")


DAYS = ("2026-01-05", "2026-01-06")


@pytest.fixture
def two_stages(publish: Publish) -> pl.DataFrame:
    """A catalogue of two days of two stages."""
    plays = [publish("ingestion", "plays", day, pl.DataFrame({"event_id": [day]})) for day in DAYS]
    counts = [publish("reporting", "track_play_counts", day, pl.DataFrame({"plays": [1]})) for day in DAYS]
    return pl.DataFrame(plays + counts, schema=CATALOGUE)


EMPTY = {
    ("ingestion", "plays"): pl.LazyFrame(schema={"event_id": pl.String, "reasons": pl.List(pl.String)}),
    ("reporting", "track_play_counts"): pl.LazyFrame(schema={"plays": pl.Int64}),
}

READING_PLAYS = (
    "SELECT * FROM ingestion.plays",
    "SELECT count(*) FROM ingestion.plays",
    "SELECT event_id FROM ingestion.plays WHERE event_id = 'another'",
    "SELECT sum(length(event_id)) FROM ingestion.plays WHERE partition_key = '2026-01-06'",
    "SELECT 1 FROM ingestion.plays, reporting.track_play_counts",
)


class Checked:
    """Finds one file damaged, and remembers which ones were asked for."""

    def __init__(self, damaged: str) -> None:
        self.damaged = damaged
        self.asked: list[str] = []

    def __call__(self, file: str) -> None:
        self.asked.append(file)
        if file == self.damaged:
            raise StoreDamaged(file, "has bytes with the digest 123")


@pytest.mark.parametrize("sql", READING_PLAYS)
@pytest.mark.parametrize("damage", ["bytes", "lost", "unreadable"])
def test_a_damaged_file_fails_what_reads_it_and_nothing_else(two_stages: pl.DataFrame, damage: str, sql: str) -> None:
    damaged = two_stages.row(0, named=True)
    if damage == "lost":
        Path(damaged["location"]).unlink()
    elif damage == "unreadable":
        Path(damaged["location"]).write_bytes(b"no Parquet")
    with connect(two_stages, EMPTY, Checked(damaged["file"])) as database:
        with pytest.raises(QueryRefused, match=f"{damaged['file']} has bytes with the digest 123"):
            ask(database, sql)
        assert ask(database, "SELECT sum(plays) FROM reporting.track_play_counts").rows == [(2,)]
        assert ask(database, "SELECT 1").rows == [(1,)]


def test_only_files_that_are_read_are_checked(two_stages: pl.DataFrame) -> None:
    checked = Checked("none")
    with connect(two_stages, EMPTY, checked) as database:
        assert checked.asked == []
        ask(database, "SELECT * FROM reporting.track_play_counts")
        assert sorted(set(checked.asked)) == sorted(two_stages.filter(stage="track_play_counts")["file"])


def test_what_duckdb_cannot_read_though_its_bytes_are_right_is_an_error(two_stages: pl.DataFrame) -> None:
    Path(two_stages["location"][0]).write_bytes(b"no Parquet")
    with pytest.raises(duckdb.Error):
        connect(two_stages, EMPTY, Checked("none"))
