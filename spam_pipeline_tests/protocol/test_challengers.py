"""Champions and challengers: an artifact that its domain judges by what is published, over changes of code, data and rules."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline.protocol.definition.contract import audits_against_history
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.explanation.comparison.comparison import compare
from spam_pipeline.protocol.explanation.comparison.text import comparison_lines
from spam_pipeline.protocol.explanation.comparison.versions import Pair
from spam_pipeline.protocol.fingerprint import Proportion, Recorded
from spam_pipeline.protocol.foundation.limit import Limit
from spam_pipeline.protocol.foundation.partition import WHOLE
from spam_pipeline.protocol.ledger.records import DecisionKind, Verdict
from spam_pipeline_tests.protocol.judged_models import (
    EVALUATED,
    days_and_their_numbers,
    forgetful_model,
    forgetful_of_large_numbers,
    knows_less_than_half,
    with_model,
)
from spam_pipeline_tests.protocol.toy_pipeline import MODEL, land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, run

REFUSED = f"model {WHOLE}: its version was refused"


def open_engine(home: Path, function: Callable[..., Any] | None = None, contract: Any = EVALUATED) -> Engine:
    return toy_engine(home, stages=with_model(function, contract))


def champion(engine: Engine) -> dict[str, int]:
    """What consumers of the model are given now."""
    found: dict[str, int] = engine.reader.read("model", [WHOLE])
    return found


def model_versions(engine: Engine) -> list[Verdict]:
    """What the last audits of all versions of the model say, oldest first."""
    return [audit.verdict for _, audit in engine.ledger.versions("model", WHOLE)]


@pytest.fixture
def refused(home: Path) -> Engine:
    """A home where a model is published, and one that other code made and that knows less is quarantined."""
    run(open_engine(home))
    challenged = open_engine(home, forgetful_model)
    assert run(challenged)[0].held == (REFUSED,)
    return challenged


def test_an_artifact_is_judged_by_history_where_its_contract_says_so() -> None:
    assert audits_against_history(EVALUATED)
    assert not audits_against_history(MODEL)


def test_the_first_model_has_nobody_to_be_worse_than(home: Path) -> None:
    engine = open_engine(home, forgetful_model)
    assert run(engine)[0].held == ()
    assert set(champion(engine)) == {"2026-01-01", "2026-01-02"}


def test_a_worse_challenger_is_quarantined_and_says_why(refused: Engine) -> None:
    _, last = refused.ledger.versions("model", WHOLE)[-1]
    assert [str(finding) for finding in last.refusing] == ["days: expected at least 3, got 2"]


def test_the_champion_stays_and_its_consumers_are_not_computed_again(home: Path) -> None:
    before = open_engine(home)
    run(before)
    published, known = digests(before), champion(before)
    challenged = open_engine(home, forgetful_model)
    assert run(challenged)[1] == [("model", WHOLE, "computed")]
    assert (digests(challenged), champion(challenged)) == (published, known)
    assert run(challenged)[1] == []


def test_what_arrives_meanwhile_is_given_the_champion(refused: Engine, home: Path) -> None:
    known = champion(refused)
    land(home, "2026-01-05", "a", "2026-01-02 7")
    done, did = run(refused)
    assert REFUSED in done.held
    assert ("share", "2026-01-02", "computed") in did
    assert champion(refused) == known


def test_taking_the_code_back_computes_and_publishes_nothing(refused: Engine, home: Path) -> None:
    before = digests(refused)
    again = open_engine(home)
    done, did = run(again)
    assert (did, done.held, digests(again)) == ([], (), before)


def test_accepting_a_challenger_publishes_it_and_its_consumers_follow(refused: Engine) -> None:
    recipe = refused.ledger.versions("model", WHOLE)[-1][0].recipe
    decided = decide(refused, recipe, DecisionKind.ACCEPT, "eve", "the last day was a test")
    assert decided.outcome is not None
    assert decided.outcome.publication is not None
    done, did = run(refused)
    assert set(champion(refused)) == {"2026-01-01", "2026-01-02"}
    assert {stage for stage, *_ in did} >= {"share"}
    assert not [item for item in did if item[0] == "model"]
    assert done.held == ()
    assert run(refused)[1] == []


def test_a_champion_that_is_rejected_gives_way_to_the_one_before(home: Path) -> None:
    first = open_engine(home, forgetful_model)
    run(first)
    better = open_engine(home)
    run(better)
    assert len(champion(better)) == 3
    decide(better, better.reader.version("model", WHOLE).recipe, DecisionKind.REJECT, "eve", "it knows too much")
    assert len(champion(better)) == 2


def test_the_one_before_is_not_judged_by_the_champion_that_gives_way_to_it(home: Path) -> None:
    run(open_engine(home, forgetful_model))
    run(open_engine(home))
    judged_otherwise = open_engine(home, contract=replace(EVALUATED, limits=(Limit("days", at_least=1),)))
    run(judged_otherwise)
    decide(
        judged_otherwise,
        judged_otherwise.reader.version("model", WHOLE).recipe,
        DecisionKind.REJECT,
        "eve",
        "it knows too much",
    )
    assert len(champion(judged_otherwise)) == 2
    assert run(judged_otherwise)[0].held == (REFUSED,)
    assert run(judged_otherwise)[1] == []


def test_a_rebuild_from_nothing_publishes_what_no_champion_stood_against(refused: Engine, home: Path) -> None:
    elsewhere = home.with_name("elsewhere")
    (home / "landing").rename(elsewhere.with_suffix(".landing"))
    elsewhere.mkdir()
    elsewhere.with_suffix(".landing").rename(elsewhere / "landing")
    rebuilt = open_engine(elsewhere, forgetful_model)
    assert run(rebuilt)[0].held == ()
    challenger = refused.ledger.versions("model", WHOLE)[-1][0]
    assert digests(rebuilt)["model", WHOLE] == challenger.content


def test_a_challenger_that_is_no_longer_worse_is_published_unattended(refused: Engine, home: Path) -> None:
    land(home, "2026-01-05", "a", "2026-01-05 7")
    done, did = run(refused)
    assert done.held == ()
    assert ("model", WHOLE, "computed") in did
    assert set(champion(refused)) == {"2026-01-01", "2026-01-02", "2026-01-04"}
    assert model_versions(refused) == [Verdict.PASSED, Verdict.REFUSED, Verdict.PASSED]


def test_a_challenger_that_stays_worse_stays_quarantined_whatever_arrives(home: Path) -> None:
    run(open_engine(home))
    challenged = open_engine(home, forgetful_of_large_numbers)
    run(challenged)
    land(home, "2026-01-05", "a", "2026-01-05 700")
    assert REFUSED in run(challenged)[0].held
    assert len(champion(challenged)) == 3


def test_other_rules_audit_a_challenger_again_without_computing_it(refused: Engine, home: Path) -> None:
    lenient = open_engine(home, forgetful_model, replace(MODEL, findings=knows_less_than_half))
    done, did = run(lenient)
    assert did[0] == ("model", WHOLE, "audited")
    assert done.held == ()
    assert len(champion(lenient)) == 2
    assert len(model_versions(lenient)) == len(model_versions(refused))


def test_rules_that_nobody_has_changed_audit_nothing_again(refused: Engine, home: Path) -> None:
    assert run(open_engine(home, forgetful_model))[1] == []
    assert len(model_versions(refused)) == 2


def test_what_is_measured_now_is_measured_of_a_version_that_was_there_before(home: Path) -> None:
    run(open_engine(home))
    engine = open_engine(home, contract=replace(EVALUATED, fingerprint=days_and_their_numbers))
    assert run(engine)[1] == [("model", WHOLE, "audited")]
    measured = engine.reader.version("model", WHOLE).fingerprint
    assert measured["several_share"] == Proportion(1, 3)
    assert measured["known"] == Recorded(
        (
            {"day": "2026-01-01", "numbers": 2, "shares": [2 / 3, None]},
            {"day": "2026-01-02", "numbers": 1, "shares": [1 / 3, None]},
            {"day": "2026-01-04", "numbers": 1, "shares": [1 / 3, None]},
        )
    )


def test_each_function_and_each_limit_of_a_contract_counts_for_what_it_judges_by(tmp_path: Path) -> None:
    contracts = (
        MODEL,
        EVALUATED,
        replace(MODEL, findings=knows_less_than_half),
        replace(MODEL, fingerprint=days_and_their_numbers),
        replace(MODEL, limits=(Limit("days", at_least=1),)),
    )
    found = {open_engine(tmp_path, contract=contract).graph.contract_digests["model"] for contract in contracts}
    assert len(found) == len(contracts)


def test_a_branch_is_judged_by_the_champion_of_production_and_leaves_it_alone(home: Path) -> None:
    ours, mine = (
        tuple(stage for stage in with_model(function) if stage.delivery is None) for function in (None, forgetful_model)
    )
    production, branch = toy_engine(home, stages=ours), toy_engine(home, environment="branch", stages=mine)
    run(production)
    assert run(branch)[0].held == (REFUSED,)
    challenger = branch.ledger.versions("model", WHOLE, "branch")[-1][0].recipe
    decide(branch, challenger, DecisionKind.ACCEPT, "eve", "mine")
    run(branch)
    assert (len(champion(branch)), len(champion(production))) == (2, 3)
    assert run(production)[1] == []


def test_two_models_are_compared_by_their_figures(home: Path) -> None:
    contract = replace(EVALUATED, fingerprint=days_and_their_numbers)
    run(open_engine(home, contract=contract))
    engine = open_engine(home, forgetful_model, contract)
    run(engine)
    old, new = engine.ledger.versions("model", WHOLE)
    found = compare(engine.ledger, engine.reader, engine.graph.stages["model"], [Pair(WHOLE, old, new)])
    assert [(move.name, move.old, move.new) for move in found.figures.moves] == [
        ("days", 3, 2),
        ("several_share", pytest.approx(1 / 3), 0.5),
    ]
    assert found.rows is None
    assert any("days: expected at least 3, got 2" in line for line in comparison_lines(found))
