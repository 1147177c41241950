"""The command line where people look at suspicions and decide them: `suspicions`, and `decide confirm` and `decide clear`."""

import json
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline_tests.command_line.test_cli import failure, wrong_usage
from spam_pipeline_tests.conftest import CommandLine
from spam_pipeline_tests.receivers import receiving
from spam_pipeline_tests.suspicion_stages import CRUDE, FARM, FARM_DAYS

WHO = ("--by", "Ada", "--reason", "one landlord")
OWN = {"OWN_PACKAGES": "spam_pipeline"}


@pytest.fixture
def run(spam_pipeline: CommandLine, suspicious_home: Path) -> CommandLine:
    """Run a command in the home where something is suspected."""

    def in_home(*arguments: str, **variables: str) -> Any:
        return spam_pipeline(*arguments, home=suspicious_home, **OWN, **variables)

    return in_home


def as_json(run: CommandLine, *arguments: str) -> Any:
    ended = run(*arguments, "--json")
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def test_suspicions_of_the_latest_day_are_a_table_by_queue_and_rank(run: CommandLine) -> None:
    ended = run("suspicions")
    head, meaning, columns, first, of_first, second, of_second, hint = ended.out.splitlines()
    assert head == f"{FARM_DAYS[-1]}: 2 of 2 suspicions, of which 0 hold plays"
    assert (
        meaning
        == "held are the plays that wait for the decision, as on its report page; plays are those of the group that earn"
    )
    assert columns.split() == ["queue", "rank", "suspicion", "evidence", "held", "plays", "devices"]
    assert first.split()[:6] == ["behaviour", "1", FARM, "15.5", "0", "3,000"]
    assert of_first.startswith("  bot_farm since 2026-01-01, nothing waits, because its plays are decided otherwise")
    assert of_first.endswith(": loyalty 0.91 (usual 0.12), growth 14 (usual 1.1)")
    assert second.split()[0] == "automation"
    assert CRUDE in second
    assert "only listed, because evidence is below 20" in of_second
    assert "spam-pipeline suspicions SUSPICION" in hint


def test_the_list_is_asked_for_by_day_queue_and_number(run: CommandLine) -> None:
    of_day = as_json(run, "suspicions", "--day", FARM_DAYS[0])
    assert (of_day["day"], [item["suspicion_id"] for item in of_day["suspicions"]]) == (FARM_DAYS[0], [FARM])
    crude = as_json(run, "suspicions", "--queue", "automation", "--limit", "1")
    assert [item["suspicion_id"] for item in crude["suspicions"]] == [CRUDE]
    assert (
        run("suspicions", "--day", FARM_DAYS[0], "--queue", "automation").out
        == f"{FARM_DAYS[0]}: 0 of 0 suspicions, of which 0 hold plays\n"
    )


def test_everything_about_a_suspicion_ends_with_the_commands_that_decide_it(run: CommandLine) -> None:
    shown = run("suspicions", FARM).out
    for text in (
        f"{FARM}: rank 1 of the queue behaviour on {FARM_DAYS[-1]}",
        "2026-01-01 to 2026-01-06",
        "plays held",
        "nothing waits",
        "3,000, of which 400 on the last day",
        "1,234.56 EUR",
        "00000000000000ff",
        "none yet",
        "its 120 peers of equal size",
        "loyalty",
    ):
        assert text in shown
    assert shown.splitlines()[-2:] == [
        f"spam-pipeline decide {action} {FARM} --by WHO --reason TEXT" for action in ("confirm", "clear")
    ]
    assert """decide confirm 'it'"'"'s crude' --by""" in run("suspicions", CRUDE).out


def test_json_has_the_keys_that_decide_a_part_and_the_titles(run: CommandLine) -> None:
    found = as_json(run, "suspicions", FARM)
    assert found["uploader_keys"] == ["00000000000000ff"]
    assert (found["first_day"], found["last_day"], found["decided"]) == ("2026-01-01", FARM_DAYS[-1], [])
    assert set(found["titles"]) == set(found["track_ids"])
    decided = as_json(run, "decide", "confirm", FARM, *WHO, "--device", found["device_keys"][0], "--from", FARM_DAYS[0])
    assert (decided["status"], decided["devices"], decided["first_day"]) == ("confirmed", 1, FARM_DAYS[0])


def test_a_decision_is_printed_and_shown_with_the_suspicion(run: CommandLine) -> None:
    with receiving() as people:
        ended = run("decide", "clear", FARM, *WHO, "--until", "2026-01-03", NOTIFY=people.url())
        assert people.titles() == [f"suspicion {FARM} was cleared by Ada"]
    assert ended.status == 0, ended.err
    assert [line.split() for line in ended.out.splitlines()[2:4]] == [
        ["decision", "cleared"],
        ["attack", "type", "bot_farm"],
    ]
    assert "devices from 2026-01-01 to 2026-01-03" in ended.out
    assert "spam-pipeline converge" in ended.out
    assert "cleared by Ada" in run("suspicions", FARM).out
    [first, *_] = as_json(run, "suspicions", FARM)["decided"]
    assert (first["status"], first["decided_by"], first["note"]) == ("cleared", "Ada", "one landlord")


def test_what_cannot_be_shown_or_decided_is_one_message(run: CommandLine) -> None:
    assert "'nothing' is the id of no suspicion" in failure(run("suspicions", "nothing"))
    assert "'nothing' is the id of no suspicion" in failure(run("decide", "confirm", "nothing", *WHO))
    assert "is not published" in failure(run("suspicions", "--day", "2026-03-01"))
    assert "is no device of the suspicion" in failure(run("decide", "clear", FARM, *WHO, "--device", "key:1"))
    run("decide", "clear", FARM, *WHO)
    assert "Ada cleared it already: one landlord" in failure(run("decide", "clear", FARM, *WHO))


def test_what_narrows_a_suspicion_is_none_of_a_versions_options_and_the_reverse(run: CommandLine) -> None:
    assert "narrow a suspicion" in wrong_usage(run("decide", "accept", "abcd", *WHO, "--until", "2026-01-03"))
    assert "only versions match each other" in wrong_usage(run("decide", "clear", FARM, *WHO, "--all-matching"))
    assert "a suspicion has all its days" in wrong_usage(run("suspicions", FARM, "--queue", "behaviour"))
    elsewhere = run("decide", "clear", FARM, *WHO, "--environment", "mine")
    assert "a suspicion is decided for all environments" in wrong_usage(elsewhere)
