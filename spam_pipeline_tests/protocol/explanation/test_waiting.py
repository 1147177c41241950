"""What waits for somebody, with the reason, the consequence and the command that decides."""

from datetime import UTC, datetime
from pathlib import Path

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.explanation.waiting import Waiting, waiting
from spam_pipeline.protocol.ledger.records import DecisionKind
from spam_pipeline.protocol.planning.partition_status import Reason
from spam_pipeline.protocol.planning.quarantine import quarantine
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine


def converged(home: Path) -> Engine:
    engine = toy_engine(home)
    engine.observe()
    converge(engine)
    return engine


def found(engine: Engine) -> list[Waiting]:
    report = engine.planner.report()
    quarantined = quarantine(report, engine.planner.snapshot([]))
    return list(waiting(engine.graph, engine.ledger, engine.environment, report, quarantined))


def test_nothing_waits_where_everything_is_published(home: Path) -> None:
    assert found(converged(home)) == []


def test_a_refused_replacement_says_who_keeps_what_since_when_and_what_decides(home: Path) -> None:
    converged(home)
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    before = datetime.now(UTC)
    engine = converged(home)
    [item] = found(engine)
    assert (item.place, item.owner, item.reason) == ("received_numbers 2026-01-02", "team:toys", Reason.REFUSED)
    assert "number" in item.why
    assert "expected" in item.why
    assert item.readers == ("rejected_numbers", "numbers", "board")
    assert item.since is not None
    assert before <= item.since <= datetime.now(UTC)
    assert item.consequence.startswith("rejected_numbers, numbers, board keep what was published on 20")
    newest = engine.ledger.versions("received_numbers", "2026-01-02")[-1][0].recipe
    assert item.command == f"spam-pipeline decide accept {newest[:16]} --by WHO --reason TEXT"


def test_what_waits_for_a_refused_partition_is_its_consequence_and_no_item_of_its_own(home: Path) -> None:
    land(home, "2026-01-09", "b", "2026-01-09 -5")
    [item] = found(converged(home))
    assert item.published_at is None
    assert item.consequence.startswith("rejected_numbers, numbers, board have nothing of it; ")
    assert item.behind == ("rejected_numbers 2026-01-09", "settled_total 2026-01-04")


def test_since_is_when_it_was_first_refused_and_stays_while_it_is(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    [first] = found(converged(home))
    land(home, "2026-01-04", "b", "2026-01-04 7")
    [later] = found(converged(home))
    assert later.since == first.since


def test_what_was_accepted_waits_no_more_and_the_next_that_is_refused_is_shown(home: Path) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    engine = converged(home)
    for place in ("received_numbers 2026-01-02", "numbers 2026-01-02"):
        [item] = found(engine)
        assert item.place == place
        decide(engine, item.recipe, DecisionKind.ACCEPT, "anna", "a refund")
        converge(engine)
    assert found(engine) == []


def test_a_lost_folder_is_restored_or_given_up(home: Path) -> None:
    engine = converged(home)
    published = engine.ledger.versions("received_numbers", "2026-01-02")[-1][0].recipe
    for file in (home / "landing" / "2026-01-02").iterdir():
        file.unlink()
    engine = converged(home)
    items = {item.place: item for item in found(engine)}
    item = items["received_numbers 2026-01-02"]
    assert (item.reason, item.recipe, item.since) == (Reason.SOURCE_REMOVED, "", None)
    assert item.command == f"spam-pipeline decide reject {published[:16]} --by WHO --reason TEXT"


def test_what_an_environment_refuses_is_decided_there(home: Path) -> None:
    converged(home)
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    engine = toy_engine(home, environment="dev")
    engine.observe()
    converge(engine)
    [item] = found(engine)
    assert item.command == f"spam-pipeline decide accept {item.recipe[:16]} --by WHO --reason TEXT --environment dev"


def test_of_a_day_that_lacks_some_hours_the_first_is_declared() -> None:
    item = Waiting("plays", "2026-01-02", "team:x", Reason.NOT_COMPLETE, "lacks hours 03, 05", (), hours=("03", "05"))
    assert item.command == "spam-pipeline declare-gap 2026-01-02 --hour 03 --by WHO --reason TEXT"


def test_why_has_no_reason_that_somebody_wrote_but_in_full_it_has(home: Path) -> None:
    engine = converged(home)
    published = engine.ledger.versions("numbers", "2026-01-02")[-1][0].recipe
    decide(engine, published, DecisionKind.REJECT, "anna", "Bela's phone")
    [item] = found(engine)
    assert item.why == "somebody rejected it"
    assert "anna rejected: Bela's phone" in item.why_in_full
