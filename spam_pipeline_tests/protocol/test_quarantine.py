"""What is quarantined in an environment: what it wants and its audit refused."""

from pathlib import Path

from spam_pipeline.protocol.convergence import converge
from spam_pipeline.protocol.decision import decide
from spam_pipeline.protocol.quarantine import Quarantine, quarantine
from spam_pipeline.protocol.records import DecisionKind
from spam_pipeline.protocol.runner import Runner
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_runner

REFUSED = ("received_numbers", "2026-01-02")


def a_runner(home: Path) -> Runner:
    """A runner for which everything has converged."""
    runner = toy_runner(home)
    runner.observe()
    converge(runner)
    return runner


def found(runner: Runner) -> Quarantine:
    return quarantine(runner.assess(), runner.snapshot([]))


def newest(runner: Runner) -> str:
    return runner.ledger.versions(*REFUSED)[-1][0].recipe


def test_nothing_is_quarantined_where_everything_is_published(home: Path) -> None:
    assert found(a_runner(home)) == {}


def test_what_is_refused_is_quarantined_and_what_waits_for_it_is_not(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5", "broken")
    runner = a_runner(home)
    assert {place: item.recipe for place, item in found(runner).items()} == {REFUSED: newest(runner)}


def test_what_is_accepted_is_quarantined_no_more(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    runner = a_runner(home)
    decide(runner, newest(runner), DecisionKind.ACCEPT, "anna", "a refund")
    assert found(runner) == {}


def test_what_is_rejected_is_quarantined_before_and_after_what_is_read_instead_was_audited(home: Path) -> None:
    a_runner(home)
    land(home, "2026-01-02", "b", "2026-01-02 11")
    runner = a_runner(home)
    rejected = newest(runner)
    decide(runner, rejected, DecisionKind.REJECT, "anna", "the wrong file")
    assert [item.recipe for item in found(runner).values()] == [rejected]
    converge(runner)
    assert [item.recipe for item in found(runner).values()] == [rejected]


def test_its_mark_stays_as_long_as_it_is_refused_for_the_same(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    runner = a_runner(home)
    before = found(runner)
    land(home, "2026-01-04", "b", "2026-01-04 7")
    runner.observe()
    converge(runner)
    assert found(runner) == before
