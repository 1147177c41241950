"""Deliveries by several homes that share a ledger, a store and a landing zone."""

from collections.abc import Collection
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.plan import plan
from spam_pipeline_tests.protocol.toy_pipeline import delivered_recipe, land, toy_engine

UNNAMED = frozenset({"board"})


def home_of(shared: Path, home: Path, unnamed: Collection[str] = UNNAMED) -> Engine:
    """The engine of one of several homes; its board lies in the home."""
    return toy_engine(
        home,
        ledger_url=f"sqlite:///{shared / 'ledger.db'}",
        store_url=str(shared / "store"),
        landing_url=str(shared / "landing"),
        unnamed_targets=unnamed,
    )


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    land(tmp_path, "2026-01-01", "a", "2026-01-01 1")
    return tmp_path


def converged(engine: Engine) -> bool:
    engine.observe()
    return converge(engine).converged


def board_of(home: Path) -> str | None:
    return delivered_recipe(str(home / "board.txt"))


def test_the_first_home_delivers_and_another_one_has_nothing_to_do(shared: Path) -> None:
    one, other = home_of(shared, shared / "one"), home_of(shared, shared / "other")
    assert converged(one)
    assert (plan(one), plan(other)) == ([], []), "before the other has done anything"
    assert converged(other)
    assert (plan(one), plan(other)) == ([], [])
    assert board_of(shared / "one") is not None
    assert board_of(shared / "other") is None


def test_what_another_home_publishes_is_delivered_by_the_one_that_has_the_target(shared: Path) -> None:
    one, other = home_of(shared, shared / "one"), home_of(shared, shared / "other")
    assert converged(one)
    before = board_of(shared / "one")
    land(shared, "2026-01-02", "b", "2026-01-02 2")
    assert converged(other)
    assert plan(other) == []
    assert [(item.stage, str(item.action.value)) for item in plan(one)] == [("board", "reuse")]
    assert converged(one)
    assert board_of(shared / "one") not in {None, before}
    assert plan(one) == []


def test_the_owner_fills_a_target_that_was_lost(shared: Path) -> None:
    one = home_of(shared, shared / "one")
    assert converged(one)
    (shared / "one" / "board.txt").unlink()
    assert converged(one)
    assert board_of(shared / "one") is not None


def test_a_target_that_a_setting_names_is_filled_whoever_delivered_elsewhere(shared: Path) -> None:
    one = home_of(shared, shared / "one")
    assert converged(one)
    named = home_of(shared, shared / "other", unnamed=())
    assert [item.stage for item in plan(named)] == ["board"]
    assert converged(named)
    assert board_of(shared / "other") == board_of(shared / "one")
    assert plan(one) == [], "the target has moved: the newest delivery is another home's"
    assert plan(named) == []


def test_one_place_that_several_homes_name_is_delivered_to_once(shared: Path) -> None:
    one, other = (home_of(shared, shared / "named", unnamed=()) for _ in range(2))
    assert converged(one)
    delivered_at = (shared / "named" / "board.txt").stat().st_mtime_ns
    assert converged(other)
    assert (shared / "named" / "board.txt").stat().st_mtime_ns == delivered_at
