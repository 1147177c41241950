"""Targets of notifications: reading the setting, and sending over HTTP to a server that answers, refuses, hangs or is not there."""

import logging
import time
from collections.abc import Mapping, Sequence

import pytest
from pydantic import SecretStr

from spam_pipeline.notification_targets import Message, Mood, deliver, name_of, read_targets
from spam_pipeline_tests.receivers import Receiver, receiving

FIRST, SECOND = Message("first", "a body", Mood.WARNING), Message("second", "owner: team:toys", Mood.SUCCESS)


def delivered(outbox: Mapping[SecretStr, Sequence[Message]], seconds: float) -> list[int]:
    """How many messages each target has taken in time."""
    return [len(sending.arrived) for sending in deliver(outbox, seconds).values()]


def test_urls_are_those_of_everybody_unless_owners_are_named() -> None:
    slack, mail = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "json://user:s3cret@localhost/a,b"
    assert read_targets("") == {}
    assert read_targets(f"{slack}, {mail}") == {"*": (SecretStr(slack), SecretStr(mail))}
    by_owner = f'{{"*": "{slack}", "team:royalties": ["{mail}"]}}'
    assert read_targets(by_owner) == {"*": (SecretStr(slack),), "team:royalties": (SecretStr(mail),)}
    assert read_targets(read_targets(by_owner)) == read_targets(by_owner)


@pytest.mark.parametrize(
    "value", ["nonsense", "nobody://s3cret", '{"*"', '{"*": 3}', '{"*": "json://h s3cret://"}', '{"*": []']
)
def test_what_apprise_does_not_know_is_an_error_that_names_no_secret(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="expected URLs that apprise knows") as found:
        read_targets(value)
    assert "s3cret" not in str(found.value) + caplog.text


def test_messages_arrive_with_their_title_body_and_mood_in_their_order() -> None:
    with receiving() as receiver:
        url = SecretStr(receiver.url())
        assert delivered({url: [FIRST, SECOND]}, 10) == [2]
        found = receiver.take()
    assert [(item["title"], item["message"], item["type"]) for item in found] == [
        ("first", "a body", "warning"),
        ("second", "owner: team:toys", "success"),
    ]


def test_one_that_refuses_or_is_not_there_keeps_nobody_from_another_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving() as well, receiving() as broken:
        broken.status = 500
        urls = [SecretStr(item.url("a-s3cret-path")) for item in (well, broken, Receiver(port=1))]
        assert delivered({url: [FIRST, SECOND] for url in urls}, 10) == [2, 0, 0]
    assert "s3cret" not in caplog.text


def test_what_is_too_long_for_a_target_arrives_cut() -> None:
    with receiving() as receiver:
        url = SecretStr(receiver.url())
        assert delivered({url: [Message("long", "x" * 100_000, Mood.INFO)]}, 10) == [1]
        (message,) = receiver.take()
    assert len(message["message"]) < 100_000


def test_nobody_waits_longer_than_so_long_for_one_that_hangs() -> None:
    with receiving() as well, receiving() as hanging:
        hanging.answers.clear()
        urls = [SecretStr(item.url()) for item in (hanging, well)]
        started = time.monotonic()
        assert delivered({url: [FIRST] for url in urls}, 0.5) == [0, 1]
        assert time.monotonic() - started < 5


def test_what_is_on_its_way_at_the_end_may_arrive_and_nothing_follows_it() -> None:
    with receiving() as hanging:
        hanging.answers.clear()
        (sending,) = deliver({SecretStr(hanging.url()): [FIRST, SECOND]}, 0.2).values()
        assert (sending.is_over, sending.arrived) == (False, [])
        hanging.answers.set()
        sending.wait(10)
        assert (sending.is_over, sending.arrived) == (True, [FIRST])
        assert hanging.titles() == ["first"]


def test_a_target_is_named_without_its_secret() -> None:
    url = SecretStr("json://user:s3cret@localhost")
    assert name_of(url) == name_of(SecretStr("json://user:s3cret@localhost")) != name_of(SecretStr("json://localhost"))
    assert len(name_of(url)) == 16
