"""Stories of the files that leave the house: what they say is what was heard and what is owed, also after it has changed."""

import json
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.statement_files import FilesExist, StatementFiles
from spam_pipeline.protocol import NotPublished, WrongPartition
from spam_pipeline.protocol.operating import OnProgress, converge, no_progress
from spam_pipeline_tests.command_line.test_cli import failure, wrong_usage
from spam_pipeline_tests.conftest import DAYS, CommandLine, open_home
from spam_pipeline_tests.royalties.dsr_reader import Report, read_report
from spam_pipeline_tests.royalties.test_payee_files import Row, read
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import a_play, land, land_gaps, open_pipeline
from spam_pipeline_tests.stories.test_issued_statements import (
    change_everything,
    converged,
    land_heard,
    land_incident,
    land_rights,
    land_table,
)

JANUARY, FEBRUARY = "2026-01", "2026-02"
DECIMALS = {"JPY": 0, "KRW": 0, "KWD": 3}

Payees = dict[str, list[Row]]


def land_titles(home: Path, title: str) -> None:
    tracks = [f"track {number},artist,{title} {number},,180000,2025-01-01T00:00:00Z" for number in (1, 2)]
    land_table(home, "reference/tracks.csv", ["track_id,artist_id,title,isrc,duration_ms,uploaded_at", *tracks])


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January and February, of which January is issued, and some days of March."""
    home = tmp_path_factory.mktemp("january") / "home"
    for day in ("2026-01-05", "2026-01-20", "2026-02-10", "2026-03-02", "2026-03-04"):
        land_heard(home, day, day)
    land_gaps(home, "2026-01-05", "2026-03-04")
    revenue = ["2026-01,SE,premium,SEK,1000003", "2026-02,SE,premium,SEK,70001"]
    land_table(home, "reference/revenue.csv", ["month,country,tier,currency,net_revenue_minor", *revenue])
    accounts = [f"listener {number},SE,premium,2025-01-01" for number in range(1, 6)]
    land_table(home, "reference/accounts.csv", ["user_id,country,tier,created_on", *accounts])
    land_titles(home, "Title")
    land_incident(home, "suspected")
    land_rights(home, 600_000)
    pipeline = converged(open_pipeline(home))
    pipeline.issue(JANUARY, by="Ada")
    converged(pipeline).engine.ledger.close()
    return home


@pytest.fixture
def home(january: Path, tmp_path: Path) -> Path:
    return copied(january, tmp_path / "home")


def write_into(
    folder: Path, pipeline: Pipeline, month: str = JANUARY, tell: OnProgress = no_progress
) -> StatementFiles:
    return pipeline.write_statements(month, folder, on_progress=tell)


def write(pipeline: Pipeline, month: str, folder: Path) -> tuple[StatementFiles, Payees, Report]:
    told: list[str] = []
    shares: list[float] = []

    def tell(text: str, done: float = 0, total: float = 0) -> None:
        told.extend([text] if text else [])
        shares.extend([] if text else [done / total])

    made = write_into(folder, pipeline, month, tell)
    assert [month in line for line in told] == [True, True]
    assert shares[-1] == 1
    place = folder / month
    assert made.folder == str(place)
    assert {path.name for path in folder.iterdir()} == {month}
    assert {path.name for path in place.iterdir()} <= {"payees.csv", "payees", made.report}
    payees, report = read(place), read_report(place / made.report)
    assert (made.payees, made.tracks) == (len(payees), len(report.resources))
    return made, payees, report


def minor(row: Row) -> int:
    return int(Decimal(row["amount"]).scaleb(DECIMALS.get(row["currency"], 2)))


def sums(payees: Payees, *lines: str) -> Counter[tuple[str, str]]:
    """What stands on some lines, by payee and currency; nothing is left out."""
    found: Counter[tuple[str, str]] = Counter()
    for payee, rows in payees.items():
        for row in rows:
            found[payee, row["currency"]] += minor(row) if row["line"] in lines else 0
    return found


def assert_adds_up(pipeline: Pipeline, month: str, payees: Payees) -> None:
    """Opening and payouts are the balance, which is paid or carried; and all of it is what the pipeline publishes."""
    assert sums(payees, "opening", "payout") == sums(payees, "balance") == sums(payees, "paid", "carried")
    published = pipeline.read("royalty_payments", month).collect()
    for line in ("opening", "balance", "paid", "carried"):
        told = {(payee, currency): amount for (payee, currency), amount in sums(payees, line).items() if amount}
        amounts = published.select("payee_id", "currency", f"{line}_minor").filter(pl.col(f"{line}_minor") != 0).rows()
        assert told == {(payee, currency): amount for payee, currency, amount in amounts}


def test_the_files_of_a_simulated_month_say_every_play_and_every_unit(converged_home: Path, tmp_path: Path) -> None:
    pipeline = open_home(converged_home)
    made, payees, report = write(pipeline, JANUARY, tmp_path)
    assert not made.is_issued
    days = [day for day in DAYS if pipeline.engine.ledger.published_version("production", "royalty_usage", day)]
    raw = pipeline.read("plays", days).group_by("track_id").len().collect()
    by_track: Counter[str] = Counter()
    for (track, *_), count in report.streams().items():
        by_track[track] += count
    assert by_track == dict(raw.rows())
    usage = pipeline.read("royalty_usage", days).group_by("track_id", "country", "tier", "status")
    counted = usage.agg(pl.col("plays").sum()).collect().rows()
    assert report.streams() == {
        (track, "Worldwide" if country == "ZZ" else country, *rest): plays for track, country, *rest, plays in counted
    }
    assert {item.transaction.rsplit(".", 1)[1] for item in report.usage if item.is_royalty_bearing} == {"earning"}
    titles = dict(pipeline.read("tracks").select("track_id", "title").collect().rows())
    assert {cells[3]: cells[5] for cells in report.resources} == {track: titles[track] for track in by_track}
    statement = pipeline.read("royalty_statements", JANUARY).filter(
        pl.col("rule") == "agreed", pl.col("payee_id") != ""
    )
    for line in ("payout", "withheld"):
        amounts = statement.filter(pl.col("line") == line).group_by("payee_id", "currency")
        published = amounts.agg(pl.col("amount_minor").sum()).filter(pl.col("amount_minor") != 0).collect().rows()
        told = {key: amount for key, amount in sums(payees, line).items() if amount}
        assert told == {(payee, currency): amount for payee, currency, amount in published}
    assert_adds_up(pipeline, JANUARY, payees)


def test_an_issued_month_is_written_as_it_was_issued_and_what_changed_stands_in_the_next(
    home: Path, tmp_path: Path
) -> None:
    pipeline = open_pipeline(home)
    made, payees, report = write(pipeline, JANUARY, tmp_path / "first")
    assert made.is_issued
    assert_adds_up(pipeline, JANUARY, payees)
    assert any(not item.is_royalty_bearing for item in report.usage)

    change_everything(home)
    land_titles(home, "Another title")
    too_short = {"event_id": "short", "track_id": "track 1", "device_id": "device", "ms_played": 5}
    land(home, "2026-03-04", "short", [a_play("2026-01-20", **too_short)])
    converged(pipeline)
    write(pipeline, JANUARY, tmp_path / "again")
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert [(tmp_path / "first" / file).read_bytes() for file in files] == [
        (tmp_path / "again" / file).read_bytes() for file in files
    ]

    before, settling, _ = write(pipeline, FEBRUARY, tmp_path / "settling")
    assert not before.is_issued
    adjustments = [row for rows in settling.values() for row in rows if row["month"] == JANUARY]
    assert {row["reason"] for row in adjustments} == {"late data, incident, reference data"}
    assert_adds_up(pipeline, FEBRUARY, settling)
    pipeline.issue(FEBRUARY, by="Ben")
    after, issued, _ = write(pipeline, FEBRUARY, tmp_path / "issued")
    assert after.is_issued
    assert issued == settling


def test_lines_and_balances_add_up_while_something_else_is_being_made(home: Path, tmp_path: Path) -> None:
    pipeline = open_pipeline(home)
    change_everything(home)
    pipeline.engine.observe()
    assert converge(pipeline.engine, ["royalty_statements"]).failed == ()
    _, payees, _ = write(pipeline, FEBRUARY, tmp_path / "out")
    assert_adds_up(pipeline, FEBRUARY, payees)


def test_a_month_whose_catalogue_has_not_landed_calls_tracks_by_their_ids(home: Path, tmp_path: Path) -> None:
    (home / "landing/reference/tracks.csv").unlink()
    pipeline = open_pipeline(home)
    pipeline.engine.observe()
    catalogue = pipeline.engine.reader.version("tracks", "all").recipe
    pipeline.decide("reject", catalogue, by="Ada", reason="not ours")
    _, _, report = write(converged(pipeline), FEBRUARY, tmp_path / "out")
    assert {cells[5] for cells in report.resources} == {"track 1", "track 2", "track 3"}


def test_what_was_issued_on_a_ledger_that_is_gone_is_not_guessed(home: Path, tmp_path: Path) -> None:
    rebuilt = tmp_path / "rebuilt"
    shutil.copytree(home / "landing", rebuilt / "landing")
    change_everything(rebuilt)
    pipeline = converged(open_pipeline(rebuilt))
    with pytest.raises(NotPublished, match="write the files where the month was issued"):
        write_into(tmp_path / "out", pipeline)
    assert not (tmp_path / "out").exists()


def test_writing_that_is_broken_off_leaves_nothing(converged_home: Path, tmp_path: Path) -> None:
    class Unplugged(Exception):
        pass

    def pull_the_plug(text: str, _done: float = 0, _total: float = 0) -> None:
        if "usage" in text:
            raise Unplugged

    with pytest.raises(Unplugged):
        write_into(tmp_path, open_home(converged_home), tell=pull_the_plug)
    assert list(tmp_path.iterdir()) == []


def test_files_that_may_have_been_sent_are_not_replaced(converged_home: Path, tmp_path: Path) -> None:
    (tmp_path / JANUARY).mkdir()
    with pytest.raises(FilesExist, match="move it, or name another folder"):
        write_into(tmp_path, open_home(converged_home))
    assert list((tmp_path / JANUARY).iterdir()) == []


@pytest.mark.parametrize(("month", "error"), [("2026-02", NotPublished), ("2026-13", WrongPartition)])
def test_a_month_without_a_statement_has_no_files(
    converged_home: Path, tmp_path: Path, month: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=month):
        write_into(tmp_path, open_home(converged_home), month)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_below_the_home_or_where_it_is_told(
    spam_pipeline: CommandLine, own_home: Path, tmp_path: Path
) -> None:
    sender = ("--sender", "PADPIDA2014111801Y", "--sender-name", "A platform")
    ended = spam_pipeline("statements", JANUARY, "--out", str(tmp_path / "out"), *sender, "--json", home=own_home)
    made = json.loads(ended.out)
    assert (ended.status, made["folder"]) == (0, str(tmp_path / "out" / JANUARY))
    assert read_report(tmp_path / "out" / JANUARY / made["report"]).head[10:12] == list(sender[1::2])
    assert json.loads(spam_pipeline("statements", JANUARY, "--json", home=own_home).out)["is_issued"] is False
    assert (own_home / "statements" / JANUARY / "payees.csv").is_file()
    assert "exists already" in failure(spam_pipeline("statements", JANUARY, home=own_home))


def test_a_sender_that_is_none_is_wrong_usage(spam_pipeline: CommandLine, converged_home: Path) -> None:
    assert "check character" in wrong_usage(spam_pipeline("statements", JANUARY, "--sender", "me", home=converged_home))
