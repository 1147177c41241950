"""What was added to the ledger since somebody last looked, over SQLite and over PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace

from spam_pipeline.protocol.code_version.code_version import CodeVersion
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import (
    PRODUCTION,
    Audit,
    AuditSummary,
    Changes,
    DecisionKind,
    DecisionSummary,
    Position,
    Verdict,
)
from spam_pipeline_tests.protocol.made_up_records import (
    PASSED,
    REFUSED,
    a_decision,
    a_version,
    an_observation,
    record_decision,
    recorded,
)


def changed(ledger: Ledger, after: Position, *environments: str, contracts: tuple[str, ...] = ()) -> Changes:
    return ledger.changes(environments or (PRODUCTION,), after, contracts)


def digests_added(ledger: Ledger, before: Position, found: Changes) -> list[str | None]:
    """The digests of what was observed between two positions."""
    added = ledger.observations.added(before.observation, found.position.observation)
    return [seen.digest for seen in added]


def test_of_an_empty_ledger_nothing_is_told(ledger: Ledger) -> None:
    found = changed(ledger, Position())
    assert (found.pointers, found.audits) == ({PRODUCTION: {}}, [])
    assert (found.dropped, found.decisions) == ([], [])
    assert found.position == Position()


def one_after_the_other(ledger: Ledger) -> Iterator[None]:
    """Additions of every kind."""
    ledger.observations.record([an_observation()])
    yield
    ledger.record(a_version(), PASSED, PRODUCTION)
    yield
    ledger.record(a_version("r2", content="c2"), REFUSED, PRODUCTION)
    yield
    ledger.observations.record([an_observation(digest=None)])
    yield
    ledger.retract("numbers", "2026-01-05", PRODUCTION)
    yield
    ledger.attempts.remember_code(CodeVersion("code", {}, {}))
    yield


def test_whatever_is_added_is_told_exactly_once(ledger: Ledger) -> None:
    position = Position()
    told: list[tuple[list[str | None], list[str | None], list[str]]] = []
    for _ in one_after_the_other(ledger):
        found = changed(ledger, position)
        pointers = found.pointers[PRODUCTION].get("numbers", {})
        told.append(
            (
                digests_added(ledger, position, found),
                [version and version.recipe for version in pointers.values()],
                [audit.recipe for audit in found.audits],
            )
        )
        position = found.position
    assert told == [
        (["d1"], [], []),
        ([], ["r1"], ["r1"]),
        ([], [], ["r2"]),
        ([None], [], []),
        ([], [None], []),
        ([], [], []),
    ]


def test_of_what_was_added_several_times_the_last_is_told_but_every_audit(ledger: Ledger) -> None:
    ledger.record(a_version("r0", content="c0"), PASSED, PRODUCTION)
    start = changed(ledger, Position()).position
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), PASSED, PRODUCTION)
    ledger.publish(recorded(ledger, "r1"), PRODUCTION)
    ledger.record_audit(recorded(ledger, "r2"), REFUSED, PRODUCTION)
    ledger.observations.record([an_observation(digest="d2")])
    ledger.observations.record([an_observation(digest="d1")])
    found = changed(ledger, start)
    assert digests_added(ledger, start, found) == ["d1"]
    assert [version and version.recipe for version in found.pointers[PRODUCTION]["numbers"].values()] == ["r1"]
    assert [(audit.recipe, audit.verdict) for audit in found.audits] == [
        ("r1", Verdict.PASSED),
        ("r2", Verdict.PASSED),
        ("r2", Verdict.REFUSED),
    ]


def test_pointers_of_each_environment_are_told_apart(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    ledger.record(a_version("r2", content="c2"), PASSED, "branch")
    ledger.record(a_version("r3", content="c3"), PASSED, "another")
    found = changed(ledger, Position(), PRODUCTION, "branch").pointers
    assert {
        name: [version and version.recipe for version in by_stage["numbers"].values()]
        for name, by_stage in found.items()
    } == {PRODUCTION: ["r1"], "branch": ["r2"]}


JUDGEMENTS = {
    "today passed": "",
    "today refused": "refused",
    "past passed": "unjudged",
    "past refused": "unjudged",
    "today passed, past refused": "",
    "today refused, past passed": "refused",
    "past refused, today passed": "",
    "past passed, today refused": "refused",
    "today refused, today passed": "",
    "today passed, today refused": "refused",
    "another of today passed, past refused": "",
}
"""What contracts have said of a version, in their order, and what it is then to somebody who judges by those of today."""


REMARKABLE = {
    "refused": Audit(Verdict.REFUSED, (), "today", "h1"),
    "provisional": Audit(Verdict.PASSED, (), "today", "h2", is_provisional=True),
    "after a decision": Audit(Verdict.PASSED, (), "today", "h3", decision=1),
}
"""Audits whose circumstances planning has to know of."""


def test_from_the_start_audits_that_may_have_to_be_done_again_are_told_with_their_circumstances(ledger: Ledger) -> None:
    ledger.record(a_version(), replace(PASSED, contract="today"), PRODUCTION)
    assert (
        record_decision(ledger, a_decision(recorded(ledger, "r1")), last=0).id
        == REMARKABLE["after a decision"].decision
    )
    for recipe, audit in REMARKABLE.items():
        ledger.record(a_version(recipe, recipe), audit, PRODUCTION)
        ledger.record(a_version(f"no longer {recipe}", recipe), audit, PRODUCTION)
        ledger.record_audit(recorded(ledger, f"no longer {recipe}"), Audit(Verdict.PASSED, (), "today"), PRODUCTION)
    assert changed(ledger, Position(), contracts=("today",)).audits == [
        AuditSummary(
            version_id=recorded(ledger, recipe).id,
            recipe=recipe,
            stage="numbers",
            verdict=audit.verdict,
            contract="today",
            history=audit.history,
            is_provisional=audit.is_provisional,
            decision=audit.decision,
        )
        for recipe, audit in REMARKABLE.items()
    ]


def test_later_audits_are_told_with_their_circumstances(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    start = changed(ledger, Position(), contracts=("today",)).position
    for audit in REMARKABLE.values():
        ledger.record_audit(recorded(ledger, "r1"), audit, PRODUCTION)
    told = changed(ledger, start, contracts=("today",)).audits
    assert [(item.history, item.is_provisional, item.decision) for item in told] == [
        ("h1", False, 0),
        ("h2", True, 0),
        ("h3", False, 1),
    ]


def test_a_pointer_that_is_given_up_is_told_unless_it_is_set_again(ledger: Ledger) -> None:
    for recipe, day in (("r5", "2026-01-05"), ("r6", "2026-01-06")):
        ledger.record(a_version(recipe, day), PASSED, "branch")
    start = changed(ledger, Position(), "branch").position
    ledger.drop("branch")
    ledger.publish(recorded(ledger, "r6"), "branch")
    found = changed(ledger, start, PRODUCTION, "branch")
    assert found.dropped == [("branch", "numbers", "2026-01-05")]
    assert found.pointers["branch"]["numbers"].keys() == {"2026-01-06"}
    assert found.pointers[PRODUCTION] == {}
    from_the_start = changed(ledger, Position(), "branch")
    assert from_the_start.pointers["branch"]["numbers"].keys() == {"2026-01-06"}
    assert changed(ledger, found.position, "branch").dropped == []
    assert changed(ledger, start, "another").dropped == []


def test_decisions_for_the_environments_asked_for_are_told_once(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    version = recorded(ledger, "r1")
    first = record_decision(ledger, a_decision(version), last=0)
    start = changed(ledger, Position())
    assert start.decisions == [
        DecisionSummary(PRODUCTION, "numbers", "2026-01-05", first.id, version.id, DecisionKind.ACCEPT)
    ]
    record_decision(ledger, a_decision(version, environment="another"), last=first.id)
    second = record_decision(ledger, a_decision(version, environment="branch"), last=first.id)
    found = changed(ledger, start.position, PRODUCTION, "branch")
    assert found.decisions == [
        DecisionSummary("branch", "numbers", "2026-01-05", second.id, version.id, DecisionKind.ACCEPT)
    ]
    assert changed(ledger, found.position, PRODUCTION, "branch").decisions == []


def an_audit(said: str) -> Audit:
    contract, _, verdict = said.rpartition(" ")
    return Audit(Verdict(verdict), (), contract)


def test_from_the_start_only_what_speaks_against_a_version_by_contracts_of_today_is_told(ledger: Ledger) -> None:
    for recipe in JUDGEMENTS:
        for said in recipe.split(", "):
            ledger.record(a_version(recipe, recipe), an_audit(said), PRODUCTION)
    found = changed(ledger, Position(), contracts=("today", "another of today"))
    assert found.audits == [
        AuditSummary(recorded(ledger, recipe).id, recipe, "numbers", verdict, contract)
        for kind, verdict, contract in (("refused", Verdict.REFUSED, "today"), ("unjudged", Verdict.PASSED, ""))
        for recipe in JUDGEMENTS
        if JUDGEMENTS[recipe] == kind
    ]
    assert found.position.version == len(JUDGEMENTS)


def test_later_every_audit_is_told_whatever_contract_it_is_by(ledger: Ledger) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    start = changed(ledger, Position(), contracts=("today",)).position
    ledger.record(a_version("r2", content="c2"), an_audit("past refused"), PRODUCTION)
    for recipe, said in (
        ("r1", "today refused"),
        ("r2", "today passed"),
        ("r1", "today passed"),
        ("r2", "past passed"),
    ):
        ledger.record_audit(recorded(ledger, recipe), an_audit(said), PRODUCTION)
    one, two = (recorded(ledger, recipe).id for recipe in ("r1", "r2"))
    found = changed(ledger, start, contracts=("today",))
    assert found.audits == [
        AuditSummary(two, "r2", "numbers", Verdict.REFUSED, "past"),
        AuditSummary(one, "r1", "numbers", Verdict.REFUSED, "today"),
        AuditSummary(two, "r2", "numbers", Verdict.PASSED, "today"),
        AuditSummary(one, "r1", "numbers", Verdict.PASSED, "today"),
        AuditSummary(two, "r2", "numbers", Verdict.PASSED, "past"),
    ]
    assert (start.version, found.position.version) == (one, two)
    assert changed(ledger, found.position, contracts=("today",)).audits == []
