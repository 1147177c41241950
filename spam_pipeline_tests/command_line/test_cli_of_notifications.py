"""The command line notifies: a story of one version that is rejected and accepted again, told over HTTP."""

import json
from pathlib import Path

import pytest

from spam_pipeline_tests.conftest import DAYS, CommandLine, open_home
from spam_pipeline_tests.receivers import receiving

DAY = DAYS[2]
WHO = ("--by", "Ada", "--reason", "counted twice")


def test_what_is_decided_and_what_follows_is_told_once(
    spam_pipeline: CommandLine, own_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = open_home(own_home).versions("daily_plays", DAY)[-1][0].recipe
    with receiving() as reporting, receiving() as everybody, receiving() as down:
        down.status = 500
        notify = json.dumps({"*": [everybody.url()], "team:reporting": [down.url(), reporting.url()]})
        ended = spam_pipeline("decide", "reject", version, *WHO, home=own_home, NOTIFY=notify)
        assert ended.status == 0, "one that is down keeps nobody from deciding"
        assert "did not take a message" in caplog.text
        assert "s3cret" not in caplog.text + ended.err + ended.out
        (message,) = reporting.take()
        assert message["title"] == "team:reporting: 1 refused, 1 decided"
        assert f"- daily_plays {DAY} was refused: somebody rejected it" in message["message"]
        assert f"- daily_plays {DAY} was rejected by Ada" in message["message"]
        assert "counted twice" not in message["message"]

        down.status = 200
        ended = spam_pipeline("converge", "daily_plays", home=own_home, NOTIFY=notify)
        assert (ended.status, reporting.take(), len(down.take())) == (3, [], 1), "now the other one was told"

        assert spam_pipeline("decide", "accept", version, *WHO, home=own_home, NOTIFY=notify).status == 0
        (message,), (same,) = reporting.take(), down.take()
        assert message["title"] == same["title"] == "team:reporting: 1 decided, 1 over"
        assert f"- over: daily_plays {DAY} was refused, notified 20" in message["message"]
        assert spam_pipeline("status", home=own_home, NOTIFY=notify).status == 0
        assert reporting.take() + down.take() + everybody.take() == []


def test_a_landing_zone_that_has_gone_is_told_by_whoever_finds_it_gone(
    spam_pipeline: CommandLine, own_home: Path
) -> None:
    (own_home / "landing").rename(own_home / "elsewhere")
    with receiving() as everybody:
        ended = spam_pipeline("converge", home=own_home, NOTIFY=everybody.url())
        assert ended.status == 1
        assert "no landed file at" in ended.err
        assert everybody.titles() == ["observing the landing zone stopped: LandingVanished"]


def test_a_target_that_apprise_does_not_know_is_one_message_without_it(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    ended = spam_pipeline("status", home=converged_home, NOTIFY="nobody://s3cret")
    assert ended.status == 1
    assert ended.err.startswith("error: SPAM_PIPELINE_NOTIFY: expected URLs that apprise knows")
    assert "s3cret" not in ended.err


def test_an_owner_that_no_stage_has_is_one_message_with_the_one_that_was_meant(
    spam_pipeline: CommandLine, converged_home: Path
) -> None:
    ended = spam_pipeline("status", home=converged_home, NOTIFY='{"team:royalty": "json://user:s3cret@localhost"}')
    assert ended.status == 1
    assert ended.err == "error: SPAM_PIPELINE_NOTIFY: no stage is of team:royalty; did you mean team:royalties?\n"
