"""Stories of the whole pipeline: what lands, what changes, what is recomputed, and that it ends where a rebuild ends."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import converge
from spam_pipeline.settings import ExecutorChoice
from spam_pipeline_tests.pages.parsed_page import ParsedPage
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import digests, land_play, open_pipeline, run

LATE = "2026-01-02"
"""A day long past for the landing zone, which ends on the eighth."""

SECONDS_BETWEEN_LOOKS = 1.0
"""A reader who never pauses takes half of the machine from what it looks at."""


def plays_of(pipeline: Pipeline, day: str) -> pl.DataFrame:
    frame = pipeline.read("plays", day).collect()
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_every_stage_publishes_something_but_those_of_issued_months_and_erased_people(home: Path) -> None:
    pipeline = open_pipeline(home)
    of_none = {"issued_statements", "issued_payments", "issued_basis", "erased_records"}
    assert {name for name, _ in digests(pipeline)} == set(pipeline.graph.stages) - of_none


def test_a_second_convergence_computes_nothing_and_changes_nothing(home: Path) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    done, did = run(pipeline)
    assert (done.computed, done.reused, did) == (0, 0, set())
    assert digests(pipeline) == before


@dataclass(frozen=True)
class Late:
    """A home in which a play landed late, and what ran then; its landing zone converged elsewhere, and what a reader saw meanwhile."""

    home: Path
    did: set[tuple[str, str]]
    elsewhere: Path
    seen: list[int]


@pytest.fixture(scope="module")
def late(converged: Path, tmp_path_factory: pytest.TempPathFactory) -> Late:
    """The rebuild goes one partition after the other; the reader counts verdicts, look by look."""
    folder = tmp_path_factory.mktemp("late")
    home, elsewhere = copied(converged, folder / "home"), folder / "elsewhere"
    land_play(home, "2026-01-07", "late", LATE)
    _, did = run(open_pipeline(home))
    shutil.copytree(home / "landing", elsewhere / "landing")
    seen: list[int] = []
    with ThreadPoolExecutor(max_workers=1) as other:
        running = other.submit(run, open_pipeline(elsewhere, executor=ExecutorChoice("in_process", 1)))
        while not running.done():
            seen.append(verdicts_seen(elsewhere))
            wait([running], timeout=SECONDS_BETWEEN_LOOKS)
        done, _ = running.result()
    assert done.held == ()
    return Late(home, did, elsewhere, seen)


def verdicts_seen(home: Path) -> int:
    with open_pipeline(home).query() as connection:
        return int(connection.execute("select count(*) from trust_and_safety.classified_plays").fetchall()[0][0])


def test_a_file_that_lands_late_reaches_its_own_day_and_what_rests_on_it(converged: Path, late: Late) -> None:
    earlier, home, did = open_pipeline(converged), late.home, late.did
    before, plays = plays_of(earlier, LATE).height, plays_of_month(earlier)
    pipeline = open_pipeline(home)
    days = {stage: {key for name, key in did if name == stage} for stage, _ in did}
    assert plays_of(pipeline, LATE).height == before + 1
    assert (days["received_plays"], days["plays"]) == ({"2026-01-07"}, {LATE})
    assert days["daily_plays"] == days["top_countries"] == days["track_play_counts"]
    assert days["play_signals"] == {f"2026-01-{day:02d}" for day in range(2, 9)}, "signals look back over seven days"
    page = (home / "reports" / "2026-01.html").read_text(encoding="utf-8")
    assert ["plays", f"{plays:,}", f"{plays + 1:,}", "+1"] in ParsedPage(page).rows, (
        "the month's page says what has changed"
    )
    assert "<ul><li>New data: the file plays/2026-01-07/23/late.jsonl landed.</li></ul>" in page


def test_the_same_landing_zone_gives_the_same_digests_elsewhere_whatever_landed_when(late: Late) -> None:
    assert digests(open_pipeline(late.home)) == digests(open_pipeline(late.elsewhere))


def test_readers_see_published_versions_while_a_convergence_runs(late: Late) -> None:
    assert late.seen[0] < verdicts_seen(late.elsewhere)
    assert late.seen == sorted(late.seen)


def plays_of_month(pipeline: Pipeline) -> int:
    return int(pipeline.read("daily_plays", pipeline.partitions("daily_plays")).collect()["plays"].sum())


def test_a_retry_of_a_known_play_changes_no_play_and_nothing_after_it(late: Late, tmp_path: Path) -> None:
    home = copied(late.home, tmp_path / "home")
    pipeline = open_pipeline(home)
    land_play(home, "2026-01-08", "again", LATE, event_id="event of late", ms_played=1)
    _, did = run(pipeline)
    arrival = {("received_plays", "2026-01-08"), ("received_files", "2026-01-08")}
    assert did == {*arrival, ("plays", LATE), ("warehouse", "all")}
    kept = plays_of(pipeline, LATE).filter(pl.col("event_id") == "event of late")
    assert kept["ms_played"].to_list() == [90_000], "the earliest arrival counts"


def test_of_an_old_arrival_day_only_the_new_file_and_its_small_neighbours_are_decoded(home: Path) -> None:
    pipeline = open_pipeline(home)
    before, decoded = _stored_files(home, "2026-01-02"), _shards(home)
    land_play(home, "2026-01-02", "one-more", LATE)
    pipeline.engine.observe()
    assert converge(pipeline.engine, ["received_plays"]).computed == 1
    after = _stored_files(home, "2026-01-02")
    assert {path: after[path] for path in before} == before, "no file was written again"
    assert 1 <= _shards(home) - decoded <= 2, "the group that it is in, which may be two now"


def test_a_new_account_leaves_the_past_alone(home: Path) -> None:
    pipeline = open_pipeline(home)
    accounts = home / "landing" / "reference" / "accounts.csv"
    text = accounts.read_text(encoding="utf-8")
    accounts.write_text(text.rstrip("\n") + "\nnewcomer,SE,free,2026-02-03\n", encoding="utf-8")
    _, did = run(pipeline)
    assert did == {("accounts", "all"), ("warehouse", "all")}


def test_what_lives_outside_the_store_is_derived_again_without_computing(home: Path) -> None:
    pipeline = open_pipeline(home)
    shutil.rmtree(home / "reports")
    for name in ("warehouse.duckdb", "widgets.db"):
        (home / name).unlink()
    done, did = run(pipeline)
    assert done.computed == 0
    assert did == {("warehouse", "all"), ("widget_counts", "all"), ("report_pages", "all")}
    assert (home / "reports" / "index.html").exists()
    assert (home / "warehouse.duckdb").exists()
    assert (home / "widgets.db").exists()


def test_records_in_are_records_out(home: Path) -> None:
    pipeline = open_pipeline(home)
    engine = pipeline.engine
    received = sum(
        version.rows + sum(part.rows for part in version.side_parts if part.name == "rejected")
        for key in engine.planner.statuses(["received_plays"])["received_plays"]
        for version in [engine.reader.version("received_plays", key)]
    )
    with pipeline.query() as connection:
        plays, rejected, arrived = connection.execute(
            "select (select count(*) from ingestion.plays), (select count(*) from ingestion.rejected),"
            " (select count(*) from ingestion.received_plays)"
        ).fetchall()[0]
        of_files = connection.execute("select sum(accepted), sum(rejected) from ingestion.received_files").fetchall()[0]
        not_balanced_files = connection.execute(
            "select file from ingestion.received_files anti join (select file, count(*) as rejected from ingestion.rejected"
            " group by file) using (file, rejected) where rejected > 0"
        ).fetchall()
        unbalanced = connection.execute(
            "select count(*) from (select rule, country, tier, currency from royalties.royalty_statements"
            " group by all having sum(amount_minor) != any_value(pool_minor))"
        ).fetchall()[0][0]
        statuses = connection.execute(
            "select (select sum(plays) from royalties.royalty_usage),"
            " (select count(*) from trust_and_safety.classified_plays where occurred_at < '2026-01-07')"
        ).fetchall()[0]
    assert received == arrived + rejected
    assert of_files == (arrived, rejected)
    assert not_balanced_files == []
    assert arrived == plays + _duplicates(pipeline)
    assert rejected > 0
    assert unbalanced == 0
    assert statuses[0] == statuses[1]


def _duplicates(pipeline: Pipeline) -> int:
    days = pipeline.engine.planner.statuses(["plays"])["plays"]
    return sum(
        version.rows_read - version.rows for day in days for version in [pipeline.engine.reader.version("plays", day)]
    )


def _stored_files(home: Path, arrival: str) -> dict[Path, int]:
    """What is stored for an arrival day, and when each file was written."""
    folder = home / "store" / "ingestion" / "received_plays" / arrival
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def _shards(home: Path) -> int:
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        return int(ledger.execute("select count(*) from shards where stage = 'received_plays'").fetchone()[0])
