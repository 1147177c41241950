"""What is quarantined in an environment: what it wants and its audit refused."""

from pathlib import Path

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.ledger.records import DecisionKind
from spam_pipeline.protocol.planning.quarantine import Quarantine, quarantine
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine

REFUSED = ("received_numbers", "2026-01-02")


def a_runner(home: Path) -> Engine:
    """A engine for which everything has converged."""
    engine = toy_engine(home)
    engine.observe()
    converge(engine)
    return engine


def found(engine: Engine) -> Quarantine:
    return quarantine(engine.planner.report(), engine.planner.snapshot([]))


def newest(engine: Engine) -> str:
    return engine.ledger.versions(*REFUSED)[-1][0].recipe


def test_nothing_is_quarantined_where_everything_is_published(home: Path) -> None:
    assert found(a_runner(home)) == {}


def test_what_is_refused_is_quarantined_and_what_waits_for_it_is_not(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5", "broken")
    engine = a_runner(home)
    assert {place: item.recipe for place, item in found(engine).items()} == {REFUSED: newest(engine)}


def test_what_is_accepted_is_quarantined_no_more(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    engine = a_runner(home)
    decide(engine, newest(engine), DecisionKind.ACCEPT, "anna", "a refund")
    assert found(engine) == {}


def test_what_is_rejected_is_quarantined_before_and_after_what_is_read_instead_was_audited(home: Path) -> None:
    a_runner(home)
    land(home, "2026-01-02", "b", "2026-01-02 11")
    engine = a_runner(home)
    rejected = newest(engine)
    decide(engine, rejected, DecisionKind.REJECT, "anna", "the wrong file")
    assert [item.recipe for item in found(engine).values()] == [rejected]
    converge(engine)
    assert [item.recipe for item in found(engine).values()] == [rejected]


def test_its_mark_stays_as_long_as_it_is_refused_for_the_same(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    engine = a_runner(home)
    before = found(engine)
    land(home, "2026-01-04", "b", "2026-01-04 7")
    engine.observe()
    converge(engine)
    assert found(engine) == before
