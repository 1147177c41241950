"""The Python interface, and two promises that hold over everything that is published: nobody is named, and no record is lost."""

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import zstandard

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.operations.pipeline import Pipeline, WrongMoment, moment
from spam_pipeline.operations.pipeline import Pipeline as PipelineOfThePackage
from spam_pipeline.protocol import NotPublished, WrongPartition, column_types
from spam_pipeline.protocol.fingerprint import measure, numbers
from spam_pipeline.protocol.operating import Verdict, WrongDefinition, run_partition
from spam_pipeline_tests.conftest import DAYS, START, open_home
from spam_pipeline_tests.simulation.landing_reader import Read, read_landing

DAY = "2026-01-05"
IDENTIFIERS = {"users", "networks", "user_agents", "tracks"}
"""What is measured by a sample of keys, and so merges by estimates."""


@pytest.fixture(scope="module")
def pipeline(converged_home: Path) -> Iterator[Pipeline]:
    opened = open_home(converged_home)
    yield opened
    opened.engine.ledger.close()


@pytest.fixture(scope="module")
def landed(converged_home: Path) -> Read:
    """What landed, read by nobody's code but the tests'."""
    return read_landing(converged_home / "landing")


def rows(read: object) -> pl.DataFrame:
    assert isinstance(read, pl.LazyFrame)
    return read.collect()


# Pipeline


def test_the_package_offers_the_pipeline() -> None:
    assert PipelineOfThePackage is Pipeline


@pytest.mark.usefixtures("no_settings")
def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPAM_PIPELINE_HOME", str(tmp_path / "home"))
    assert Pipeline().settings.landing == tmp_path / "home" / "landing"
    assert not (tmp_path / "home").exists(), "nothing is made before it is needed"


def test_a_partition_is_a_lazy_frame_of_the_stages_contract(pipeline: Pipeline) -> None:
    plays = rows(pipeline.read("plays", DAY))
    assert dict(plays.schema) == column_types(Plays)
    assert plays.height > 0
    assert set(plays["occurred_at"].dt.date().cast(pl.String)) == {DAY}


def test_several_partitions_are_one_frame_in_their_order(pipeline: Pipeline) -> None:
    apart = [rows(pipeline.read("plays", day)) for day in DAYS[:3]]
    assert rows(pipeline.read("plays", DAYS[:3])).equals(pl.concat(apart))


def test_the_published_partitions_of_a_stage_are_listed_in_their_order(tmp_path: Path, pipeline: Pipeline) -> None:
    assert pipeline.partitions("plays") == list(DAYS)
    assert pipeline.partitions("tracks") == ["all"]
    assert open_home(tmp_path / "nothing").partitions("plays") == []


def test_a_stage_without_partitions_needs_no_key(pipeline: Pipeline) -> None:
    assert rows(pipeline.read("tracks")).height > 0


def test_an_artifact_is_read_as_what_it_is(pipeline: Pipeline) -> None:
    model = pipeline.read("spam_model")
    assert type(model).__module__.startswith("spam_pipeline.trust_and_safety")


def test_reading_the_past_gives_what_was_published_then(own_home: Path) -> None:
    pipeline = open_home(own_home)
    before = datetime.now(UTC)
    was = rows(pipeline.read("rejected", DAYS[-1]))
    folder = own_home / "landing" / "plays" / DAYS[-1] / "23"
    (folder / "one-more.jsonl").write_text("no play at all\n", encoding="utf-8")
    pipeline.engine.observe()
    for stage in ("received_plays", "rejected"):
        run_partition(pipeline.engine, stage, DAYS[-1])
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert rows(pipeline.read("rejected", DAYS[-1])).height == was.height + 1
    for then in (before, before.isoformat(), before.replace(tzinfo=None).isoformat(), before.replace(tzinfo=None)):
        assert rows(pipeline.read("rejected", DAYS[-1], as_of=then)).equals(was), then
    assert rows(pipeline.read("rejected", DAYS[-1], as_of=tomorrow.isoformat())).height == was.height + 1
    assert len(pipeline.versions("rejected", DAYS[-1])) == 2


@pytest.mark.parametrize("as_of", ["2026-01-05", "2026-01-05T12:00:00+01:00", datetime(2026, 1, 5, tzinfo=UTC)])
def test_nothing_was_published_before_anything_was_computed(pipeline: Pipeline, as_of: str | datetime) -> None:
    with pytest.raises(NotPublished, match=r"^plays 2026-01-05 is not published in production at 2026-01-05T"):
        pipeline.read("plays", DAY, as_of=as_of)


def test_one_partition_that_is_not_published_fails_all_of_them(pipeline: Pipeline) -> None:
    with pytest.raises(NotPublished, match=r"^plays 2025-12-31 is not published in production$"):
        pipeline.read("plays", [DAY, "2025-12-31"])


def test_another_environment_reads_through_to_production(converged_home: Path, pipeline: Pipeline) -> None:
    night = open_home(converged_home, environment="night")
    assert rows(night.read("plays", DAY)).equals(rows(pipeline.read("plays", DAY)))


def test_wrong_names_are_errors_of_their_own(pipeline: Pipeline) -> None:
    with pytest.raises(WrongDefinition, match="no stage is called nosuch; there are "):
        pipeline.read("nosuch", DAY)
    with pytest.raises(WrongPartition, match="'2026-02-30' is no event day: expected YYYY-MM-DD"):
        pipeline.read("plays", "2026-02-30")
    with pytest.raises(WrongPartition, match="plays has a partition for each event day: name one, YYYY-MM-DD"):
        pipeline.versions("plays")
    with pytest.raises(WrongMoment, match="'soon' is not a point in time"):
        pipeline.read("plays", DAY, as_of="soon")


def test_a_date_means_its_end_and_a_time_without_offset_is_utc() -> None:
    last = datetime(2026, 2, 3, 23, 59, 59, 999_999, tzinfo=UTC)
    noon = datetime(2026, 2, 3, 12, tzinfo=UTC)
    assert (moment("2026-02-03"), moment("20260203")) == (last, last)
    assert moment("2026-02-03T12:00") == moment("2026-02-03 13:00+01:00") == moment(noon) == noon
    assert moment(noon.replace(tzinfo=None)) == noon
    assert moment(None) is None


def test_versions_carry_their_audit_and_when_they_were_published(pipeline: Pipeline) -> None:
    found = pipeline.versions("plays", DAY)
    [(version, audit)] = found
    assert (version.stage, version.partition, version.context) == ("plays", DAY, "ingestion")
    assert audit.verdict is Verdict.PASSED
    assert pipeline.published_at(found)[version.id] >= version.computed_at


def test_a_query_sees_every_stage_of_frames_under_its_context(pipeline: Pipeline) -> None:
    with pipeline.query() as connection:
        seen = connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
        counted = connection.execute("select count(*) from ingestion.plays where partition_key = ?", [DAY]).fetchall()
    frames = {
        (stage.context, stage.name) for stage in pipeline.graph.stages.values() if isinstance(stage.contract, type)
    }
    assert frames <= set(seen)
    assert counted == [(rows(pipeline.read("plays", DAY)).height,)]


def test_a_query_as_of_a_moment_before_everything_says_so(pipeline: Pipeline) -> None:
    with pytest.raises(NotPublished, match=r"nothing was published in production by 2026-01-01T23:59:59.*: the first"):
        pipeline.query(as_of=START.isoformat())


def test_a_query_of_the_past_where_nothing_ever_was_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotPublished, match="spam-pipeline converge"):
        open_home(tmp_path / "nothing").query(as_of=START.isoformat())


# Nobody is named


def mentions(texts: pl.Series, names: list[str]) -> bool:
    """Whether any of the texts contains any of the names."""
    return bool(texts.str.contains_any(names).any())


def as_text(file: Path) -> pl.Series:
    """The bytes of a file, of the journal's decompressed, each as the character of its number."""
    with file.open("rb") as raw:
        content = zstandard.ZstdDecompressor().stream_reader(raw).read() if file.suffix == ".zst" else raw.read()
    return pl.Series([content.decode("latin-1")])


def texts_of(frame: pl.DataFrame) -> Iterator[pl.Series]:
    """Every text in a frame, also those in lists."""
    for column in frame.iter_columns():
        values = column.explode() if isinstance(column.dtype, pl.List) else column
        if values.dtype == pl.Binary:
            yield pl.Series([bytes(value).decode("latin-1") for value in values.drop_nulls()], dtype=pl.String)
        if values.dtype == pl.String:
            yield values


@pytest.fixture(scope="module")
def people(converged_home: Path, landed: Read) -> list[str]:
    """Every raw id of a user or a device and every address that landed anywhere."""
    reference = converged_home / "landing"
    incidents = pl.read_csv(reference / "incidents.csv", infer_schema=False)
    of_people = incidents.filter(pl.col("entity_type").is_in(["user", "device", "ip"]))["entity_id"]
    accounts = pl.read_csv(reference / "reference" / "accounts.csv", infer_schema=False)["user_id"]
    of_events = (event[field] for event in landed.events for field in ("user_id", "device_id", "ip"))
    return sorted({*of_people, *accounts, *(value for value in of_events if value)})


def test_the_search_for_names_finds_what_is_there(converged_home: Path, landed: Read, people: list[str]) -> None:
    tracks = sorted({event["track_id"] for event in landed.events})
    plays = next((converged_home / "store" / "ingestion" / "plays" / DAY).glob("*.parquet"))
    raw = next(file for file in (converged_home / "landing" / "plays").rglob("*.jsonl") if file.stat().st_size)
    assert len(people) > 500
    assert any(mentions(texts, tracks) for texts in texts_of(pl.read_parquet(plays)))
    assert mentions(as_text(raw), people)


def test_no_published_file_names_a_person_a_device_or_an_address(converged_home: Path, people: list[str]) -> None:
    files = [file for file in (converged_home / "store").rglob("*") if file.is_file()]
    frames = [file for file in files if file.suffix == ".parquet"]
    assert len(frames) > 50
    assert [file for file in files if mentions(as_text(file), people)] == []
    assert [file for file in frames for texts in texts_of(pl.read_parquet(file)) if mentions(texts, people)] == []


@pytest.mark.parametrize("pattern", ["ledger.db*", "widgets.db*", "warehouse.duckdb*"])
def test_no_database_names_a_person_a_device_or_an_address(
    converged_home: Path, people: list[str], pattern: str
) -> None:
    files = sorted(file for file in converged_home.glob(pattern) if file.is_file())
    assert files
    assert [file for file in files if mentions(as_text(file), people)] == []


def test_no_table_of_the_warehouse_names_a_person_a_device_or_an_address(
    converged_home: Path, people: list[str]
) -> None:
    with duckdb.connect(str(converged_home / "warehouse.duckdb"), read_only=True) as warehouse:
        tables = warehouse.execute("select table_schema, table_name from information_schema.tables").fetchall()
        rows = [str(row) for schema, name in tables for row in warehouse.sql(f'from "{schema}"."{name}"').fetchall()]
    assert len(rows) > 1000
    assert not mentions(pl.Series(rows), people)


def test_no_row_of_the_ledger_names_a_person_a_device_or_an_address(converged_home: Path, people: list[str]) -> None:
    with sqlite3.connect(converged_home / "ledger.db") as ledger:
        said = pl.Series(list(ledger.iterdump()))
    ledger.close()
    assert not mentions(said, people)


# No record is lost


def test_every_landed_record_is_a_play_a_duplicate_or_rejected(pipeline: Pipeline, landed: Read) -> None:
    plays = rows(pipeline.read("plays", DAYS))
    received = rows(pipeline.read("received_plays", DAYS))
    rejected = rows(pipeline.read("rejected", DAYS))
    distinct = {event["event_id"] for event in landed.events}
    assert set(plays["event_id"]) == distinct
    assert plays.height == len(distinct)
    assert received.height == len(landed.events)
    assert rejected.height == landed.broken
    assert min(landed.broken, received.height - plays.height) > 0, "there is something of each kind"


@pytest.mark.parametrize("day", DAYS)
def test_every_record_of_an_arrival_day_is_received_or_rejected(
    converged_home: Path, pipeline: Pipeline, tmp_path: Path, day: str
) -> None:
    shutil.copytree(converged_home / "landing" / "plays" / day, tmp_path / "plays" / day)
    arrived = read_landing(tmp_path)
    received = rows(pipeline.read("received_plays", day))
    assert sorted(received["event_id"]) == sorted(event["event_id"] for event in arrived.events)
    assert rows(pipeline.read("rejected", day)).height == arrived.broken


def test_the_fingerprints_of_days_add_up_to_that_of_all_of_them(converged_home: Path) -> None:
    pipeline = open_home(converged_home)
    together = numbers(pipeline.fingerprint("plays", DAYS))
    whole = numbers(measure(Plays.fingerprint(), pipeline.read("plays", DAYS)))
    estimated = {name for name in whole if name.removeprefix("effective_").removeprefix("top_share_of_") in IDENTIFIERS}
    assert together.keys() == whole.keys()
    assert {name: together[name] for name in whole.keys() - estimated} == {
        name: whole[name] for name in whole.keys() - estimated
    }
    for name in estimated:
        assert together[name] == pytest.approx(whole[name], rel=0.25), name


def test_the_fingerprint_of_what_is_not_published_is_asked_for_in_vain(converged_home: Path) -> None:
    with pytest.raises(NotPublished):
        open_home(converged_home).fingerprint("plays", "2025-01-01")
