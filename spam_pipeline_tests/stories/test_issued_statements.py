"""Stories of money: a month is issued, then plays arrive late, an incident is cleared and a split is corrected."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Thread

import dagster as dg
import polars as pl
import pytest

from spam_pipeline.definitions import build_definitions
from spam_pipeline.operations.pipeline import STAGES, Pipeline
from spam_pipeline.operations.pruning import pinned_by_issued, prune_pipeline
from spam_pipeline.operations.versions_read import frame_read
from spam_pipeline.protocol import WrongPartition
from spam_pipeline.protocol.operating import Retention, WrongDecision, converge, prune
from spam_pipeline.royalties.contracts import LINE
from spam_pipeline.royalties.document import WrongDocument
from spam_pipeline.royalties.issuing import NotIssued
from spam_pipeline_tests.conftest import CommandLine
from spam_pipeline_tests.receivers import receiving
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import KEY, a_play, land, land_gaps, open_pipeline, take_back

GONE = "what it was made from is gone: restore it, or reject the version to take it back"
JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"
MONEY = [stage.name for stage in STAGES if stage.context == "royalties"]
"""What these stories are about; that reports and the warehouse follow is told where a home of an earlier release is upgraded."""

REVENUE = [f"{month},SE,premium,SEK,{net}" for month, net in ((JANUARY, 1_000_003), (FEBRUARY, 70_001), (MARCH, 99))]


def land_table(home: Path, name: str, rows: Iterable[str]) -> None:
    path = home / "landing" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    path.with_name(f".{path.name}").replace(path)


def land_rights(home: Path, share_ppm: int) -> None:
    """Two payees share the first track; the others have one each."""
    rights = [("track 1", "payee 1", share_ppm), ("track 1", "payee 2", 1_000_000 - share_ppm)]
    rights += [("track 2", "payee 2", 1_000_000), ("track 3", "payee 3", 1_000_000)]
    rows = [f"{track},{payee},{share},2020-01-01," for track, payee, share in rights]
    land_table(home, "reference/rights.csv", ["track_id,payee_id,share_ppm,valid_from,valid_to", *rows])


def land_incident(home: Path, status: str) -> None:
    columns = "incident_id,status,attack_type,entity_type,entity_id,starts_at,ends_at,decided_by,decided_at,note"
    incident = f"looping,{status},loop_bot,user,listener 3,2026-01-01,2026-02-01,Ada,2026-02-20,"
    land_table(home, "incidents.csv", [columns, incident])


def heard(day: str, listener: int, track: int, plays: int, name: str = "") -> Iterable[Mapping[str, object]]:
    """Some plays of one listener."""
    for number in range(plays):
        yield a_play(
            day,
            event_id=f"{day} {name} {listener} {track} {number}",
            track_id=f"track {track}",
            user_id=f"listener {listener}",
            device_id=f"device {listener}",
            ip=f"192.0.2.{listener}",
        )


def land_heard(home: Path, arrival: str, day: str, name: str = "", plays: int = 4) -> None:
    """Four listeners and three tracks, one file."""
    some = [
        play
        for listener in range(1, 5)
        for track in range(1, 4)
        for play in heard(day, listener, track, plays + listener * track, name)
    ]
    land(home, arrival, f"{day} {name}", some)


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January, February and the first days of March, converged, so that two months are over; nothing is issued."""
    home = tmp_path_factory.mktemp("over") / "home"
    for day in ("2026-01-05", "2026-01-20", "2026-02-10", "2026-03-02", "2026-03-04"):
        land_heard(home, day, day)
    land_gaps(home, "2026-01-05", "2026-03-04")
    land_table(home, "reference/revenue.csv", ["month,country,tier,currency,net_revenue_minor", *REVENUE])
    accounts = [f"listener {number},SE,premium,2025-01-01" for number in range(1, 6)]
    land_table(home, "reference/accounts.csv", ["user_id,country,tier,created_on", *accounts])
    land_table(home, "reference/agreements.csv", ["payee_id,rule,valid_from", "payee 2,user_centric,2025-01-01"])
    land_incident(home, "suspected")
    land_rights(home, 600_000)
    converged(open_pipeline(home), stages=None).engine.ledger.close()
    return home


@pytest.fixture
def home(over: Path, tmp_path: Path) -> Path:
    return copied(over, tmp_path / "home")


def converged(pipeline: Pipeline, stages: Collection[str] | None = MONEY) -> Pipeline:
    pipeline.engine.observe()
    done = converge(pipeline.engine, stages)
    assert (done.failed, done.held) == ((), ())
    return pipeline


def lines(pipeline: Pipeline, stage: str, month: str) -> pl.DataFrame:
    return pipeline.read(stage, month).collect()


def agreed(pipeline: Pipeline, month: str) -> dict[tuple[object, ...], int]:
    """What the statement over everything known says of each line that is paid by."""
    found = lines(pipeline, "royalty_statements", month).filter(pl.col("rule") == "agreed", pl.col("amount_minor") != 0)
    return {tuple(row): amount for *row, amount in found.select(*LINE, "amount_minor").rows()}


def difference(new: dict[tuple[object, ...], int], old: dict[tuple[object, ...], int]) -> dict[tuple[object, ...], int]:
    changes = {line: new.get(line, 0) - old.get(line, 0) for line in new.keys() | old.keys()}
    return {line: change for line, change in changes.items() if change}


def adjusted(pipeline: Pipeline, month: str) -> dict[tuple[object, ...], int]:
    found = lines(pipeline, "royalty_adjustments", month)
    return {tuple(row): amount for *row, amount in found.select(*LINE, "amount_minor").rows()}


def by_payee(pipeline: Pipeline, month: str, column: str) -> dict[str, int]:
    return dict(
        lines(pipeline, "royalty_payments", month).filter(pl.col(column) != 0).select("payee_id", column).rows()
    )


def change_everything(home: Path) -> None:
    land_heard(home, "2026-03-04", "2026-01-20", "late", 9)
    land_incident(home, "cleared")
    land_rights(home, 900_000)


def contents(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    """What is published of all stages of money, by content."""
    stages = ["royalty_statements", "royalty_adjustments", "royalty_payments", "issued_statements", "issued_payments"]
    published = pipeline.engine.ledger.published("production", stages)
    return {(stage, key): found.content for stage, by_key in published.items() for key, found in by_key.items()}


def test_a_month_that_changed_after_it_was_issued_is_settled_once_by_the_next_one(home: Path) -> None:
    pipeline = open_pipeline(home)
    as_issued = agreed(pipeline, JANUARY)
    assert any(name[5] == "withheld" for name in as_issued)
    first = pipeline.issue(JANUARY, by="Ada")
    assert first.settled_months == ()
    converged(pipeline)
    assert lines(pipeline, "royalty_adjustments", JANUARY).is_empty()

    change_everything(home)
    converged(pipeline)
    changes = adjusted(pipeline, JANUARY)
    assert changes == difference(agreed(pipeline, JANUARY), as_issued) != {}
    frame = lines(pipeline, "royalty_adjustments", JANUARY)
    assert frame["reason"].unique().to_list() == ["late data, incident, reference data"]
    versions = [version for version, _ in pipeline.versions("royalty_statements", JANUARY)]
    assert frame.select("statement_then", "statement_now").unique().rows() == [
        (versions[0].content, versions[-1].content)
    ]
    settles = by_payee(pipeline, FEBRUARY, "adjustments_minor")
    assert settles == {name[6]: amount for name, amount in changes.items() if name[5] == "payout"}
    assert by_payee(pipeline, MARCH, "adjustments_minor") == {}

    second = pipeline.issue(FEBRUARY, by="Ben")
    assert second.settled_months == (JANUARY,)
    converged(pipeline)
    assert lines(pipeline, "royalty_adjustments", JANUARY).is_empty()
    assert by_payee(pipeline, FEBRUARY, "adjustments_minor") == settles
    assert by_payee(pipeline, MARCH, "adjustments_minor") == {}
    for payee in ("payee 1", "payee 2", "payee 3"):
        for month in (JANUARY, FEBRUARY, MARCH):
            assert pipeline.explain(payee, month).explanation.is_issued is (month != MARCH)

    rebuilt = home.parent / "rebuilt"
    shutil.copytree(home / "landing", rebuilt / "landing")
    assert contents(converged(open_pipeline(rebuilt))) == contents(pipeline)


def test_what_was_settled_does_not_come_back_and_the_next_change_has_its_own_reason(home: Path) -> None:
    pipeline = open_pipeline(home)
    pipeline.issue(JANUARY, by="Ada")
    change_everything(home)
    converged(pipeline)
    pipeline.issue(FEBRUARY, by="Ada")
    settled = agreed(converged(pipeline), JANUARY)
    land_rights(home, 600_000)
    converged(pipeline)
    assert adjusted(pipeline, JANUARY) == difference(agreed(pipeline, JANUARY), settled) != {}
    both = Counter[object]()
    for month in (JANUARY, FEBRUARY):
        assert set(lines(pipeline, "royalty_adjustments", month)["reason"]) == {"reference data"}
        both.update({name[6]: 0 for name in adjusted(pipeline, month)})
        for name, amount in adjusted(pipeline, month).items():
            both[name[6]] += amount
    assert by_payee(pipeline, MARCH, "adjustments_minor") == dict(both)


def test_an_explained_payment_walks_down_to_every_play_and_up_again(home: Path) -> None:
    pipeline = open_pipeline(home)
    pipeline.issue(JANUARY, by="Ada")
    change_everything(home)
    converged(pipeline)
    found = pipeline.explain("payee 2", JANUARY).explanation
    (line,) = found.pools.filter(pl.col("line") == "payout").rows(named=True)
    assert line["issued_minor"] + line["open_minor"] == line["amount_minor"]
    assert found.rule == "user_centric"
    plays = pipeline.read("classified_plays", ["2026-01-05", "2026-01-20"]).collect()
    own = plays.filter(pl.col("track_id").is_in(["track 1", "track 2"]))
    assert found.tracks["plays"].sum() == own.height
    assert found.settled.is_empty()
    assert {*found.changes["reason"]} == {"late data, incident, reference data"}
    settled = pipeline.explain("payee 2", FEBRUARY).explanation.settled
    assert settled["amount_minor"].sum() == found.changes["amount_minor"].sum() != 0


def test_what_was_issued_and_what_it_rests_on_survives_pruning(home: Path) -> None:
    pipeline = open_pipeline(home)
    pipeline.issue(JANUARY, by="Ada")
    change_everything(home)
    before = contents(converged(pipeline))
    explained = str(pipeline.explain("payee 2", JANUARY).as_record())
    issued = pipeline.versions("royalty_statements", JANUARY)[0][0]
    pinned = set(pinned_by_issued(pipeline.landing_zone))
    done = prune(pipeline.engine, {"*": Retention(0)}, pinned=pinned, grace=timedelta(0))
    assert done.versions > 0
    assert done.deleted.bytes > 0
    assert pipeline.read("issued_statements", JANUARY).collect().height
    assert pipeline.engine.reader.rows(issued).collect().height
    assert frame_read(pipeline.engine, issued, "royalty_usage").collect().height
    assert str(pipeline.explain("payee 2", JANUARY).as_record()) == explained
    assert contents(converged(pipeline)) == before


def test_a_document_that_cannot_be_read_stops_pruning(home: Path) -> None:
    pipeline = open_pipeline(home)
    path = home / "landing" / pipeline.issue(JANUARY, by="Ada").document
    path.chmod(0o644)
    path.write_bytes(b"something else")
    with pytest.raises(WrongDocument, match="is not what was issued"):
        prune_pipeline(pipeline, is_dry=False)


def test_whoever_pays_is_notified_of_an_issued_month(home: Path) -> None:
    with receiving() as royalties:
        pipeline = open_pipeline(home, notify={"team:royalties": [royalties.url()]})
        pipeline.notify()
        assert royalties.take() == []
        pipeline.issue(JANUARY, by="Ada")
        pipeline.notify()
        assert royalties.titles() == [f"the statement of {JANUARY} was issued by Ada"]


def test_of_an_issued_statement_nothing_can_be_changed(home: Path) -> None:
    pipeline = open_pipeline(home)
    document = home / "landing" / pipeline.issue(JANUARY, by="Ada").document
    before = contents(converged(pipeline))
    assert document.stat().st_mode & 0o222 == 0
    with pytest.raises(NotIssued, match="issued already"):
        pipeline.issue(JANUARY, by="Ada")

    content = document.read_bytes()
    document.chmod(0o644)
    document.write_bytes(content + b" ")
    pipeline.engine.observe()
    failed = converge(pipeline.engine, ["issued_statements"]).failed
    assert "is not what was issued" in failed[0].error
    assert contents(pipeline) == before, "what is published stays"

    second = pl.read_parquet(content).with_columns(issued_by=pl.lit("Eve"))
    forged = io.BytesIO()
    second.write_parquet(forged)
    name = hashlib.sha256(forged.getvalue()).hexdigest()
    document.write_bytes(content)
    document.with_name(f"{name}.parquet").write_bytes(forged.getvalue())
    pipeline.engine.observe()
    assert converge(pipeline.engine, ["issued_statements"]).held
    assert contents(pipeline) == before


def test_a_document_that_is_gone_is_still_what_was_issued(home: Path) -> None:
    pipeline = open_pipeline(home)
    document = home / "landing" / pipeline.issue(JANUARY, by="Ada").document
    before = contents(converged(pipeline))
    content = document.read_bytes()
    document.unlink()
    pipeline.engine.observe()
    done = converge(pipeline.engine)
    assert f"issued_statements 2026-01: {GONE}" in done.held
    assert contents(pipeline) == before
    with pytest.raises(NotIssued, match="issued already, and its document is gone: restore it"):
        pipeline.issue(JANUARY, by="Eve")
    document.write_bytes(content)
    assert contents(converged(pipeline)) == before


def test_an_issued_month_whose_plays_were_taken_back_stays_in_the_books(home: Path) -> None:
    pipeline = open_pipeline(home)
    as_issued = agreed(pipeline, JANUARY)
    paid = by_payee(pipeline, JANUARY, "paid_minor")
    pipeline.issue(JANUARY, by="Ada")
    converged(pipeline)
    for day in ("2026-01-05", "2026-01-20"):
        take_back(pipeline, home, day)
    converged(pipeline)
    assert by_payee(pipeline, JANUARY, "paid_minor") == paid
    assert adjusted(pipeline, JANUARY) == {name: -amount for name, amount in as_issued.items()}
    assert pipeline.issue(FEBRUARY, by="Ada").settled_months == (JANUARY,)
    converged(pipeline)
    assert adjusted(pipeline, JANUARY) == {}


def test_with_a_lost_a_late_and_an_undeclared_day_nothing_is_issued_until_somebody_decides_and_adjustments_are_exact(
    home: Path, tmp_path: Path
) -> None:
    pipeline, plays = open_pipeline(home), home / "landing" / "plays"

    def refusal(month: str) -> str:
        converge(pipeline.engine)
        with pytest.raises(NotIssued) as refused:
            pipeline.issue(month, by="Ada")
        return str(refused.value)

    late = shutil.move(plays / "2026-01-20", tmp_path / "late")
    shutil.rmtree(plays / "2026-02-10")
    (plays / "2026-01-07" / "gap.json").unlink()
    assert "received_plays 2026-01-07 is held" in refusal(JANUARY)
    pipeline.declare_gap("2026-01-07", by="Ada", reason="nobody listened")
    assert "received_plays 2026-01-20 is held" in refusal(JANUARY)
    shutil.move(late, plays / "2026-01-20")
    assert "received_plays 2026-02-10 is held" in refusal(JANUARY), "plays of January may have been on it"
    lost = pipeline.engine.reader.version("received_plays", "2026-02-10").recipe
    pipeline.decide("reject", lost, by="Ada", reason="made up by the sender")
    converge(pipeline.engine)
    pipeline.issue(JANUARY, by="Ada")
    as_issued = agreed(pipeline, JANUARY)
    converge(pipeline.engine)
    assert "2026-02 has no statement" in refusal(FEBRUARY), "its only plays were taken back"

    pipeline.declare_gap("2026-02-10", by="Ada", reason="made up by the sender")
    land_heard(home, "2026-03-04", "2026-01-20", "late", 9)
    converged(pipeline)
    assert adjusted(pipeline, JANUARY) == difference(agreed(pipeline, JANUARY), as_issued) != {}


def test_a_month_waits_for_its_revenue_and_one_without_plays_for_nothing(home: Path) -> None:
    pipeline = open_pipeline(home)
    land_table(home, "reference/revenue.csv", ["month,country,tier,currency,net_revenue_minor", *REVENUE[1:]])
    take_back(pipeline, home, "2026-02-10")
    land_heard(home, "2026-04-06", "2026-04-06")
    land_gaps(home, "2026-03-05", "2026-04-06")
    converge(pipeline.engine)
    less = pipeline.versions("revenue")[-1][0]
    pipeline.decide("accept", less.recipe, by="Ada", reason="January comes later")
    converged(pipeline)
    with pytest.raises(NotIssued, match="2026-01 has no pool: no revenue has landed for it"):
        pipeline.issue(JANUARY, by="Ada")
    land_table(home, "reference/revenue.csv", ["month,country,tier,currency,net_revenue_minor", *REVENUE])
    converged(pipeline)
    for month in (JANUARY, MARCH):
        pipeline.issue(month, by="Ada")
        converged(pipeline)
    carried = by_payee(pipeline, MARCH, "carried_minor")
    assert carried

    land_heard(home, "2026-04-06", "2026-02-10")
    converged(pipeline)
    assert pipeline.issue(FEBRUARY, by="Ada").settled_months == ()
    opening = by_payee(converged(pipeline), FEBRUARY, "opening_minor")
    assert opening == {}, "March has taken it along"


def test_of_two_people_who_issue_at_once_one_does_and_the_other_is_told(home: Path) -> None:
    issued, refused = list[str](), list[str]()

    def issue(by: str) -> None:
        try:
            issued.append(open_pipeline(home).issue(JANUARY, by=by).issued_by)
        except NotIssued as reason:
            refused.append(str(reason))

    people = [Thread(target=issue, args=(by,)) for by in ("Ada", "Ben")]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert (len(issued), len(refused)) == (1, 1)
    assert "issued already" in refused[0]
    assert len(list((home / "landing" / "issued" / JANUARY).iterdir())) == 1


DIE = """
import os, signal
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.pruning import pinned_by_issued, prune_pipeline
from spam_pipeline.operations.versions_read import frame_read
from spam_pipeline.protocol.storage import landing_zone
landing_zone.os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Pipeline().issue("2026-01", by="Ada")
"""


def test_a_killed_process_issues_nothing_and_leaves_nothing_in_the_way(home: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SPAM_PIPELINE_")},
        "SPAM_PIPELINE_HOME": str(home),
        "SPAM_PIPELINE_IDENTIFIER_KEY": KEY,
    }
    died = subprocess.run([sys.executable, "-c", DIE], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    pipeline = open_pipeline(home)
    assert pipeline.engine.observe() == []
    issued = pipeline.issue(JANUARY, by="Ada")
    seen = pipeline.engine.planner.known().last([issued.document])[issued.document]
    assert (seen.partition, seen.digest is not None) == (JANUARY, True), "it is observed as soon as it is there"
    assert pipeline.engine.observe() == [], "and lies alone"


def test_a_month_is_issued_in_its_turn_in_production_and_when_it_is_over_and_settled(home: Path) -> None:
    pipeline = open_pipeline(home)

    def refusal(month: str) -> str:
        with pytest.raises(NotIssued) as refused:
            pipeline.issue(month, by="Ada")
        return str(refused.value)

    assert "2026-01 comes first" in refusal(FEBRUARY)
    assert "no statement" in refusal("2026-04")
    with pytest.raises(WrongPartition):
        pipeline.issue("January", by="Ada")
    with pytest.raises(WrongDecision, match="by whom"):
        pipeline.issue(JANUARY, by=" ")
    branch = open_pipeline(home, environment="mine")
    with pytest.raises(NotIssued, match="can only be issued in production"):
        branch.issue(JANUARY, by="Ada")

    land_heard(home, "2026-03-04", "2026-01-20", "late", 9)
    assert "received_plays 2026-03-04 is stale" in refusal(JANUARY), "what has landed is seen before anything is issued"
    converged(pipeline)
    (version, _) = pipeline.versions("plays", "2026-01-20")[-1]
    pipeline.decide("reject", version.recipe, by="Ada", reason="counted twice")
    converge(pipeline.engine)
    assert "plays 2026-01-20 is held" in refusal(JANUARY)
    pipeline.decide("accept", version.recipe, by="Ada", reason="it was right")
    converged(pipeline)
    pipeline.issue(JANUARY, by="Ada")
    assert "converge first" in refusal(FEBRUARY), "what follows from January is not known yet"
    converged(pipeline)
    pipeline.issue(FEBRUARY, by="Ada")
    converged(pipeline)
    assert "2026-03 is not over" in refusal(MARCH)


def test_a_model_that_is_held_keeps_nobody_from_issuing_by_the_verdicts_of_the_one_before(home: Path) -> None:
    pipeline = open_pipeline(home)
    land_incident(home, "confirmed")
    _, (newest, _) = converged(pipeline).versions("spam_model")
    pipeline.decide("reject", newest.recipe, by="Ada", reason="worse than the one before")
    assert converge(pipeline.engine).held == ("spam_model all: its version was refused",)
    (declared, _) = pipeline.versions("incidents")[-1]
    pipeline.decide("reject", declared.recipe, by="Ada", reason="somebody else's")
    converge(pipeline.engine)
    with pytest.raises(NotIssued, match="incidents all is held"):
        pipeline.issue(JANUARY, by="Ada")
    pipeline.decide("accept", declared.recipe, by="Ada", reason="it was ours")
    converge(pipeline.engine)
    assert pipeline.issue(JANUARY, by="Ada").month == JANUARY


def launched(home: Path, month: str, by: str) -> dg.ExecuteInProcessResult:
    """The job `issue` with what a person enters."""
    job = build_definitions(open_pipeline(home).settings).resolve_job_def("issue")
    return job.execute_in_process(run_config={"month": month, "by": by}, raise_on_error=False)


def test_a_statement_is_issued_from_the_launchpad(home: Path) -> None:
    result = launched(home, JANUARY, "Ada")
    assert result.success
    (output,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_OUTPUT]
    shown = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert (shown["month"], shown["by"], shown["settles"]) == (JANUARY, "Ada", "no earlier month")
    assert (home / "landing" / str(shown["document"])).is_file()

    again = launched(home, JANUARY, "Ben").get_step_failure_events()[0].step_failure_data.user_failure_data
    assert again is not None
    assert "issued already" in str(again.description)


def test_a_statement_is_issued_and_explained_on_the_command_line(home: Path, spam_pipeline: CommandLine) -> None:
    key = {"IDENTIFIER_KEY": KEY}
    issued = json.loads(spam_pipeline("issue", JANUARY, "--by", "Ada", "--json", home=home, **key).out)
    assert (issued["month"], issued["issued_by"], issued["settled_months"]) == (JANUARY, "Ada", [])
    ended = spam_pipeline("issue", JANUARY, "--by", "Ada", home=home, **key)
    assert (ended.status, ended.out) == (1, "")
    assert "issued already" in ended.err
    converged(open_pipeline(home))
    ended = spam_pipeline("explain", "payee 2", JANUARY, home=home, **key)
    assert ended.status == 0, ended.err
    assert "payee 2 in 2026-01: issued; paid by the rule user_centric" in ended.out
    explained = json.loads(spam_pipeline("explain", "payee 2", JANUARY, "--json", home=home, **key).out)
    assert {row["status"] for row in explained["tracks"]} == {"earning", "withheld"}
    assert {version["stage"] for version in explained["versions"]} == {
        "royalty_statements",
        "royalty_adjustments",
        "royalty_payments",
    }
    ended = spam_pipeline("explain", "nobody", JANUARY, home=home, **key)
    assert (ended.status, ended.out) == (1, "")
    assert "payee 'nobody'" in ended.err
