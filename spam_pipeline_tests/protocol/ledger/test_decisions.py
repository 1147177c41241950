"""Decisions of people about versions, over SQLite and over PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from spam_pipeline.protocol.foundation.errors import AlreadyDecided
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Decision, DecisionKind, Version
from spam_pipeline_tests.protocol.made_up_records import REFUSED, a_decision, a_version, record_decision, recorded


@pytest.fixture
def quarantined(ledger: Ledger) -> Version:
    ledger.record(a_version(), REFUSED, PRODUCTION)
    return recorded(ledger, "r1")


def made_by(decisions: list[Decision]) -> list[str]:
    return [decision.by for decision in decisions]


def test_a_decision_comes_back_as_it_was_made(ledger: Ledger, quarantined: Version) -> None:
    made = record_decision(ledger, a_decision(quarantined), last=0)
    assert made == replace(a_decision(quarantined), id=made.id)
    assert made.id > 0
    assert ledger.decisions(PRODUCTION, "numbers", "2026-01-05") == [made]
    assert ledger.decisions(PRODUCTION, "numbers", "2026-01-06") == []
    assert ledger.decisions(PRODUCTION, "totals", "2026-01-05") == []


def test_who_knows_of_the_last_decision_may_make_another_one(ledger: Ledger, quarantined: Version) -> None:
    first = record_decision(ledger, a_decision(quarantined), last=0)
    second = replace(a_decision(quarantined, "bert"), kind=DecisionKind.REJECT, reason="it was no release", findings=())
    record_decision(ledger, second, last=first.id)
    assert made_by(ledger.decisions(PRODUCTION, "numbers", "2026-01-05")) == ["anna", "bert"]


def test_who_does_not_know_of_the_last_decision_is_told_of_it(ledger: Ledger, quarantined: Version) -> None:
    record_decision(ledger, a_decision(quarantined), last=0)
    message = "numbers 2026-01-05: anna accepted it in production at 2026-01-05 12:00:00 UTC, because: a release that everybody"
    with pytest.raises(AlreadyDecided, match=message):
        record_decision(ledger, a_decision(quarantined, "bert"), last=0)
    assert made_by(ledger.all_decisions(PRODUCTION)) == ["anna"], "nothing was recorded"


def test_of_two_people_who_decide_at_once_one_wins_and_the_other_is_told(
    ledger: Ledger, ledger_url: str, quarantined: Version
) -> None:
    def decide(by: str) -> str:
        own = Ledger(ledger_url)
        try:
            return record_decision(own, a_decision(quarantined, by), last=0).by
        except AlreadyDecided as told:
            return str(told)
        finally:
            own.close()

    people = ("anna", "bert", "cleo", "dora")
    with ThreadPoolExecutor(len(people)) as at_once:
        said = dict(zip(people, at_once.map(decide, people), strict=True))
    (winner,) = made_by(ledger.all_decisions(PRODUCTION))
    assert said.pop(winner) == winner
    assert all(f"{winner} accepted it" in told for told in said.values())


def test_an_environment_goes_by_its_own_decisions_and_by_those_for_production(
    ledger: Ledger, quarantined: Version
) -> None:
    first = record_decision(ledger, a_decision(quarantined), last=0)
    with pytest.raises(AlreadyDecided):
        record_decision(ledger, a_decision(quarantined, "bert", "branch"), last=0)
    record_decision(ledger, a_decision(quarantined, "bert", "branch"), last=first.id)
    record_decision(ledger, a_decision(quarantined, "cleo", "another"), last=first.id)
    assert made_by(ledger.decisions("branch", "numbers", "2026-01-05")) == ["anna", "bert"]
    assert made_by(ledger.decisions(PRODUCTION, "numbers", "2026-01-05")) == ["anna"]
    record_decision(ledger, a_decision(quarantined, "dora"), last=first.id)
    assert made_by(ledger.decisions("branch", "numbers", "2026-01-05")) == ["anna", "bert", "dora"]


def test_all_decisions_are_listed_the_newest_last(ledger: Ledger, quarantined: Version) -> None:
    ledger.record(a_version("r2", "2026-01-06"), REFUSED, PRODUCTION)
    record_decision(ledger, a_decision(recorded(ledger, "r2")), last=0)
    record_decision(ledger, a_decision(quarantined, "bert", "branch"), last=0)
    record_decision(ledger, a_decision(quarantined, "cleo", "another"), last=0)
    record_decision(ledger, a_decision(quarantined, "dora"), last=0)
    assert made_by(ledger.all_decisions("branch")) == ["anna", "bert", "dora"]
    assert made_by(ledger.all_decisions(PRODUCTION)) == ["anna", "dora"]
