"""Decisions: a person accepts a quarantined version or rejects a published one, once, and everything follows."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.decision import Decided, WrongDecision, decide, decide_all_matching
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.plan import plan
from spam_pipeline.protocol.foundation.errors import AlreadyDecided, NotPublished, UnknownVersion
from spam_pipeline.protocol.ledger.records import PRODUCTION, DecisionKind
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, run

DAY = "2026-01-04"
BRANCH = "branch"
STORED = tuple(stage for stage in STAGES if stage.delivery is None)
"""Every stage but the board outside, which the environments of a test would share."""


def newest(engine: Engine, partition: str = DAY) -> str:
    return engine.ledger.versions("received_numbers", partition)[-1][0].recipe


def accept(engine: Engine, version: str, by: str = "eve") -> Decided:
    return decide(engine, version, DecisionKind.ACCEPT, by, "it is right")


def reject(engine: Engine, version: str, by: str = "eve") -> Decided:
    return decide(engine, version, DecisionKind.REJECT, by, "it is wrong")


@pytest.fixture
def refused(home: Path) -> Engine:
    """A home where the numbers that arrived on a day are quarantined, because one of them is negative."""
    run(toy_engine(home))
    land(home, DAY, "b", f"{DAY} -5")
    engine = toy_engine(home)
    assert run(engine)[0].held[0] == f"received_numbers {DAY}: its version was refused"
    return engine


# Accepting


def test_an_accepted_version_is_published_at_once_and_its_consumers_follow(refused: Engine) -> None:
    decided = accept(refused, newest(refused))
    assert decided.outcome is not None
    assert decided.outcome.publication is not None
    assert refused.reader.version("received_numbers", DAY).recipe == newest(refused)
    run(refused)
    assert refused.ledger.versions("numbers", DAY)[-1][0].rows == 2


def test_the_decision_is_the_cause_of_the_publication(refused: Engine) -> None:
    accept(refused, newest(refused))
    found = refused.ledger.publication(PRODUCTION, "received_numbers", DAY)
    assert found is not None
    assert found[0].trigger.cause == "decision: accept by eve: it is right"


def test_nothing_is_computed_for_a_decision(refused: Engine) -> None:
    before = len(refused.ledger.versions("received_numbers", DAY))
    accept(refused, newest(refused)[:16])
    assert len(refused.ledger.versions("received_numbers", DAY)) == before
    _, did = run(refused)
    assert not [item for item in did if item[0] == "received_numbers"]


def test_an_accepted_version_stays_published(refused: Engine, home: Path) -> None:
    accept(refused, newest(refused))
    run(refused)
    for engine in (refused, toy_engine(home)):
        assert run(engine)[1] == []
        assert plan(engine) == []


def test_late_data_does_not_ask_for_the_decision_again(refused: Engine, home: Path) -> None:
    accept(refused, newest(refused))
    land(home, DAY, "c", f"{DAY} 8")
    run(refused)
    assert refused.reader.version("received_numbers", DAY).rows == 3


def test_more_of_what_was_accepted_asks_again(refused: Engine, home: Path) -> None:
    accept(refused, newest(refused))
    run(refused)
    land(home, DAY, "c", f"{DAY} -8", f"{DAY} -9")
    done, _ = run(refused)
    assert f"received_numbers {DAY}: its version was refused" in done.held
    assert refused.reader.version("received_numbers", DAY).rows == 2


def test_all_that_the_same_code_made_and_that_is_refused_for_the_same_is_accepted_together(
    refused: Engine, home: Path
) -> None:
    land(home, "2026-01-02", "b", f"{DAY} -6")
    land(home, "2026-01-01", "b", "2026-01-01 -6")
    run(refused)
    alike = decide_all_matching(refused, newest(refused), DecisionKind.ACCEPT, "eve", "it is right")
    found = [item.version.partition for item in alike]
    assert found == [DAY, "2026-01-02"], "another part broke the rule of the other day"


# Rejecting


def test_rejecting_falls_back_to_the_last_accepted_version_and_the_consumers_follow(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    land(home, DAY, "a", f"{DAY} 777")
    run(engine)
    reject(engine, engine.reader.version("received_numbers", DAY).recipe)
    assert digests(engine)["received_numbers", DAY] == before["received_numbers", DAY]
    done, did = run(engine)
    assert {action for *_, action in did} == {"audited", "reused"}
    assert digests(engine) == before
    assert done.held[0] == f"received_numbers {DAY}: its version was refused"
    assert run(engine)[1] == []


def test_where_there_is_no_accepted_version_nobody_reads_any(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    reject(engine, newest(engine))
    with pytest.raises(NotPublished):
        engine.reader.version("received_numbers", DAY)


def test_what_is_read_while_something_newer_is_quarantined_can_be_rejected_too(refused: Engine) -> None:
    reject(refused, refused.reader.version("received_numbers", DAY).recipe)
    with pytest.raises(NotPublished):
        refused.reader.version("received_numbers", DAY)
    done, did = run(refused)
    assert [item for item in did if item[0] == "received_numbers"] == [("received_numbers", DAY, "audited")]
    assert f"received_numbers {DAY}: its version was refused" in done.held


def test_a_rejection_can_be_taken_back(home: Path) -> None:
    engine = toy_engine(home)
    run(engine)
    before = digests(engine)
    reject(engine, newest(engine))
    run(engine)
    accept(engine, newest(engine))
    done, _ = run(engine)
    assert (digests(engine), done.computed) == (before, 0)


# Environments


def test_a_decision_for_a_branch_leaves_production_alone(refused: Engine, home: Path) -> None:
    production, branch = toy_engine(home, stages=STORED), toy_engine(home, environment=BRANCH, stages=STORED)
    accept(branch, newest(branch))
    run(branch)
    assert branch.reader.version("received_numbers", DAY).rows == 2
    for engine in (production, branch, production, branch):
        assert run(engine)[1] == []
    assert refused.reader.version("received_numbers", DAY).rows == 1


def test_rejecting_in_a_branch_what_production_reads_takes_nothing_from_production(home: Path) -> None:
    production, branch = toy_engine(home, stages=STORED), toy_engine(home, environment=BRANCH, stages=STORED)
    run(production)
    before = digests(production)
    reject(branch, newest(branch))
    run(branch)
    with pytest.raises(NotPublished):
        branch.reader.version("received_numbers", DAY)
    for engine in (production, branch, production, branch):
        assert run(engine)[1] == []
    assert digests(production) == before


# What is no decision


def test_two_people_decide_at_once_and_one_of_them_is_told(refused: Engine, home: Path) -> None:
    version = newest(refused)
    engines = [toy_engine(home) for _ in range(4)]

    def attempt(who: int) -> str:
        try:
            accept(engines[who], version, f"person {who}")
        except (AlreadyDecided, WrongDecision) as told:
            return str(told)
        return ""

    with ThreadPoolExecutor(len(engines)) as people:
        told = list(people.map(attempt, range(len(engines))))
    winner = told.index("")
    assert [f"person {winner}" in text for text in told if text] == [True] * 3
    assert len(refused.ledger.decisions(PRODUCTION, "received_numbers", DAY)) == 1


@pytest.mark.parametrize(
    ("by", "reason", "message"),
    [
        ("", "why", "by whom"),
        ("eve", "  ", "why"),
        ("e" * 101, "why", "100"),
        ("eve", "\x1b[31m", "printable"),
        ("WHO", "why", "by whom: WHO stands for that"),
        ("eve", "TEXT", "why: TEXT stands"),
    ],
)
def test_a_decision_says_by_whom_and_why(refused: Engine, by: str, reason: str, message: str) -> None:
    with pytest.raises(WrongDecision, match=message):
        decide(refused, newest(refused), DecisionKind.ACCEPT, by, reason)


def test_there_is_nothing_to_accept_in_a_version_that_passed_nor_to_reject_in_one_that_is_quarantined(
    refused: Engine,
) -> None:
    with pytest.raises(WrongDecision, match="nothing to accept"):
        accept(refused, refused.reader.version("received_numbers", DAY).recipe)
    with pytest.raises(WrongDecision, match="quarantined already"):
        reject(refused, newest(refused))


def test_nothing_is_rejected_alike(refused: Engine) -> None:
    published = refused.reader.version("received_numbers", DAY).recipe
    with pytest.raises(WrongDecision, match="all matching versions can only be accepted: reject one version at a time"):
        decide_all_matching(refused, published, DecisionKind.REJECT, "eve", "it is wrong")
    assert refused.ledger.all_decisions(PRODUCTION) == []


@pytest.mark.parametrize("version", ["", "zz", "'; drop table versions --", "0" * 64, "abc"])
def test_a_version_that_is_none_is_told_so(refused: Engine, version: str) -> None:
    with pytest.raises(UnknownVersion):
        accept(refused, version)
