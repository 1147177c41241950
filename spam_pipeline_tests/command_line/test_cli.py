"""The command line: what each command prints, and the exit status and the one message when something is wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spam_pipeline.command_line import terminal
from spam_pipeline.operations.identifier_key import WARNED
from spam_pipeline.protocol import Finding, Severity
from spam_pipeline.protocol.operating import Audit, Verdict, run_partition
from spam_pipeline_tests.conftest import DAYS, KEY, CommandLine, Ended, open_home

COMMAND = Path(sys.executable).parent / "spam-pipeline"
REASON = Finding("rows", "all: reason", Severity.REFUSE, "another", "one")

STAGES = {
    *(
        "received_plays",
        "rejected",
        "received_files",
        "erased_records",
        "plays",
        "tracks",
        "rights",
        "agreements",
        "accounts",
        "revenue",
        "incidents",
        "rejected_reference",
        "listening",
        "suspicious_groups",
        "suspected_plays",
        "suspected_incidents",
        "carried_devices",
    ),
    *("entity_facts", "play_signals", "labelled_examples", "held_out_examples"),
    *("spam_model", "model_evaluation", "classified_plays"),
    *("royalty_usage", "royalty_statements", "statement_basis", "royalty_adjustments", "royalty_payments"),
    *("issued_statements", "issued_payments", "issued_basis"),
    *(
        "daily_plays",
        "top_countries",
        "plays_by_spam_probability",
        "spam_by_type",
        "track_play_counts",
        "widget_counts",
        "incident_plays",
        "incident_listeners",
        "reports",
        "report_pages",
        "warehouse",
    ),
}


def failure(ended: Ended, status: int = 1) -> str:
    """The message of a command that failed with nothing but a message."""
    assert ended.status == status
    assert ended.out == ""
    last = ended.err.splitlines()[-1] if ended.err.count("error: ") == 1 else ended.err
    assert "Traceback" not in ended.err
    assert last.startswith("error: ")
    return last.removeprefix("error: ")


def wrong_usage(ended: Ended) -> str:
    """What a command says that was not called as it wants to be, without the frame around it."""
    assert ended.status == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err
    return " ".join(ended.err.replace("│", " ").split())


def as_process(*arguments: str, **variables: str) -> Ended:
    """Run the installed command as anybody would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPAM_PIPELINE_")}
    done = subprocess.run(
        [COMMAND, *arguments], env=environment | variables, capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def land_line(home: Path, line: str, day: str = DAYS[-1]) -> None:
    """Land one more line in a file of its own, by default on the last day."""
    folder = home / "landing" / "plays" / day / "23"
    folder.mkdir(exist_ok=True)
    (folder / "one-more.jsonl").write_text(line + "\n", encoding="utf-8")


def query(spam_pipeline: CommandLine, home: Path, sql: str, *arguments: str) -> Any:
    ended = spam_pipeline("query", sql, "--json", *arguments, home=home)
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def test_status_as_json_counts_the_partitions_of_every_stage_by_state(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    ended = spam_pipeline("status", "--json", home=converged_home)
    printed = json.loads(ended.out)
    assert ended.status == 0
    assert (printed["converged"], printed["waiting"]) == (True, [])
    assert printed["passed_over"] == {"files": 0, "first": []}
    assert set(printed["stages"]) == STAGES
    assert printed["stages"]["plays"] == {"fresh": len(DAYS), "stale": 0, "held": 0, "missing": 0}
    assert printed["stages"]["royalty_statements"] == {"fresh": 1, "stale": 0, "held": 0, "missing": 0}
    assert all(set(counts) == {"fresh", "stale", "held", "missing"} for counts in printed["stages"].values())


def test_status_of_named_stages_tells_of_no_other(spam_pipeline: CommandLine, converged_home: Path) -> None:
    printed = json.loads(spam_pipeline("status", "plays", "daily_plays", "--json", home=converged_home).out)
    assert set(printed["stages"]) == {"plays", "daily_plays"}


def test_status_as_a_table_ends_with_the_verdict(spam_pipeline: CommandLine, converged_home: Path) -> None:
    lines = spam_pipeline("status", "plays", home=converged_home).out.splitlines()
    assert lines[0].split() == ["stage", "fresh", "stale", "held", "missing"]
    assert lines[1].split() == ["plays", "6", "0", "0", "0"]
    assert lines[2] == "converged"


def test_status_counts_stages_that_are_fresh_on_one_line_unless_asked_for_all(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    counts = json.loads(spam_pipeline("status", "--json", home=converged_home).out)["stages"]
    partitions = sum(of_it["fresh"] for of_it in counts.values())
    fresh = f"{len(STAGES)} stages fresh, {partitions} partitions (--all lists them)"
    assert spam_pipeline("status", home=converged_home).out.splitlines() == [fresh, "converged"]
    head, *rows, verdict = spam_pipeline("status", "--all", home=converged_home).out.splitlines()
    assert (head.split()[0], verdict) == ("stage", "converged")
    assert {row.split()[0] for row in rows} == STAGES


def test_status_lists_what_is_stale_and_says_what_to_do(spam_pipeline: CommandLine, own_home: Path) -> None:
    land_line(own_home, "{}")
    open_home(own_home).engine.observe()
    ended = spam_pipeline("status", home=own_home)
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert ["received_plays", "5", "1", "0", "0"] in [line.split() for line in lines]
    assert lines[-2].endswith("(--all lists them)")
    assert lines[-1] == "not converged: run spam-pipeline converge"
    assert json.loads(spam_pipeline("status", "--json", home=own_home).out)["converged"] is False


def test_status_lists_what_is_late_by_the_deadline_of_its_stage(spam_pipeline: CommandLine, own_home: Path) -> None:
    land_line(own_home, "{}", DAYS[0])
    assert json.loads(spam_pipeline("status", "--json", home=own_home).out)["late"] == []
    pipeline, earlier = open_home(own_home), datetime(2026, 3, 1, 12, tzinfo=UTC)
    (clock,) = pipeline.engine.ledger.notices.open("production")
    pipeline.engine.ledger.notices.record("production", [], [clock])
    pipeline.engine.ledger.notices.record("production", [(clock, "")], [], at=earlier)
    pipeline.engine.ledger.close()
    printed = json.loads(spam_pipeline("status", "--json", home=own_home).out)["late"]
    assert [(item["stage"], item["partition"], item["due"]) for item in printed] == [
        ("classified_plays", DAYS[0], "2026-03-01T18:00:00+00:00")
    ]
    shown = spam_pipeline("status", "classified_plays", home=own_home).out
    assert f"late: classified_plays {DAYS[0]}: due 2026-03-01 18:00 UTC; rests on received_plays {DAYS[0]}: " in shown
    assert "late:" not in spam_pipeline("status", "plays", home=own_home).out


def test_status_of_a_home_where_nothing_landed_counts_nothing(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    stages = json.loads(spam_pipeline("status", "--json", home=tmp_path / "new").out)["stages"]
    assert {count for counts in stages.values() for count in counts.values()} == {0}


def test_simulate_writes_a_landing_zone_and_its_truth_and_tells_what_it_wrote(
    spam_pipeline: CommandLine, tmp_path: Path
) -> None:
    options = ("--days", "2", "--plays-per-day", "60", "--seed", "3", "--start", "2026-01-30", "--scenario", "loop_bot")
    ended = spam_pipeline("simulate", *options, "--scenario", "bot_farm", "--json", home=tmp_path)
    made = json.loads(ended.out)
    assert ended.status == 0
    assert made["days"] == 2
    assert {name for name, plays in made["spam_plays"].items() if plays} <= {"loop_bot", "bot_farm"}
    assert {folder.name for folder in (tmp_path / "landing" / "plays").iterdir()} == {"2026-01-30", "2026-01-31"}
    assert (tmp_path / "truth.parquet").exists()
    assert ended.err.splitlines() == [line for line in ended.err.splitlines() if line.startswith("simulated 2026-01-3")]


def test_progress_is_a_bar_with_the_time_left_at_a_terminal_and_the_result_stays_alone(tmp_path: Path) -> None:
    seen, terminal = os.openpty()
    command = [COMMAND, "simulate", "--days", "2", "--plays-per-day", "20", "--json"]
    variables = {**os.environ, "SPAM_PIPELINE_HOME": str(tmp_path / "home"), "COLUMNS": "80", "TERM": "xterm"}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(seen, 100_000).decode()
    assert json.loads(done.stdout)["days"] == 2
    assert re.search(r"simulated 2026-01-01: \d+ plays.*50%.*\d:\d\d:\d\d", shown)


def test_simulate_starts_at_the_start_date_setting(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    ended = spam_pipeline("simulate", "--days", "1", "--plays-per-day", "20", home=tmp_path, START_DATE="2026-03-01")
    assert ended.status == 0
    assert ended.out.split()[:2] == ["days", "1"]
    assert [folder.name for folder in (tmp_path / "landing" / "plays").iterdir()] == ["2026-03-01"]


@pytest.mark.parametrize("command", ["simulate", "demo"])
@pytest.mark.parametrize("url", ["memory://bucket/landing", "/another/folder"])
def test_nothing_is_simulated_when_files_land_elsewhere(
    spam_pipeline: CommandLine, tmp_path: Path, command: str, url: str
) -> None:
    message = failure(spam_pipeline(command, home=tmp_path / "new", LANDING_URL=url))
    assert message == (
        "SPAM_PIPELINE_LANDING_URL names another place, but a simulation is only ever written to "
        f"{tmp_path}/new/landing: unset it to simulate there"
    )
    assert not list(tmp_path.rglob("*"))


def test_simulate_leaves_a_landing_zone_alone_that_is_there(spam_pipeline: CommandLine, own_home: Path) -> None:
    before = sorted(own_home.rglob("*"))
    assert "is not empty" in failure(spam_pipeline("simulate", home=own_home))
    assert sorted(own_home.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--scenario", "nosuch"), "'--scenario': 'nosuch' is not a scenario: expected any of loop_bot, "),
        (("--start", "2026-02-30"), "'--start': '2026-02-30' is not a date: expected YYYY-MM-DD"),
        (("--days", "0"), "'--days'"),
        (("--days", "many"), "'--days'"),
        (("--plays-per-day", "0"), "'--plays-per-day'"),
        (("--seed", "-1"), "'--seed'"),
        (("--nosuch",), "No such option"),
    ],
)
def test_simulate_refuses_options_before_it_writes_anything(
    spam_pipeline: CommandLine, tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    home = tmp_path / "home"
    assert problem in wrong_usage(spam_pipeline("simulate", *options, home=home))
    assert not home.exists()


def test_converge_of_what_is_converged_computes_nothing(spam_pipeline: CommandLine, own_home: Path) -> None:
    ended = spam_pipeline("converge", "--json", home=own_home)
    printed = json.loads(ended.out)
    seconds = printed.pop("seconds")
    assert ended.status == 0
    assert printed.pop("passed_over") == {"files": 0, "first": []}
    assert printed == {"converged": True, "computed": 0, "reused": 0, "audited": 0, "held": [], "failed": []}
    assert isinstance(seconds, float)
    assert "observing the landing zone" in ended.err.splitlines()
    assert "No partition waits for anybody." in (own_home / "reports" / "index.html").read_text(encoding="utf-8")


def test_converge_exits_with_3_when_everything_else_is_done(
    spam_pipeline: CommandLine, own_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    land_line(own_home, "no play at all")
    pipeline = open_home(own_home)
    engine = pipeline.engine
    engine.observe()
    run_partition(engine, "received_plays", DAYS[-1])
    _, status = engine.planner.status("rejected", DAYS[-1])
    (version, _), *_ = pipeline.versions("rejected", DAYS[-1])
    refused = replace(version, recipe=status.recipe, id=0)
    engine.ledger.record(
        refused, Audit(Verdict.REFUSED, (REASON,), engine.graph.contract_digests["rejected"]), "production"
    )
    ended = spam_pipeline("--log-level", "info", "converge", "--json", home=own_home)
    printed = json.loads(ended.out)
    assert ended.status == 3
    assert printed["converged"] is True
    assert printed["failed"] == []
    assert printed["held"] == [f"rejected {DAYS[-1]}: its version was refused"]
    assert printed["computed"] == 2, "received_files and the warehouse: what is held is not tried again"
    assert f"received_files {DAYS[-1]}: computed (data: received_plays {DAYS[-1]})" in caplog.messages


def test_converge_exits_with_1_when_a_stage_fails_and_still_does_the_others(
    spam_pipeline: CommandLine, own_home: Path
) -> None:
    land_line(own_home, "no play at all")
    ended = spam_pipeline("converge", home=own_home, WIDGET_URL="redis://127.0.0.1:1")
    failed = [line for line in ended.err.splitlines() if line.startswith("failed: ")]
    assert ended.status == 1
    assert len(failed) == 1
    assert failed[0].startswith("failed: widget_counts all: ")
    assert "Traceback" not in ended.err
    assert ended.out.startswith("computed 4, reused 0 in "), (
        "received_plays, rejected, received_files and the warehouse"
    )


def test_converge_without_a_landing_zone_says_where_it_looked(spam_pipeline: CommandLine, tmp_path: Path) -> None:
    message = failure(spam_pipeline("converge", home=tmp_path / "new"))
    way_out = "set SPAM_PIPELINE_HOME or SPAM_PIPELINE_LANDING_URL, or run spam-pipeline simulate"
    assert message == f"no landing zone at {tmp_path}/new/landing: {way_out}"
    message = failure(spam_pipeline("converge", home=tmp_path / "new", LANDING_URL="memory://nowhere/landing"))
    assert message == f"no landing zone at memory://nowhere/landing: {way_out}"


def test_versions_as_json_say_what_a_partition_rests_on(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("versions", "plays", "2026-01-05", "--json", home=converged_home)
    [version] = json.loads(ended.out)
    assert ended.status == 0
    assert list(version) == [
        *(
            "recipe",
            "content",
            "code_version",
            "rows",
            "rows_read",
            "bytes",
            "fingerprint",
            "audit",
            "findings",
            "evidence",
        ),
        *("inputs", "computed_at", "published_at", "pruned_at", "adopted_from"),
    ]
    assert version["audit"] == "passed"
    assert (version["findings"], version["evidence"]) == ([], [])
    assert version["fingerprint"]["plays"] == version["rows"]
    assert {(item["from"], item["part"]) for item in version["inputs"]} == {("received_plays", "2026-01-05")}
    assert datetime.fromisoformat(version["computed_at"]) <= datetime.fromisoformat(version["published_at"])


def test_versions_of_a_stage_that_is_not_partitioned_need_no_partition(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    ended = spam_pipeline("versions", "spam_model", home=converged_home)
    assert ended.status == 0
    assert ended.out.split()[:5] == ["spam_model", "all", "recipe", "rows", "computed"]


def test_versions_print_the_first_numbers_of_each_a_line_and_say_where_the_rest_is(
    spam_pipeline: CommandLine, converged_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.out, "width", 80)
    ended = spam_pipeline("versions", "plays", "2026-01-05", home=converged_home)
    [version] = json.loads(spam_pipeline("versions", "plays", "2026-01-05", "--json", home=converged_home).out)
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[:2] == [version["recipe"][:16], f"{version['rows']:,}"]
    assert (
        lines[3] == f"{version['recipe'][:16]}: content {version['content'][:16]}, code {version['code_version'][:16]}"
    )
    numbers = lines[4:-1]
    assert numbers[0].split() == ["plays", f"{version['rows']:,}"]
    assert any(line.split()[0] == "logged_out_share" and line.endswith(" %") for line in numbers)
    assert len({len(line) for line in numbers}) == 1, "they are aligned"
    assert lines[-1] == f"  and {len(version['fingerprint']) - len(numbers)} more numbers: --json"


def test_versions_of_what_was_never_computed_are_none(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("versions", "plays", "2025-01-01", "--json", home=converged_home)
    assert (ended.status, json.loads(ended.out)) == (0, [])


def test_query_as_json_is_one_object_a_row(spam_pipeline: CommandLine, converged_home: Path) -> None:
    sql = "select partition_key as day, count(*) as plays from ingestion.plays group by day order by day"
    rows = query(spam_pipeline, converged_home, sql)
    assert [row["day"] for row in rows] == list(DAYS)
    assert all(set(row) == {"day", "plays"} and row["plays"] > 0 for row in rows)


def test_query_prints_a_table_of_what_the_data_say_and_no_more(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    lines = spam_pipeline("query", "select '[/red] :bug:' as \"[bold]\"", home=converged_home).out.splitlines()
    assert [line.strip() for line in lines] == ["[bold]", "[/red] :bug:"], "neither markup nor emoji"


def test_query_as_json_says_every_value_of_sql_in_json(spam_pipeline: CommandLine, converged_home: Path) -> None:
    sql = """
        select 'nan'::double as no_number, [1.5, 'inf'::double] as numbers, map {date '2026-01-01': 1} as by_day,
               1.50::decimal(10, 2) as money, timestamptz '2026-01-01 00:00:00+00' as at, null as nothing
    """
    assert query(spam_pipeline, converged_home, sql) == [
        {
            "no_number": None,
            "numbers": [1.5, None],
            "by_day": {"2026-01-01": 1},
            "money": "1.50",
            "at": "2026-01-01 00:00:00+00:00",
            "nothing": None,
        }
    ]


def test_query_as_json_loses_no_column(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("query", "select 1 as a, 2 as b, 3 as a", "--json", home=converged_home)
    assert failure(ended) == "two columns are called a: rename one with AS"


def test_files_have_every_row_and_every_value_in_full(
    spam_pipeline: CommandLine, converged_home: Path, tmp_path: Path
) -> None:
    asked = "select * from ingestion.plays order by event_id"
    frames = []
    for name, read in (("plays.csv", pl.read_csv), ("plays.parquet", pl.read_parquet)):
        file = tmp_path / name
        ended = spam_pipeline("query", asked, "--out", str(file), "--json", home=converged_home)
        assert json.loads(ended.out) == {"file": str(file), "bytes": file.stat().st_size}
        frames.append(read(file))
    read_by_pipeline = open_home(converged_home).read("plays", DAYS).collect().sort("event_id")
    assert [frame["event_id"].to_list() for frame in frames] == [read_by_pipeline["event_id"].to_list()] * 2
    assert frames[1]["ms_played"].dtype == read_by_pipeline["ms_played"].dtype
    assert spam_pipeline("query", asked, "--csv", home=converged_home).out == (tmp_path / "plays.csv").read_text(
        "utf-8"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plays.csv", "plays.parquet"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--out", "plays.xlsx"), "plays.xlsx ends in neither of .csv, .parquet"),
        (("--out", "nosuch/plays.csv"), "there is no folder"),
        (("--csv", "--json"), "rows are printed as CSV, or as JSON, or written to a file"),
    ],
)
def test_rows_are_written_nowhere_else(
    spam_pipeline: CommandLine, converged_home: Path, options: tuple[str, ...], problem: str
) -> None:
    assert problem in wrong_usage(spam_pipeline("query", "select 1", *options, home=converged_home))


@pytest.mark.parametrize("options", [("--csv",), ("--out", "answer.csv")])
@pytest.mark.parametrize("sql", ["copy (select 1) to 'other.csv'", "select 1 as a, 2 as a", "select * from nosuch"])
def test_a_query_that_is_refused_leaves_no_file(
    spam_pipeline: CommandLine, converged_home: Path, tmp_path: Path, sql: str, options: tuple[str, ...]
) -> None:
    assert spam_pipeline("query", sql, *options, home=converged_home).status == 1
    assert not list(tmp_path.iterdir())


def test_query_as_of_a_day_before_anything_was_published_says_since_when_something_is(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    counted = "select count(*) as plays from ingestion.plays"
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    said = failure(spam_pipeline("query", counted, "--as-of", "2026-01-05", home=converged_home))
    first, *_ = open_home(converged_home).engine.ledger.publications("production", list(STAGES))
    assert said == (
        "nothing was published in production by 2026-01-05T23:59:59.999999+00:00: "
        f"the first publication is of {first.published_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    now = query(spam_pipeline, converged_home, counted)
    assert now[0]["plays"] > 0
    assert query(spam_pipeline, converged_home, counted, "--as-of", tomorrow) == now


def test_query_as_of_no_moment_is_wrong_usage(spam_pipeline: CommandLine, converged_home: Path) -> None:
    said = wrong_usage(spam_pipeline("query", "select 1", "--as-of", "yesterday", home=converged_home))
    assert "--as-of: 'yesterday' is not a point in time: expected YYYY-MM-DD or an ISO 8601 date and time" in said


@pytest.mark.parametrize(
    "sql",
    [
        "create table mine as select 1",
        "drop view ingestion.plays",
        "insert into ingestion.plays select * from ingestion.plays",
        "copy (select 1) to 'out.csv'",
        "explain analyze copy (select 1) to 'out.csv'",
        "attach 'out.duckdb'",
        "install httpfs",
        "set enable_external_access = true",
        "select 1; select 2",
        "",
    ],
)
def test_query_runs_one_select_and_nothing_else(
    spam_pipeline: CommandLine, converged_home: Path, tmp_path: Path, sql: str
) -> None:
    assert "a query is one SELECT" in failure(spam_pipeline("query", sql, home=converged_home))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("selec 1", "syntax error"),
        ("select * from nosuch", "nosuch does not exist"),
        ("select nosuch from ingestion.plays", '"nosuch" not found'),
        ("select * from read_text('/etc/hostname')", "Cannot access file"),
        ("select 1::int / 'x'::int", "Could not convert"),
    ],
)
def test_query_that_cannot_be_answered_says_why(
    spam_pipeline: CommandLine, converged_home: Path, sql: str, problem: str
) -> None:
    ended = spam_pipeline("query", sql, home=converged_home)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert problem in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", [("status",), ("converge",), ("versions",)])
def test_an_unknown_stage_is_answered_with_the_stages_there_are(
    spam_pipeline: CommandLine, own_home: Path, command: tuple[str, ...]
) -> None:
    message = failure(spam_pipeline(*command, "nosuch", home=own_home), status=2)
    known = message.removeprefix("no stage is called nosuch; there are ").split(", ")
    assert set(known) == STAGES


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("status", "play"), "no stage is called play; did you mean plays?"),
        (
            ("diff", "royalty_statment"),
            "no environment is called royalty_statment, and no stage; did you mean royalty_statements?",
        ),
        (("diff", "prodction"), "no environment is called prodction, and no stage; did you mean production?"),
        (
            ("versions", "plays", "2026-01-2"),
            "'2026-01-2' is no event day: expected YYYY-MM-DD; did you mean 2026-01-02?",
        ),
        (("versions", "tracks", "2026-01-02"), "tracks is not partitioned: leave '2026-01-02' out"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest_one(
    spam_pipeline: CommandLine, converged_home: Path, arguments: tuple[str, ...], expected: str
) -> None:
    message = failure(spam_pipeline(*arguments, home=converged_home), status=2)
    assert message.startswith(expected)


def test_a_mistyped_command_is_answered_with_the_nearest_one(spam_pipeline: CommandLine, converged_home: Path) -> None:
    assert "Did you mean 'status'?" in wrong_usage(spam_pipeline("statu", home=converged_home))


def test_versions_that_were_never_computed_are_none_and_it_says_so(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    ended = spam_pipeline("versions", "plays", "2026-05-01", home=converged_home)
    assert (ended.status, ended.out) == (
        0,
        f"plays 2026-05-01 has no versions: none was ever computed; there are {DAYS[0]} to {DAYS[-1]}\n",
    )
    assert spam_pipeline("versions", "plays", "2026-05-01", "--json", home=converged_home).out == "[]\n"


@pytest.mark.parametrize(
    ("stage", "partition", "expected"),
    [
        ("plays", "2026-02-30", "'2026-02-30' is no event day: expected YYYY-MM-DD"),
        ("plays", "2026-01", "'2026-01' is no event day: expected YYYY-MM-DD"),
        ("plays", "../../etc", "'../../etc' is no event day: expected YYYY-MM-DD"),
        ("royalty_statements", "2026-13", "'2026-13' is no statement month: expected YYYY-MM"),
    ],
)
def test_a_wrong_partition_is_answered_with_the_shape_it_should_have(
    spam_pipeline: CommandLine, converged_home: Path, stage: str, partition: str, expected: str
) -> None:
    assert failure(spam_pipeline("versions", stage, partition, home=converged_home), status=2) == expected


@pytest.mark.parametrize(
    "command", [("status",), ("converge",), ("versions", "plays"), ("query", "select 1"), ("simulate",), ("demo",)]
)
def test_every_command_names_the_variable_that_holds_a_wrong_value(
    spam_pipeline: CommandLine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = spam_pipeline(*command, home=tmp_path / "new", START_DATE="soon")
    assert failure(ended) == "SPAM_PIPELINE_START_DATE: expected a day, YYYY-MM-DD"
    assert not list(tmp_path.iterdir())


def test_a_database_that_does_not_answer_is_one_message(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("status", home=converged_home, LEDGER_URL="postgresql+psycopg://someone@127.0.0.1:1/ledger")
    assert (ended.status, ended.out) == (1, "")
    assert failure(ended).startswith(
        "the ledger postgresql+psycopg://someone@127.0.0.1:1/ledger is not to be reached: start its server"
    )


@pytest.mark.parametrize("arguments", [(), ("nosuch",), ("versions",), ("query",), ("status", "--nosuch")])
def test_wrong_usage_exits_with_2_and_shows_the_usage(
    spam_pipeline: CommandLine, converged_home: Path, arguments: tuple[str, ...]
) -> None:
    ended = spam_pipeline(*arguments, home=converged_home)
    assert ended.status == 2
    assert "Usage: " in ended.out + ended.err


def test_standard_output_is_the_result_alone_and_a_warning_goes_elsewhere_once_for_a_home(own_home: Path) -> None:
    (own_home / WARNED).unlink(missing_ok=True)  # another test may have been warned of the home that this is a copy of
    variables = {"SPAM_PIPELINE_HOME": str(own_home), "COLUMNS": "80"}
    ended = as_process("query", "select * from ingestion.plays limit 3", **variables)
    lines = ended.out.splitlines()
    assert (ended.status, len(lines)) == (0, 4)
    assert max(map(len, lines)) <= 80
    warning, shortened = ended.err.splitlines()
    assert warning.startswith("WARNING: SPAM_PIPELINE_IDENTIFIER_KEY is not set")
    assert "columns are shown" in shortened
    ended = as_process("query", "select 1 as one", "--json", **variables)
    assert (ended.status, json.loads(ended.out), ended.err) == (0, [{"one": 1}], "")


def test_a_failing_process_leaves_one_line_and_no_traceback(converged_home: Path) -> None:
    variables = {"SPAM_PIPELINE_HOME": str(converged_home), "SPAM_PIPELINE_IDENTIFIER_KEY": KEY}
    ended = as_process("versions", "plays", "2026-02-30", **variables)
    assert ended == Ended(2, "", "error: '2026-02-30' is no event day: expected YYYY-MM-DD\n")


# What is missing, and what was passed over


def test_a_lost_day_is_named_until_somebody_takes_it_back_and_declares_the_gap(
    spam_pipeline: CommandLine, own_home: Path
) -> None:
    lost = DAYS[2]
    shutil.rmtree(own_home / "landing" / "plays" / lost)
    ended = spam_pipeline("converge", home=own_home)
    assert ended.status == 3
    assert f"held: received_plays {lost}: what it was made from is gone" in ended.out
    assert f"held: royalty_usage {DAYS[0]}: its day is not settled: it lacks received_plays {lost}" in ended.out

    [item] = json.loads(spam_pipeline("waiting", "--json", home=own_home).out)
    assert item["behind"][0] == f"royalty_usage {DAYS[0]}"
    assert item["evidence"].endswith(f"/assets/received_plays?view=partitions&partition={lost}")
    printed = spam_pipeline("waiting", home=own_home).out
    assert f"received_plays {lost}, of team:ingestion, waits: what it was made from is gone" in printed
    assert f"  to decide: {item['command']}; {item['launchpad']}" in printed
    assert item["command"] in spam_pipeline("status", home=own_home).out

    declared = ("declare-gap", lost, "--by", "anna", "--reason", "the sender was away")
    published = open_home(own_home).versions("received_plays", lost)[-1][0].recipe
    assert f"to take them back, reject {published[:16]}" in failure(spam_pipeline(*declared, home=own_home))
    told = ("--by", "anna", "--reason", "sent twice")
    assert spam_pipeline("decide", "reject", published, *told, home=own_home).status == 0
    assert json.loads(spam_pipeline("status", "--json", home=own_home).out)["waiting"][0] == (
        f"received_plays {lost}: nothing has landed for it"
    )
    assert f"landed plays/{lost}/gap.json" in spam_pipeline(*declared, home=own_home).out
    waiting = json.loads(spam_pipeline("status", "--json", home=own_home).out)["waiting"]
    assert not [line for line in waiting if line.startswith(f"received_plays {lost}")]
    assert "has landed for it, so that there is no gap" in failure(spam_pipeline(*declared, home=own_home))


@pytest.mark.parametrize(
    ("asked", "status", "problem"),
    [
        (("2026-02-30",), 2, "is no arrival day"),
        ((DAYS[0], "--hour", "7"), 1, "'7' is no hour: expected two digits, 00 to 23"),
        ((DAYS[0],), 1, "has landed for it, so that there is no gap"),
        (("2999-01-01",), 1, "2999-01-01 is not over yet"),
    ],
)
def test_a_gap_that_is_none_is_not_declared(
    spam_pipeline: CommandLine, converged_home: Path, asked: tuple[str, ...], status: int, problem: str
) -> None:
    ended = spam_pipeline("declare-gap", *asked, "--by", "anna", "--reason", "x", home=converged_home)
    assert problem in failure(ended, status)


def test_what_almost_fits_the_layout_is_told_and_not_read(spam_pipeline: CommandLine, own_home: Path) -> None:
    for folder in (f"{DAYS[0]}/5", "2999-01-03/15"):
        (own_home / "landing/plays" / folder).mkdir(parents=True)
        (own_home / "landing/plays" / folder / "a.jsonl").write_text("{}\n", encoding="utf-8")
    ended = spam_pipeline("converge", home=own_home)
    assert ended.status == 0
    assert "passed over in the landing zone: 2" in ended.out
    assert f"plays/{DAYS[0]}/5/a.jsonl (its hour is 5: expected two digits, 00 to 23)" in ended.out
    passed_over = json.loads(spam_pipeline("status", "--json", home=own_home).out)["passed_over"]
    assert passed_over["first"][1] == {
        "path": "plays/2999-01-03/15/a.jsonl",
        "why": "its day, 2999-01-03, is ahead of the clock",
    }
