"""The command line where people look at versions and decide about them: `decide`, `diff`, `promote` and `drop`."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from spam_pipeline.protocol.operating import converge
from spam_pipeline_tests.command_line.test_cli import failure, wrong_usage
from spam_pipeline_tests.conftest import DAYS, CommandLine, open_home
from spam_pipeline_tests.shared_homes import copied, filled_once

DAY = DAYS[2]
WHO = ("--by", "Ada", "--reason", "counted twice")


@pytest.fixture(scope="session")
def branched_home(tmp_path_factory: pytest.TempPathFactory, converged_home: Path) -> Path:
    """A home where the environment `mine` has published the plays of a day that production has yet to. To be read only."""
    return filled_once(tmp_path_factory, "branched", lambda home: _branch(copied(converged_home, home)))


def _branch(home: Path) -> None:
    land_late_play(home)
    pipeline = open_home(home, environment="mine")
    pipeline.engine.observe()
    assert converge(pipeline.engine, ["plays"]).converged
    pipeline.engine.ledger.close()


def recipe(home: Path, stage: str = "daily_plays") -> str:
    return open_home(home).versions(stage, DAY)[-1][0].recipe


def land_late_play(home: Path) -> None:
    """Land a play of a day in a file of its own, on the last day."""
    file = home / "landing" / "plays" / DAYS[-1] / "23" / "late.jsonl"
    file.parent.mkdir(exist_ok=True)
    play = {
        "event_id": "late",
        "occurred_at": f"{DAY}T12:00:00Z",
        "track_id": "t",
        "device_id": "d",
        "ms_played": 40_000,
    }
    file.write_text(json.dumps(play) + "\n", encoding="utf-8")


def test_a_rejected_version_is_gone_and_accepting_it_brings_it_back(spam_pipeline: CommandLine, own_home: Path) -> None:
    version = recipe(own_home)
    ended = spam_pipeline("decide", "reject", version[:16], *WHO, "--json", home=own_home)
    decided = json.loads(ended.out)
    assert (ended.status, decided["stage"], decided["partition"], decided["version"]) == (
        0,
        "daily_plays",
        DAY,
        version,
    )
    assert (decided["action"], decided["by"], decided["reason"]) == ("reject", "Ada", "counted twice")
    asked = f"select count(*) as n from reporting.daily_plays where partition_key = '{DAY}'"  # noqa: S608 - our own day
    assert json.loads(spam_pipeline("query", asked, "--json", home=own_home).out) == [{"n": 0}]
    ended = spam_pipeline("decide", "accept", version, *WHO, home=own_home)
    assert ended.status == 0
    assert f"accepted daily_plays {DAY}" in ended.out
    assert "spam-pipeline converge" in ended.out
    assert json.loads(spam_pipeline("query", asked, "--json", home=own_home).out) != [{"n": 0}]


def test_who_decided_what_and_why_is_listed(spam_pipeline: CommandLine, own_home: Path) -> None:
    spam_pipeline("decide", "reject", recipe(own_home), *WHO, home=own_home)
    (decision,) = json.loads(spam_pipeline("decisions", "--json", home=own_home).out)
    told = {name: decision[name] for name in ("environment", "stage", "partition", "action", "by", "reason")}
    assert list(told.values()) == ["production", "daily_plays", DAY, "reject", "Ada", "counted twice"]
    assert "counted twice" in spam_pipeline("decisions", home=own_home).out


def test_rejecting_holds_the_partition_and_status_says_so(spam_pipeline: CommandLine, own_home: Path) -> None:
    spam_pipeline("decide", "reject", recipe(own_home), *WHO, home=own_home)
    status = json.loads(spam_pipeline("status", "daily_plays", "--json", home=own_home).out)
    assert (status["converged"], status["stages"]["daily_plays"]["held"]) == (True, 1)


def test_the_versions_say_who_rejected_one(spam_pipeline: CommandLine, own_home: Path) -> None:
    spam_pipeline("decide", "reject", recipe(own_home), *WHO, home=own_home)
    (version,) = json.loads(spam_pipeline("versions", "daily_plays", DAY, "--json", home=own_home).out)
    assert version["audit"] == "refused"
    assert version["findings"] == [
        "refuse: version: expected a version that nobody rejected, got one that Ada rejected: counted twice"
    ]


def test_a_decision_that_is_none_is_one_message(spam_pipeline: CommandLine, converged_home: Path) -> None:
    version = recipe(converged_home)
    ended = spam_pipeline("decide", "accept", version, *WHO, home=converged_home)
    assert "passed its audit" in failure(ended)
    assert "names no version" in failure(spam_pipeline("decide", "reject", "0" * 20, *WHO, home=converged_home))
    assert "by whom" in failure(
        spam_pipeline("decide", "reject", version, "--by", " ", "--reason", "x", home=converged_home)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("maybe", "abcd", *WHO),
        ("accept", "abcd", "--by", "Ada"),
        ("accept",),
    ],
)
def test_a_decision_without_all_it_needs_is_wrong_usage(
    spam_pipeline: CommandLine, converged_home: Path, arguments: tuple[str, ...]
) -> None:
    assert "Usage" in wrong_usage(spam_pipeline("decide", *arguments, home=converged_home))


def test_a_rejection_is_of_one_version_at_a_time(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("decide", "reject", recipe(converged_home), *WHO, "--all-matching", home=converged_home)
    assert "all matching versions can only be accepted: reject one version at a time" in wrong_usage(ended)


def test_a_version_compared_with_itself_is_equal(spam_pipeline: CommandLine, converged_home: Path) -> None:
    ended = spam_pipeline("diff", "daily_plays", DAY, "--json", home=converged_home)
    compared = json.loads(ended.out)
    assert (compared["stage"], compared["causes"], compared["rows"]["changed"]) == ("daily_plays", [], 0)
    assert [item["is_equal"] for item in compared["partitions"]] == [True]


def test_two_versions_are_compared_on_one_screen_and_on_a_page(
    spam_pipeline: CommandLine, own_home: Path, tmp_path: Path
) -> None:
    before = recipe(own_home, "plays")
    land_late_play(own_home)
    assert spam_pipeline("converge", "plays", home=own_home).status == 0
    page = tmp_path / "diff.html"
    ended = spam_pipeline("diff", "plays", DAY, before, "newest", "--html", str(page), home=own_home)
    assert "1 added, 0 removed, 0 changed" in ended.out
    assert f"why: data: received_plays {DAYS[-1]}" in ended.out
    assert len(ended.out.splitlines()) < 60
    assert "<svg" in page.read_text(encoding="utf-8") or "<table" in page.read_text(encoding="utf-8")
    assert "http://" not in page.read_text(encoding="utf-8").replace("http://www.w3.org", "")


def test_a_difference_is_printed_for_a_pull_request_and_fails_if_that_is_asked_for(
    spam_pipeline: CommandLine, branched_home: Path
) -> None:
    compared = ("diff", "production", "--exit-code")
    ended = spam_pipeline(*compared, "--markdown", "--environment", "mine", home=branched_home)
    assert ended.status == 1
    assert ended.out.startswith("### mine compared with production\n\n| stage | partitions |")
    assert f"| plays | 1 of 1: {DAY} | 1 added, 0 removed, 0 changed |" in ended.out
    assert spam_pipeline("diff", "production", "--environment", "mine", home=branched_home).status == 0
    assert spam_pipeline(*compared, "--environment", "other", home=branched_home).status == 0
    assert spam_pipeline("diff", "daily_plays", DAY, "--exit-code", home=branched_home).status == 0
    ended = spam_pipeline(*compared, "--markdown", "--json", home=branched_home)
    assert "as Markdown or as JSON" in wrong_usage(ended)


def test_a_plan_estimates_what_computing_takes(spam_pipeline: CommandLine, branched_home: Path) -> None:
    planned = json.loads(spam_pipeline("plan", "plays", "--json", home=branched_home).out)
    assert [(item["stage"], item["action"]) for item in planned] == [("received_plays", "reuse"), ("plays", "reuse")]
    assert {(item["seconds"], item["bytes"]) for item in planned} == {(0, 0)}
    planned = json.loads(spam_pipeline("plan", "entity_facts", "--json", home=branched_home).out)
    computed = [item for item in planned if item["action"] == "compute"]
    assert {item["stage"] for item in computed} == {"entity_facts"}
    assert all(item["seconds"] > 0 and item["bytes"] > 0 for item in computed)
    *_, last = spam_pipeline("plan", "entity_facts", home=branched_home).out.splitlines()
    assert last.startswith(f"to do: reuse 2, compute {len(computed)}; together about ")
    assert " of computing and " in last


def test_an_environment_that_publishes_nothing_apart_is_production(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    ended = spam_pipeline("diff", "production", home=converged_home, ENVIRONMENT="mine")
    assert (ended.status, ended.out) == (0, "mine publishes the same as production\n")


def test_versions_that_are_none_are_one_message(spam_pipeline: CommandLine, converged_home: Path) -> None:
    assert "no version 'ffff'" in failure(spam_pipeline("diff", "plays", DAY, "ffff", home=converged_home))
    ended = spam_pipeline("diff", "nothing", DAY, home=converged_home)
    assert "no stage is called nothing" in failure(ended, status=2)
    ended = spam_pipeline("diff", "plays", "2026-01-01..x", home=converged_home)
    assert "expected YYYY-MM-DD" in failure(ended, status=2)


def test_what_an_environment_decided_is_promoted_and_an_environment_is_dropped(
    spam_pipeline: CommandLine, branched_home: Path, tmp_path: Path
) -> None:
    own_home = copied(branched_home, tmp_path / "home")
    version = recipe(own_home)
    assert spam_pipeline("decide", "reject", version, *WHO, home=own_home, ENVIRONMENT="mine").status == 0
    asked = ("query", f"select 1 from reporting.daily_plays where partition_key = '{DAY}' limit 1", "--json")  # noqa: S608 - our own day
    assert json.loads(spam_pipeline(*asked, home=own_home, ENVIRONMENT="mine").out) == []
    assert json.loads(spam_pipeline(*asked, home=own_home).out) == [{"1": 1}]
    waiting = json.loads(spam_pipeline("waiting", "--environment", "mine", "--json", home=own_home).out)
    assert [item["partition"] for item in waiting if item["stage"] == "daily_plays"] == [DAY]
    ended = spam_pipeline("drop", "--json", home=own_home, ENVIRONMENT="mine")
    assert json.loads(ended.out) == {"dropped": 3}
    assert json.loads(spam_pipeline(*asked, home=own_home, ENVIRONMENT="mine").out) == [{"1": 1}]


def test_an_environment_that_was_dropped_promotes_nothing(
    spam_pipeline: CommandLine, branched_home: Path, tmp_path: Path
) -> None:
    own_home = copied(branched_home, tmp_path / "home")
    assert spam_pipeline("drop", "--environment", "mine", home=own_home).status == 0
    ended = spam_pipeline("promote", "--by", "Ada", "--json", "--environment", "mine", home=own_home)
    assert (ended.status, json.loads(ended.out)) == (0, {"promoted": [], "held": []})
    assert "production is what others are promoted to" in failure(
        spam_pipeline("promote", "--by", "Ada", home=own_home)
    )


def test_environments_are_listed_and_a_promotion_is_asked_for_before_it_happens(
    spam_pipeline: CommandLine, branched_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copied(branched_home, tmp_path / "home")

    def counts() -> dict[str, tuple[int, int]]:
        printed = json.loads(spam_pipeline("environments", "--json", home=home).out)
        return {item["name"]: (item["partitions"], item["differing"]) for item in printed}

    before = counts()
    assert before["mine"] == (2, 2)
    assert spam_pipeline("environments", home=home).out.splitlines()[1].split()[:3] == ["mine", "2", "2"]
    promotion = ("promote", "--by", "Ada", "--environment", "mine")

    ended = spam_pipeline(*promotion, home=home)
    assert (ended.status, ended.out, counts()) == (2, "", before)
    assert ["plays", "0", "1", "0", DAY] in [line.split() for line in ended.err.splitlines()]
    assert "--yes promotes without asking" in ended.err

    keyboard, terminal = os.openpty()
    for answer, status in (("n", 1), ("y", 0)):
        os.write(keyboard, f"{answer}\n".encode())
        with os.fdopen(os.dup(terminal)) as typed, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", typed)
            ended = spam_pipeline(*promotion, home=home)
        assert (ended.status, counts() == before) == (status, answer == "n")
    assert ended.out == "promoted 2 partitions of mine to production\n"
    assert counts()["mine"] == (0, 0)


def test_a_promotion_that_is_confirmed_beforehand_asks_nobody(
    spam_pipeline: CommandLine, branched_home: Path, tmp_path: Path
) -> None:
    home = copied(branched_home, tmp_path / "home")
    ended = spam_pipeline("--environment", "mine", "promote", "--by", "Ada", "--yes", "--json", home=home)
    promoted = json.loads(ended.out)["promoted"]
    assert (ended.status, ended.err) == (0, "")
    assert promoted == [{"stage": "received_plays", "partition": DAYS[-1]}, {"stage": "plays", "partition": DAY}]


@pytest.mark.parametrize("command", [("promote", "--by", "Ada"), ("drop",), ("decide", "reject", "a version", *WHO)])
def test_an_environment_in_which_nothing_was_ever_published_is_mistyped(
    spam_pipeline: CommandLine, branched_home: Path, command: tuple[str, ...]
) -> None:
    named = [recipe(branched_home) if word == "a version" else word for word in command]
    ended = spam_pipeline(*named, "--environment", "mines", home=branched_home)
    expected = "nothing was ever published in an environment called mines; did you mean mine?"
    assert failure(ended, status=2) == expected
    ended = spam_pipeline(*named, home=branched_home, ENVIRONMENT="quite-another")
    assert failure(ended, status=2).endswith("called quite-another; there are mine, production")
    assert len(open_home(branched_home).environments()) == 2, "nothing was decided there"


def test_a_version_of_code_that_production_does_not_publish_is_decided_where_nothing_was_published(
    spam_pipeline: CommandLine, own_home: Path
) -> None:
    version = recipe(own_home)
    spam_pipeline("decide", "reject", version, *WHO, home=own_home)
    accepted = ("decide", "accept", version, *WHO, "--environment", "mine")
    assert spam_pipeline(*accepted, home=own_home).status == 2
    with sqlite3.connect(own_home / "ledger.db") as ledger:
        ledger.execute("UPDATE versions SET code_version = 'of a branch' WHERE recipe = ?", (version,))
    assert spam_pipeline(*accepted, home=own_home).status == 0


@pytest.mark.parametrize("command", ["status", "waiting", "lineage --to -", "verify"])
def test_an_environment_has_a_name_that_one_may_have(
    spam_pipeline: CommandLine, converged_home: Path, command: str
) -> None:
    assert "'Mine' is no environment" in wrong_usage(
        spam_pipeline(*command.split(), "--environment", "Mine", home=converged_home)
    )
