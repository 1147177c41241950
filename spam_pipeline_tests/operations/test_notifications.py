"""Notifications: whatever begins and whatever is over reaches its owner's target once, over HTTP, whoever looks and however often."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline.operations.alerts import note_decided_suspicion, note_issued
from spam_pipeline.operations.notifications import Notifications, require_known_owners
from spam_pipeline.protocol.operating import (
    CONVERGING,
    DecisionKind,
    Engine,
    Overview,
    Retry,
    converge,
    decide,
    noting_stop,
)
from spam_pipeline.settings import Settings, WrongSetting
from spam_pipeline_tests.orchestration.toy_location import with_unlucky_numbers
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine
from spam_pipeline_tests.receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of the toys where two days have landed, of which nothing is refused."""
    land(tmp_path, "2026-01-01", "a", "2026-01-01 1")
    land(tmp_path, "2026-01-02", "a", "2026-01-02 2")
    return tmp_path


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    yield from opened(home)


def opened(home: Path, **settings: Any) -> Iterator[Engine]:
    """A pipeline of three stages that has converged once."""
    engine = toy_engine(home, **{"stages": STAGES[:3], **settings})
    run(engine)
    yield engine
    engine.ledger.close()


def run(engine: Engine) -> None:
    engine.observe()
    converge(engine)


def to(*urls: str, **by_owner: Any) -> Notifications:
    """Notifications of everybody at some URLs, and of owners at theirs."""
    return Notifications(Settings(notify={"*": urls, **by_owner}))


def refuse(engine: Engine, home: Path, day: str = "2026-01-02") -> str:
    """Land a number that the toys' contract refuses, and return the recipe of the refused version."""
    land(home, day, "b", f"{day} -5")
    run(engine)
    return engine.ledger.versions("received_numbers", day)[-1][0].recipe


def test_what_is_refused_is_told_once_and_again_when_it_is_over(engine: Engine, home: Path, receiver: Receiver) -> None:
    notifications = to(receiver.url())
    notifications.send(engine)
    assert receiver.take() == [], "nothing is the matter"
    recipe = refuse(engine, home)
    for _ in range(2):
        notifications.send(engine)
        to(receiver.url()).send(engine)
    (message,) = receiver.take()
    assert message["type"] == "warning"
    assert message["title"] == (
        "received_numbers 2026-01-02 was refused: 2026-01-02: number|min: 1 rows that do not, expected every row to keep it"
    )
    assert [line.partition(": ")[0] for line in message["message"].splitlines()] == [
        *("owner", "meanwhile", "command", "evidence", "to decide")
    ]
    assert "owner: team:toys" in message["message"]
    assert "meanwhile: rejected_numbers, numbers keep what was published on 20" in message["message"]
    assert f"command: spam-pipeline decide accept {recipe[:16]} --by WHO --reason TEXT" in message["message"]
    assert "evidence: http://localhost:3000/assets/received_numbers?view=partitions" in message["message"]
    assert "to decide: http://localhost:3000/locations/spam_pipeline/jobs/decide/playground" in message["message"]

    decide(engine, recipe, DecisionKind.ACCEPT, "anna", "10.1.2.3 is a customer")
    notifications.send(engine)
    notifications.send(engine)
    (message,) = receiver.take()
    assert message["title"] == "team:toys: 1 decided, 1 over"
    assert "- received_numbers 2026-01-02 was accepted by anna" in message["message"]
    assert "- over: received_numbers 2026-01-02 was refused, notified 20" in message["message"]
    assert "10.1.2.3" not in message["message"], "what people write may name somebody"


def test_a_day_that_is_refused_again_for_the_same_is_not_told_again(
    engine: Engine, home: Path, receiver: Receiver
) -> None:
    notifications = to(receiver.url())
    refuse(engine, home)
    notifications.send(engine)
    land(home, "2026-01-02", "c", "2026-01-02 -6")
    engine.observe()
    notifications.send(engine)  # it is about to run: nobody knows how that ends
    converge(engine)
    notifications.send(engine)
    assert len(receiver.take()) == 1
    (home / "landing/2026-01-02/b.txt").unlink()
    (home / "landing/2026-01-02/c.txt").unlink()
    run(engine)
    notifications.send(engine)
    (message,) = receiver.take()
    assert message["type"] == "success"
    assert message["title"].startswith("over: received_numbers 2026-01-02 was refused, notified 20")


def test_what_stops_everything_is_told_at_every_target_once_and_again_when_it_is_over(engine: Engine) -> None:
    with receiving() as everybody, receiving() as owner:
        notifications = to(everybody.url(), **{"team:toys": [owner.url()]})
        for error in (OSError("/mnt/ana@example.com"), OSError()):
            with suppress(OSError), noting_stop(engine, CONVERGING):
                raise error
            notifications.send(engine, Overview.of(engine))
        for receiver in (everybody, owner):
            (message,) = receiver.take()
            assert (message["type"], message["title"]) == ("warning", "the convergence stopped: OSError")
            assert "meanwhile: nothing new is published; readers keep what they have" in message["message"]
            assert "command: spam-pipeline converge" in message["message"]
            assert "ana" not in message["message"]
        with noting_stop(engine, CONVERGING):
            run(engine)
        notifications.send(engine)
        assert [title.partition(", notified")[0] for title in everybody.titles() + owner.titles()] == [
            "over: the convergence was stopped"
        ] * 2


def test_what_waits_for_files_is_held(engine: Engine, home: Path, receiver: Receiver) -> None:
    (home / "landing/2026-01-01/a.txt").unlink()
    run(engine)
    to(receiver.url()).send(engine)
    assert receiver.titles() == [
        "received_numbers 2026-01-01 is held: what it was made from is gone: restore it, or reject the version to take it back"
    ]
    land(home, "2026-01-01", "a", "2026-01-01 1")
    run(engine)
    to(receiver.url()).send(engine)
    assert [title.partition(",")[0] for title in receiver.titles()] == ["over: received_numbers 2026-01-01 was held"]


def test_what_failed_is_told_when_nobody_tries_it_again(home: Path, receiver: Receiver) -> None:
    (engine,) = opened_once(home, stages=with_unlucky_numbers(Retry(tries=2))[:3])
    notifications = to(receiver.url())
    notifications.send(engine)
    assert receiver.take() == [], "it is tried once more"
    converge(engine)
    notifications.send(engine)
    (message,) = receiver.take()
    assert message["title"] == "numbers 2026-01-02 failed 2 times and is not tried again by itself: ValueError"
    assert "unlucky" not in message["message"], "what an error says may name somebody"
    mended = toy_engine(home, stages=STAGES[:3])
    notifications.send(mended)
    assert receiver.take() == [], "it is about to run"
    converge(mended)
    notifications.send(mended)
    assert [title.partition(",")[0] for title in receiver.titles()] == ["over: numbers 2026-01-02 was failed for good"]


def opened_once(home: Path, **settings: Any) -> list[Engine]:
    return [next(opened(home, **settings))]


def test_what_is_late_is_told_also_while_everything_else_waits_for_the_end_of_a_convergence(
    home: Path, receiver: Receiver
) -> None:
    at_once = tuple(replace(item, deadline=timedelta(0)) if item.name == "numbers" else item for item in STAGES[:3])
    (engine,) = opened_once(home, stages=at_once)
    refuse(engine, home, "2026-01-01")
    notifications = to(receiver.url())
    notifications.send(engine, only_late=True)
    (title,) = receiver.titles()
    assert title.startswith("numbers 2026-01-01 is late, it was due 20")
    assert title.endswith(" UTC: rests on received_numbers 2026-01-01: its version was refused")
    notifications.send(engine)
    assert len(receiver.titles()) == 1
    (home / "landing/2026-01-01/b.txt").unlink()
    run(engine)
    notifications.send(engine, only_late=True)
    notifications.send(engine)
    assert [title.partition(",")[0] for title in receiver.titles()] == [
        "over: numbers 2026-01-01 was late",
        "over: received_numbers 2026-01-01 was refused",
    ]


def test_what_people_did_is_told_once_and_is_never_over(engine: Engine, receiver: Receiver) -> None:
    note_issued(engine, "2026-01", "bela")
    note_decided_suspicion(engine, "s-17", "confirmed", "anna")
    for _ in range(2):
        to(receiver.url()).send(engine)
    (message,) = receiver.take()
    assert message["title"] == "spam-pipeline: 1 decided, 1 issued"
    assert message["message"].splitlines() == [
        "- suspicion s-17 was confirmed by anna",
        "- the statement of 2026-01 was issued by bela",
    ]
    note_decided_suspicion(engine, "s-17", "cleared", "anna")
    to(receiver.url()).send(engine)
    assert receiver.titles() == ["suspicion s-17 was cleared by anna"]


def test_many_causes_are_one_message_of_bounded_length(engine: Engine, home: Path, receiver: Receiver) -> None:
    for number in range(1, 13):
        land(home, f"2026-01-{number:02d}", "b", "2026-01-01 -5")
    run(engine)
    to(receiver.url()).send(engine)
    (message,) = receiver.take()
    assert message["title"] == "team:toys: 12 refused"
    assert message["message"].count("- received_numbers") == 10
    assert "- and 2 more" in message["message"]
    for number in range(1, 13):
        (home / f"landing/2026-01-{number:02d}/b.txt").unlink()
        land(home, f"2026-01-{number:02d}", "c", "2026-01-01 5")
    run(engine)
    to(receiver.url()).send(engine)
    (message,) = receiver.take()
    assert message["title"] == "team:toys: 12 over"
    assert message["message"].count("- over: received_numbers") == 10
    assert "- and 2 more are over" in message["message"]


def test_an_owner_with_targets_of_its_own_is_told_there_alone(engine: Engine, home: Path, receiver: Receiver) -> None:
    refuse(engine, home)
    note_issued(engine, "2026-01", "bela")  # of a stage that the toys do not have, so of nobody
    to(receiver.url("all"), **{"team:toys": [receiver.url("toys")], "team:others": [receiver.url("others")]}).send(
        engine
    )
    assert [title.partition(":")[0] for title in receiver.titles("toys")] == ["received_numbers 2026-01-02 was refused"]
    assert receiver.titles("all") == ["the statement of 2026-01 was issued by bela"]
    assert receiver.titles("others") == []


def test_an_owner_that_no_stage_has_is_an_error_without_a_secret() -> None:
    owners = ["team:toys", "team:tools"]
    require_known_owners({"*": (), "team:toys": ()}, owners)
    with pytest.raises(WrongSetting, match=r"NOTIFY: no stage is of team:toy; did you mean team:toys\?"):
        require_known_owners({"team:toy": ()}, owners)
    with pytest.raises(WrongSetting, match="no stage is of json; there are team:tools, team:toys") as found:
        require_known_owners({"json://user:s3cret@localhost": ()}, owners)
    assert "s3cret" not in str(found.value)


def test_another_environment_is_named_and_has_its_own(home: Path, receiver: Receiver) -> None:
    (engine,) = opened_once(home, environment="night")
    refuse(engine, home)
    to(receiver.url()).send(engine)
    (message,) = receiver.take()
    assert message["title"].startswith("[night] received_numbers 2026-01-02 was refused")
    assert "--reason TEXT --environment night" in message["message"], "pasted, it would decide in production"


def test_one_that_was_down_is_told_the_next_time_and_the_others_are_not_told_twice(
    engine: Engine, home: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(engine, home)
    receiver.status = 500
    with receiving() as well:
        for _ in range(2):  # two processes
            to(receiver.url(), well.url()).send(engine)
        assert len(well.take()) == 1
        patient = to(receiver.url(), well.url())
        patient.send(engine)
        receiver.status = 200
        patient.send(engine)
        assert receiver.take() == [], "a daemon leaves it alone for a while"
        to(receiver.url(), well.url()).send(engine)
        assert len(receiver.take()) == 1
        assert well.take() == []
    shown = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert shown == ["a target of SPAM_PIPELINE_NOTIFY (json) did not take a message: it is tried again"] * 3


def test_what_a_slow_one_takes_later_is_not_sent_again_and_until_then_it_is_sent_nothing(
    engine: Engine, home: Path, receiver: Receiver
) -> None:
    refuse(engine, home)
    receiver.answers.clear()
    daemon = Notifications(Settings(notify={"*": [receiver.url()]}), seconds=0.3, pause=0.0)
    for _ in range(3):
        daemon.send(engine)
    receiver.answers.set()
    deadline = time.monotonic() + 10
    while not receiver.received and time.monotonic() < deadline:
        time.sleep(0.01)
    note_issued(engine, "2026-01", "bela")
    while len(receiver.received) < 2 and time.monotonic() < deadline:
        daemon.send(engine)
    to(receiver.url()).send(engine)
    assert [title.partition(":")[0] for title in receiver.titles()] == [
        "received_numbers 2026-01-02 was refused",
        "the statement of 2026-01 was issued by bela",
    ]


def test_of_processes_that_look_at_once_one_tells(engine: Engine, home: Path, receiver: Receiver) -> None:
    refuse(engine, home)
    others = [toy_engine(home, stages=STAGES[:3]) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(to(receiver.url()).send, others))
    for other in others:
        other.ledger.close()
    assert len(receiver.take()) == 1


def test_nobody_is_asked_for_anything_without_the_setting(engine: Engine, home: Path) -> None:
    refuse(engine, home)
    Notifications(Settings(notify={})).send(engine)
    assert {item.kind for item in engine.ledger.notices.open("production")} <= {"unready"}
