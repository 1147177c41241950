"""Running one partition: what is read is delivered whatever others think of it, and code that cannot be digested stops nothing halfway."""

from dataclasses import replace
from pathlib import Path

import pytest

from spam_pipeline.protocol.execution.convergence import converge
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure, Outcome
from spam_pipeline.protocol.fingerprint import Count, Measure
from spam_pipeline.protocol.foundation.errors import WrongDefinition
from spam_pipeline.protocol.foundation.limit import Limit
from spam_pipeline.protocol.planning.partition_status import RequiredAction
from spam_pipeline_tests.protocol.toy_pipeline import Catalogue, board, land, share, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run, with_other

DAY = "2026-01-01"


class NoFiles(Catalogue):
    """A catalogue that is refused as soon as there is anything."""

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        return {"files": Count()}

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        return (Limit("files", at_most=0),)


def test_what_is_read_is_delivered_though_the_rules_of_another_environment_refuse_it(tmp_path: Path) -> None:
    land(tmp_path, DAY, "a", f"{DAY} 1")
    production = toy_engine(tmp_path)
    run(production)
    run(toy_engine(tmp_path, environment="branch", stages=with_other(replace(board, contract=NoFiles))))
    (tmp_path / "board.txt").unlink()
    status = production.planner.statuses(["board"])["board"]["all"]
    assert status.required_action is RequiredAction.DELIVER
    done, did = run(production)
    assert (done.converged, did) == (True, [("board", "all", "delivered")])
    assert (tmp_path / "board.txt").exists()


def test_an_outcome_has_version_and_audit_as_the_ledger_has_them(home: Path) -> None:
    engine = toy_engine(home)
    engine.observe()
    outcomes: list[Outcome | Failure] = []
    converge(engine, on_outcome=lambda _status, _cause, outcome: outcomes.append(outcome))
    made = [item for item in outcomes if isinstance(item, Outcome)]
    assert [engine.ledger.version(item.version.recipe) for item in made] == [
        (item.version, item.audit) for item in made
    ]
    assert {item.action for item in made} == {ActionTaken.COMPUTED}


def test_code_that_cannot_be_digested_is_an_error_before_anything_has_run(tmp_path: Path) -> None:
    land(tmp_path, DAY, "a", f"{DAY} 1")
    engine = toy_engine(tmp_path, stages=with_other(replace(share, libraries=("no-such-distribution",))))
    engine.observe()
    with pytest.raises(WrongDefinition, match="the declared library no-such-distribution isn't installed"):
        converge(engine)
    assert engine.ledger.versions("received_numbers", DAY) == []
