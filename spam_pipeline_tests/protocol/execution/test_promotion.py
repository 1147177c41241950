"""Environments of one's own: what they publish apart, carried over to production without computing, or given up."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.execution.promotion import drop, promote, promotion
from spam_pipeline.protocol.foundation.errors import NotPromoted
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, toy_engine, two_day_total
from spam_pipeline_tests.protocol.toy_runs import digests, run, total
from spam_pipeline_tests.protocol.toy_variants import FewNumbers, total_with_one

BRANCH = "branch"
DAY = "2026-01-04"
BEFORE = tuple(stage for stage in STAGES if stage.delivery is None)
"""Every stage but the board outside, which the environments of a test would share."""
AFTER = tuple(replace(stage, function=total_with_one) if stage is two_day_total else stage for stage in BEFORE)


@pytest.fixture
def changed(home: Path) -> Path:
    """A home where a branch has other code for one stage, and both environments have converged."""
    run(toy_engine(home, stages=BEFORE))
    run(toy_engine(home, environment=BRANCH, stages=AFTER))
    return home


def test_a_promoted_environment_is_what_production_publishes_and_nothing_is_computed(changed: Path) -> None:
    branch, production = toy_engine(changed, environment=BRANCH, stages=AFTER), toy_engine(changed, stages=AFTER)
    versions = len(branch.ledger.versions("two_day_total", DAY))
    promoted = promote(branch, "Ada")
    assert {item.stage for item in promoted.publications} == {"two_day_total"}
    assert total(production, "two_day_total", DAY) == 101
    assert run(production)[1] == []
    assert len(branch.ledger.versions("two_day_total", DAY)) == versions


def test_readers_of_production_see_all_of_a_promotion_or_nothing(changed: Path) -> None:
    branch, production = toy_engine(changed, environment=BRANCH, stages=AFTER), toy_engine(changed, stages=BEFORE)
    before, seen = digests(production), list[object]()
    is_looking = False

    def look(*_: object) -> None:
        """Read as somebody else does, after each statement of the promotion."""
        nonlocal is_looking
        if not is_looking:
            is_looking = True
            seen.append(digests(production))
            is_looking = False

    sa.event.listen(sa.Engine, "after_cursor_execute", look)
    try:
        promoted = promote(branch, "ann")
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", look)
    after = digests(production)
    assert len(promoted.publications) > 1
    assert after != before
    assert all(item in (before, after) for item in seen)
    assert seen.count(before) > len(promoted.publications), "they looked while pointers were moved"


def test_what_a_promotion_changes_is_known_before_and_is_all_that_it_changes(changed: Path) -> None:
    branch = toy_engine(changed, environment=BRANCH, stages=AFTER)
    asked = promotion(branch)
    before = branch.ledger.own(PRODUCTION)
    assert asked.changes
    assert asked.changes == {place: before[place] for place in asked.carried if place[0] == "two_day_total"}
    land(changed, DAY, "b", f"{DAY} 5")
    run(branch)
    assert {(item.stage, item.partition) for item in promote(branch, "Ada", asked).publications} == asked.changes.keys()
    assert branch.ledger.own(PRODUCTION) == before | asked.carried


def test_what_production_has_published_since_a_promotion_was_shown_is_not_overwritten(changed: Path) -> None:
    branch, production = toy_engine(changed, environment=BRANCH, stages=AFTER), toy_engine(changed, stages=BEFORE)
    asked = promotion(branch)
    land(changed, DAY, "b", f"{DAY} 5")
    run(production)
    pointers = [branch.ledger.own(environment) for environment in (PRODUCTION, BRANCH)]
    with pytest.raises(NotPromoted, match=f"something else of two_day_total {DAY} meanwhile"):
        promote(branch, "Ada", asked)
    assert [branch.ledger.own(environment) for environment in (PRODUCTION, BRANCH)] == pointers


def test_what_production_publishes_alike_meanwhile_is_in_no_promotions_way(changed: Path) -> None:
    branch, production = toy_engine(changed, environment=BRANCH, stages=AFTER), toy_engine(changed, stages=AFTER)
    asked = promotion(branch)
    run(production)
    assert promote(branch, "Ada", asked).publications == ()
    assert branch.ledger.own(BRANCH) == {}


def test_who_promoted_is_the_cause_of_what_production_publishes(changed: Path) -> None:
    branch = toy_engine(changed, environment=BRANCH, stages=AFTER)
    promote(branch, "Ada")
    found = branch.ledger.publication(PRODUCTION, "two_day_total", DAY)
    assert found is not None
    assert (found[0].trigger.action, found[0].trigger.cause) == ("promoted", "promoted from branch by Ada")


def test_after_a_promotion_the_environment_follows_production_again(changed: Path) -> None:
    branch = toy_engine(changed, environment=BRANCH, stages=AFTER)
    promote(branch, "Ada")
    assert branch.ledger.own(BRANCH) == {}
    land(changed, DAY, "b", f"{DAY} 5")
    run(toy_engine(changed, stages=AFTER))
    assert total(branch, "two_day_total", DAY) == 106


def test_production_with_the_old_code_goes_back_to_what_it_had_without_computing(changed: Path) -> None:
    production = toy_engine(changed, stages=BEFORE)
    before = digests(production)
    promote(toy_engine(changed, environment=BRANCH, stages=AFTER), "Ada")
    done, _ = run(production)
    assert (done.computed, digests(production)) == (0, before)


def test_a_stale_environment_is_not_promoted(changed: Path) -> None:
    land(changed, DAY, "b", f"{DAY} 5")
    run(toy_engine(changed, stages=BEFORE))
    branch = toy_engine(changed, environment=BRANCH, stages=AFTER)
    with pytest.raises(NotPromoted, match="stale: converge it first"):
        promote(branch, "Ada")
    assert branch.ledger.own(BRANCH)


def test_what_is_held_in_the_environment_stays_there(changed: Path) -> None:
    strict = tuple(replace(stage, contract=FewNumbers) if stage.name == "numbers" else stage for stage in AFTER)
    land(changed, DAY, "b", f"{DAY} 7")
    land(changed, "2026-01-02", "b", "2026-01-02 11")
    branch = toy_engine(changed, environment=BRANCH, stages=strict)
    run(branch)
    promoted = promote(branch, "Ada")
    assert ("numbers", "2026-01-02") in {(item.stage, item.partition) for item in promoted.publications}
    assert ("numbers", DAY) not in {(item.stage, item.partition) for item in promoted.publications}


def test_production_is_neither_promoted_nor_dropped(changed: Path) -> None:
    production = toy_engine(changed, stages=BEFORE)
    with pytest.raises(NotPromoted):
        promote(production, "Ada")
    with pytest.raises(NotPromoted):
        drop(production)


def test_an_environment_that_is_dropped_reads_production_and_its_versions_stay(changed: Path) -> None:
    branch, production = toy_engine(changed, environment=BRANCH, stages=AFTER), toy_engine(changed, stages=BEFORE)
    before = digests(production)
    assert drop(branch) > 0
    assert total(branch, "two_day_total", DAY) == 100
    assert digests(production) == before
    done, _ = run(branch)
    assert (done.computed, total(branch, "two_day_total", DAY)) == (0, 101), (
        "converging it again takes them from the ledger"
    )
