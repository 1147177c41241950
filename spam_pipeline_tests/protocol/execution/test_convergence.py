"""Observing, running and converging, told with the toy pipeline over a real store and ledger."""

import io
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import polars as pl
import pytest
import sqlalchemy
from typing_extensions import override

from spam_pipeline.partitions import arrival_days, unpartitioned
from spam_pipeline.protocol.definition.delivery import Delivery
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import EveryStage
from spam_pipeline.protocol.definition.stage import stage
from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.engine import open_engine
from spam_pipeline.protocol.execution.outcome import ActionTaken
from spam_pipeline.protocol.execution.running import run as run_one
from spam_pipeline.protocol.execution.running import run_partition
from spam_pipeline.protocol.fingerprint import Counted
from spam_pipeline.protocol.foundation.errors import (
    Held,
    LandingChanged,
    NotPublished,
    PlaceUnusable,
    WrongDefinition,
    WrongPartition,
)
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline.protocol.planning.partition_status import RequiredAction, State
from spam_pipeline.protocol.storage.landing_zone import LandingZone
from spam_pipeline.protocol.storage.store import Store
from spam_pipeline_tests.protocol.toy_pipeline import (
    STAGES,
    Catalogue,
    Numbers,
    classify,
    deliver_lines,
    delivered_recipe,
    land,
    toy_engine,
    toy_graph,
)
from spam_pipeline_tests.protocol.toy_runs import digests, rebuilt, run, total

ROOT = Path(__file__).parents[2]
DYING = "spam_pipeline_tests.protocol.converge_and_die"


def test_everything_wanted_is_published(home: Path) -> None:
    engine = toy_engine(home)
    done, _ = run(engine)
    assert done.converged
    assert (done.held, done.failed) == ((), ())
    assert total(engine, "two_day_total", "2026-01-02") == 13
    assert total(engine, "monthly_total", "2026-01") == 113
    assert engine.reader.read("model", ["all"]) == {"2026-01-01": 2, "2026-01-02": 1, "2026-01-04": 1}
    assert engine.reader.read("rejected_numbers", ["2026-01-01"]).collect()["line"].to_list() == [3]


def test_a_version_is_measured_with_its_side_parts_under_their_names(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    seen = {day: engine.reader.version("received_numbers", day).fingerprint for day in ("2026-01-01", "2026-01-02")}
    assert seen["2026-01-01"].keys() == {"numbers", "total", "rejected_records", "rejected_lines"}
    assert seen["2026-01-01"]["rejected_records"] == Counted(1)
    assert seen["2026-01-01"]["rejected_lines"] == Counted(3)
    assert seen["2026-01-02"].keys() == {"numbers", "total"}


def test_rows_are_those_of_a_version_of_frames(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    reader = engine.reader
    assert reader.rows(reader.version("monthly_total", "2026-01")).collect()["total"].to_list() == [113]
    with pytest.raises(WrongDefinition, match=r"model publishes \.json files"):
        reader.rows(reader.version("model", "all"))


def test_a_second_convergence_computes_nothing(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    done, did = run(toy_engine(home))
    assert (done.computed, done.reused, did) == (0, 0, [])
    assert digests(engine) == before


def test_one_more_file_in_an_old_arrival_day_recomputes_only_what_it_touches(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    land(home, "2026-01-01", "b", "2026-01-04 7")
    _, did = run(engine)
    computed = {(name, key) for name, key, _ in did}
    assert computed == {
        ("received_numbers", "2026-01-01"),
        ("numbers", "2026-01-04"),
        ("two_day_total", "2026-01-04"),
        ("model", "all"),
        ("share", "2026-01-01"),
        ("share", "2026-01-02"),
        ("share", "2026-01-04"),
        ("monthly_total", "2026-01"),
        ("board", "all"),
    }
    assert digests(engine) == rebuilt(home)


def test_a_landed_file_is_decoded_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    really_open = LandingZone.open

    def noted(zone: LandingZone, path: str) -> io.BufferedReader:
        opened.append(path)
        return really_open(zone, path)

    engine = toy_engine(home)
    run(engine)
    land(home, "2026-01-01", "b", "2026-01-01 3")
    engine.observe()
    monkeypatch.setattr(LandingZone, "open", noted)
    assert converge(engine).converged
    assert opened == ["2026-01-01/b.txt"], "the file that was decoded before is not opened again"
    assert engine.reader.read("numbers", ["2026-01-01"]).collect()["number"].to_list() == [1, 2, 3]


def test_equal_content_stops_the_wave(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    land(home, "2026-01-02", "retry", "2026-01-02 10")
    _, did = run(engine)
    assert [(name, key) for name, key, _ in did] == [
        ("received_numbers", "2026-01-02"),
        ("numbers", "2026-01-02"),
        ("board", "all"),
    ]


def test_a_replaced_file_is_decoded_again(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    land(home, "2026-01-04", "a", "2026-01-04 200")
    run(engine)
    assert total(engine, "monthly_total", "2026-01") == 213
    assert digests(engine) == rebuilt(home)


def test_a_revert_computes_nothing(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    changed, _ = run(toy_engine(home, factor=2))
    assert changed.computed > 0
    reverted, _ = run(toy_engine(home))
    assert (reverted.computed, reverted.reused) == (0, changed.computed)
    assert digests(engine) == before


def test_a_setting_touches_only_the_stages_that_take_it(home: Path) -> None:
    run(toy_engine(home))
    _, did = run(toy_engine(home, factor=2))
    assert {name for name, _, _ in did} == {"two_day_total", "board"}


def test_a_day_is_settled_when_the_landing_zone_has_moved_past_it(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    assert set(engine.planner.statuses(["settled_total"])["settled_total"]) == {"2026-01-01", "2026-01-02"}
    land(home, "2026-01-06", "a", "2026-01-06 1")
    run(engine)
    assert set(engine.planner.statuses(["settled_total"])["settled_total"]) == {
        "2026-01-01",
        "2026-01-02",
        "2026-01-04",
    }


def test_a_version_that_breaks_its_contract_is_quarantined_and_its_consumers_keep_what_they_had(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    land(home, "2026-01-04", "b", "2026-01-04 -5")
    done, _ = run(engine)
    assert done.converged
    assert done.held == (
        "received_numbers 2026-01-04: its version was refused",
        "settled_total 2026-01-01: its day is not settled: it lacks received_numbers 2026-01-04",
        "settled_total 2026-01-02: its day is not settled: it lacks received_numbers 2026-01-04",
    )
    assert total(engine, "monthly_total", "2026-01") == 113
    assert engine.ledger.versions("received_numbers", "2026-01-04")[-1][1].findings != ()


def test_what_rests_on_a_first_version_that_was_refused_is_held(tmp_path: Path) -> None:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 -1")
    engine = toy_engine(home)
    done, _ = run(engine)
    statuses = engine.planner.statuses()
    assert statuses["rejected_numbers"]["2026-01-01"].state is State.HELD
    assert done.held[0].startswith("received_numbers 2026-01-01")
    with pytest.raises(NotPublished, match="received_numbers 2026-01-01 is not published"):
        engine.reader.read("received_numbers", ["2026-01-01"])


def test_correcting_the_file_releases_what_was_held(home: Path) -> None:
    engine = toy_engine(home)
    land(home, "2026-01-04", "b", "2026-01-04 -5")
    run(engine)
    land(home, "2026-01-04", "b", "2026-01-04 5")
    done, _ = run(engine)
    assert done.held == ()
    assert total(engine, "monthly_total", "2026-01") == 118


def test_a_target_outside_that_lost_its_contents_is_filled_again(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    board = home / "board.txt"
    before = board.read_text(encoding="utf-8")
    board.unlink()
    assert engine.planner.statuses(["board"])["board"]["all"].state is State.STALE
    _, did = run(engine)
    assert did == [("board", "all", ActionTaken.DELIVERED.value)]
    assert board.read_text(encoding="utf-8") == before


def test_what_others_observe_meanwhile_does_not_disturb_a_run(home: Path) -> None:
    engine = toy_engine(home)
    engine.observe()
    report, status = engine.planner.status("received_numbers", "2026-01-01")
    land(home, "2026-01-01", "a", "2026-01-01 7")
    toy_engine(home).observe()
    with pytest.raises(LandingChanged):
        run_one(engine, report, status)
    assert run_partition(engine, "received_numbers", "2026-01-01").action is ActionTaken.COMPUTED


def test_lost_pointers_are_set_again_without_computing(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    with sqlite3.connect(home / "ledger.db") as ledger:
        ledger.execute("delete from publications")
    ledger.close()
    done, _ = run(toy_engine(home))
    assert done.computed == 0
    assert digests(engine) == before


@pytest.mark.parametrize("name", ["a[b]c", "a*b", "a%20b", "a?b", "a b#c"])
def test_a_home_of_any_name_works(home: Path, tmp_path: Path, name: str) -> None:
    odd = tmp_path / name
    shutil.copytree(home, odd)
    ledger = sqlalchemy.URL.create("sqlite", database=str(odd / "ledger.db"))
    done, _ = run(toy_engine(odd, ledger_url=ledger.render_as_string()))
    assert done.failed == ()
    assert {path.name for path in tmp_path.iterdir()} == {"home", name}


def test_a_target_that_cannot_be_reached_fails_alone_and_is_filled_once_it_can(home: Path) -> None:
    engine = toy_engine(home)
    (home / "board.txt").mkdir()
    done, _ = run(engine)
    assert [item.stage for item in done.failed] == ["board"]
    (home / "board.txt").rmdir()
    done, _ = run(engine)
    assert done.converged
    assert (home / "board.txt").is_file()


def test_whoever_delivers_late_delivers_what_is_read_by_then(home: Path) -> None:
    slow = toy_engine(home)
    run(slow)
    (home / "board.txt").unlink()
    report, status = slow.planner.status("board", "all")
    assert status.required_action is RequiredAction.DELIVER
    land(home, "2026-01-02", "late", "2026-01-02 7")
    run(toy_engine(home))
    newest = slow.reader.version("board", "all").recipe
    assert newest != status.recipe
    assert run_one(slow, report, status).action is ActionTaken.NOTHING
    assert delivered_recipe(str(home / "board.txt")) == newest


def test_a_target_that_forgets_at_once_is_filled_once(home: Path) -> None:
    engine = toy_engine(home, stages=(*STAGES[:-1], forgetful_board))
    run(engine)
    _, did = run(engine)
    assert did == [("forgetful_board", "all", "delivered")]


def test_only_the_named_stages_and_what_they_rest_on_run(home: Path) -> None:
    _, did = run(toy_engine(home), "numbers")
    assert {name for name, _, _ in did} == {"received_numbers", "numbers"}


def test_a_branch_computes_only_what_it_changes_and_leaves_production_alone(home: Path) -> None:
    run(toy_engine(home))
    before = digests(toy_engine(home))
    branch = toy_engine(home, environment="branch", factor=2)
    _, did = run(branch)
    assert {name for name, _, _ in did} == {"two_day_total", "board"}
    assert total(branch, "two_day_total", "2026-01-02") == 26
    assert digests(toy_engine(home)) == before


def test_the_bytes_of_rejected_records_are_kept_apart(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    kept = pl.read_parquet(next((home / "private").rglob("*.parquet")))
    assert kept["raw"].to_list() == ["broken"]
    for file in (home / "store").rglob("*.parquet"):
        assert b"broken" not in file.read_bytes()


def test_one_partition_can_be_run_by_itself(home: Path) -> None:
    engine = toy_engine(home)
    engine.observe()
    assert run_partition(engine, "received_numbers", "2026-01-01").action is ActionTaken.COMPUTED
    assert run_partition(engine, "numbers", "2026-01-01").action is ActionTaken.COMPUTED
    assert run_partition(engine, "numbers", "2026-01-01").action is ActionTaken.NOTHING


def test_a_partition_that_nothing_landed_for_is_not_wanted(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    with pytest.raises(Held, match="nothing to compute it from has landed"):
        engine.planner.status("numbers", "2026-01-03")
    with pytest.raises(WrongPartition):
        engine.planner.status("numbers", "January")


@stage(
    partitions=unpartitioned,
    contract=Catalogue,
    owner="team:toys",
    libraries=["polars"],
    delivery=Delivery("board", lambda _target: None, deliver_lines),
)
def forgetful_board(catalogue: Annotated[pl.LazyFrame, Reads(EveryStage())]) -> pl.LazyFrame:
    """A board that never remembers what it was given."""
    return catalogue


@stage(partitions=arrival_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def fails_on_the_second(received_numbers: pl.LazyFrame, partition: str) -> pl.LazyFrame:
    """Fails on one day."""
    if partition == "2026-01-02":
        raise ValueError("the second is an unlucky day")
    return received_numbers.sort("day", "number")


@stage(partitions=arrival_days, contract=Numbers, owner="team:toys", libraries=["polars"])
def after_the_failing_one(fails_on_the_second: pl.LazyFrame) -> pl.LazyFrame:
    """Reads the stage that fails."""
    return fails_on_the_second


def test_a_failing_partition_is_named_and_stops_nobody_else(home: Path) -> None:
    engine = toy_engine(home, stages=(*STAGES, fails_on_the_second, after_the_failing_one))
    done, did = run(engine)
    assert not done.converged
    assert [(item.stage, item.partition) for item in done.failed] == [("fails_on_the_second", "2026-01-02")]
    assert "unlucky day" in done.failed[0].error
    assert ("after_the_failing_one", "2026-01-04", "computed") in did
    assert engine.planner.statuses()["after_the_failing_one"]["2026-01-02"].state is State.MISSING


def test_two_processes_converge_the_same_home_at_once(home: Path) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda _: _converge_in_a_process(home).wait(timeout=120), range(2)))
    engine = toy_engine(home)
    assert digests(engine) == rebuilt(home)
    told = [
        (item.stage, item.partition, item.version_id) for item, _ in engine.ledger.publications_after(0, PRODUCTION)
    ]
    assert len(told) == len(set(told)), "no version was published twice"


@pytest.mark.parametrize("effect", [1, 2, 3, 4, 5, 6, 9, 14, 23, 30, 41, 58])
def test_a_convergence_killed_at_any_effect_goes_on_where_it_was(home: Path, effect: int) -> None:
    died = subprocess.run([sys.executable, "-m", DYING, str(home), str(effect)], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL, "the effect was reached"
    engine = toy_engine(home)
    done, _ = run(engine)
    assert done.converged
    assert digests(engine) == rebuilt(home)
    for _, found in engine.ledger.publications_after(0, PRODUCTION):
        assert found is not None
        version, _ = found
        for part in version.parts:
            for file in part.files:
                engine.stores[0].verify(file.path)


def _converge_in_a_process(home: Path) -> "subprocess.Popen[bytes]":
    code = (
        "import sys; from pathlib import Path;"
        "from spam_pipeline.protocol.execution.convergence import converge;"
        "from spam_pipeline_tests.protocol.toy_pipeline import toy_engine;"
        "engine = toy_engine(Path(sys.argv[1])); engine.observe();"
        "sys.exit(not converge(engine).converged)"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(home)], cwd=ROOT)


class FullStore(Store):
    """A store on a disk that became full after some files."""

    room = 3

    @override
    def put(self, made: Path, folder: str) -> str:
        if self.room == 0:
            Path("/dev/full").write_bytes(made.read_bytes())
        self.room -= 1
        return super().put(made, folder)


def test_a_full_disk_ends_a_convergence_with_one_error_and_counts_against_no_recipe(home: Path) -> None:
    url = f"sqlite:///{home / 'ledger.db'}"
    engine = open_engine(
        graph=toy_graph(home),
        ledger=Ledger(url),
        store=FullStore(str(home / "store"), home / "cache"),
        private_store=Store(str(home / "private"), home / "cache-private"),
        landing=LandingZone(str(home / "landing")),
        classify=classify,
        claims=Claims(url),
        environment=PRODUCTION,
    )
    engine.observe()
    with pytest.raises(PlaceUnusable, match="store is on a disk that is full: make room"):
        converge(engine)
    roomy = toy_engine(home)
    statuses = [status for by_partition in roomy.planner.statuses().values() for status in by_partition.values()]
    assert not roomy.ledger.attempts.of({status.recipe for status in statuses})
    done, _ = run(roomy)
    assert done.converged
    assert digests(roomy) == rebuilt(home)


def test_a_file_that_is_lost_computes_nothing_again_while_what_it_made_is_held(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    (home / "landing" / "2026-01-01" / "a.txt").unlink()
    done, did = run(engine)
    assert did == []
    assert "received_numbers 2026-01-01: what it was made from is gone" in done.held[0]
    assert digests(engine) == before
