"""The ledger's state, kept up to date by what was added."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from spam_pipeline.protocol.fingerprint import Counted
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Audit, AuditBasis
from spam_pipeline.protocol.planning.ledger_state import LedgerState
from spam_pipeline_tests.protocol.ledger.made_up_state import (
    BRANCH,
    DAYS,
    DECIDED,
    NOW,
    PAST,
    PROVISIONAL,
    STAGES,
    a_look,
    a_version,
    an_observation,
    passed,
    recorded,
    refused,
    without_marks,
)
from spam_pipeline_tests.protocol.made_up_records import a_decision, record_decision


def test_the_last_of_everything_counts(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    for digest in ("d1", "d2"):
        ledger.observations.record([an_observation(DAYS[0], digest)])
        state.snapshot({})
    ledger.record(a_version("numbers", DAYS[0], 1), passed(), PRODUCTION)
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), PRODUCTION)
    ledger.record(a_version("numbers", DAYS[0], 3), refused(), PRODUCTION)
    snapshot = state.snapshot({"board": "r"})
    assert [seen.digest for seen in snapshot.files("landed_numbers", DAYS[0])] == ["d2"]
    assert snapshot.published["numbers"][DAYS[0]].recipe == "numbers 2026-01-05 2"
    assert snapshot.refused == {"numbers 2026-01-05 3"}
    assert snapshot.overdue == frozenset()
    assert snapshot.delivered == {"board": "r"}


def test_files_that_have_gone_are_not_landed(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.observations.record([an_observation(DAYS[0], "d1")])
    assert state.snapshot({}).landed["landed_numbers"].keys() == {DAYS[0]}
    ledger.observations.record([an_observation(DAYS[0], None)])
    assert state.snapshot({}).landed == {}


@pytest.mark.parametrize("said", [passed(PAST), refused(PAST)], ids=["passed", "refused"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known from the start"])
def test_what_no_contract_of_today_has_judged_is_overdue_until_one_does(
    ledger: Ledger,
    said: Audit,
    is_new: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    version = a_version("numbers", DAYS[0], 1)
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record(a_version("totals", DAYS[0], 1), passed(), PRODUCTION)
    if is_new:
        state.snapshot({})
    ledger.record(version, said, PRODUCTION)
    for _ in range(2):
        snapshot = state.snapshot({})
        assert (snapshot.overdue, snapshot.refused) == ({version.recipe}, frozenset())
        ledger.record_audit(recorded(ledger, version), said, PRODUCTION)
    ledger.record_audit(recorded(ledger, version), passed(), PRODUCTION)
    snapshot = state.snapshot({})
    assert (snapshot.overdue, snapshot.refused) == (frozenset(), frozenset())


def test_what_is_refused_is_so_until_it_passes(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    version = a_version("numbers", DAYS[0], 1)
    ledger.record(version, refused(), PRODUCTION)
    snapshot = state.snapshot({})
    assert (snapshot.refused, snapshot.overdue) == ({version.recipe}, frozenset())
    ledger.record_audit(recorded(ledger, version), passed(), PRODUCTION)
    snapshot = state.snapshot({})
    assert (snapshot.refused, snapshot.overdue) == (frozenset(), frozenset())
    assert snapshot.published["numbers"].keys() == {DAYS[0]}
    ledger.record_audit(recorded(ledger, version), refused(), PRODUCTION)
    assert state.snapshot({}).refused == {version.recipe}


@pytest.mark.parametrize("foreign", [passed(PAST), refused(PAST)], ids=["passed", "refused"])
def test_what_another_contract_says_of_a_version_that_was_judged_changes_nothing(
    ledger: Ledger, foreign: Audit
) -> None:
    good, bad = (a_version("numbers", DAYS[0], number) for number in (1, 2))
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record(good, passed(), PRODUCTION)
    ledger.record(bad, refused(), PRODUCTION)
    before = state.snapshot({})
    for version in (good, bad):
        ledger.record_audit(recorded(ledger, version), foreign, "another")
    for look in (state, LedgerState(ledger, PRODUCTION, {NOW})):
        after = look.snapshot({})
        assert (after.refused, after.overdue) == ({bad.recipe}, frozenset())
        assert after.published == before.published


def test_each_environment_judges_by_the_contracts_of_its_own_code(ledger: Ledger) -> None:
    version = a_version("numbers", DAYS[0], 1)
    production, branch = LedgerState(ledger, PRODUCTION, {PAST}), LedgerState(ledger, BRANCH, {NOW})
    ledger.record(version, passed(PAST), PRODUCTION)
    assert (production.snapshot({}).overdue, branch.snapshot({}).overdue) == (frozenset(), {version.recipe})
    ledger.record_audit(recorded(ledger, version), refused(), BRANCH)
    ours, theirs = production.snapshot({}), branch.snapshot({})
    assert (ours.refused, ours.overdue, ours.published["numbers"].keys()) == (frozenset(), frozenset(), {DAYS[0]})
    assert (theirs.refused, theirs.overdue, theirs.published["numbers"]) == ({version.recipe}, frozenset(), {})


def test_an_environment_reads_through_to_production_where_it_has_published_nothing_itself(ledger: Ledger) -> None:
    production, branch = (LedgerState(ledger, name, {NOW}) for name in (PRODUCTION, BRANCH))

    def read() -> tuple[dict[str, str], dict[str, str]]:
        seen = [state.snapshot({}).published["numbers"] for state in (production, branch)]
        first, second = ({day[-1:]: item.recipe[-1:] for day, item in by_day.items()} for by_day in seen)
        return first, second

    for day in DAYS:
        ledger.record(a_version("numbers", day, 1), passed(), PRODUCTION)
    assert read() == ({"5": "1", "6": "1"}, {"5": "1", "6": "1"})
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), BRANCH)
    assert read() == ({"5": "1", "6": "1"}, {"5": "2", "6": "1"})
    ledger.retract("numbers", DAYS[1], BRANCH)
    assert read() == ({"5": "1", "6": "1"}, {"5": "2"})
    ledger.record(a_version("numbers", DAYS[1], 3), passed(), PRODUCTION)
    assert read() == ({"5": "1", "6": "3"}, {"5": "2"}), "what is retracted in an environment stays so there"
    ledger.retract("numbers", DAYS[0], PRODUCTION)
    assert read() == ({"6": "3"}, {"5": "2"})


def test_the_circumstances_of_an_audit_are_known_while_they_may_ask_for_another_one(ledger: Ledger) -> None:
    state, version = LedgerState(ledger, PRODUCTION, {NOW}), a_version("numbers", DAYS[0], 1)
    ledger.record(version, PROVISIONAL, PRODUCTION)
    assert state.snapshot({}).audited == {version.recipe: AuditBasis("h1", is_provisional=True, decision=0)}
    decision = record_decision(ledger, a_decision(recorded(ledger, version)), 0).id
    ledger.record_audit(recorded(ledger, version), replace(DECIDED, decision=decision), PRODUCTION)
    assert state.snapshot({}).audited == {version.recipe: AuditBasis("h2", is_provisional=False, decision=decision)}
    ledger.record_audit(recorded(ledger, version), replace(refused(), history="h3"), PRODUCTION)
    assert state.snapshot({}).audited == {version.recipe: AuditBasis("h3", is_provisional=False, decision=0)}
    ledger.record_audit(recorded(ledger, version), replace(passed(PAST), is_provisional=True), "another")
    assert state.snapshot({}).audited == {version.recipe: AuditBasis("h3", is_provisional=False, decision=0)}
    ledger.record_audit(recorded(ledger, version), passed(), PRODUCTION)
    assert state.snapshot({}).audited == {}


def test_what_follows_from_a_decision_for_another_environment_is_nobody_elses_business(ledger: Ledger) -> None:
    production, branch = (LedgerState(ledger, name, {NOW}) for name in (PRODUCTION, BRANCH))
    ledger.record(a_version("numbers", DAYS[0], 1), refused(), PRODUCTION)
    version = recorded(ledger, a_version("numbers", DAYS[0], 1))
    looks = [production, branch]
    assert [look.snapshot({}).refused for look in looks] == [{version.recipe}] * 2
    decision = record_decision(ledger, a_decision(version, environment=BRANCH), 0).id
    ledger.record_audit(version, replace(DECIDED, decision=decision), BRANCH)
    for look in (production, LedgerState(ledger, PRODUCTION, {NOW})):
        assert look.snapshot({}).refused == {version.recipe}
        assert look.snapshot({}).audited == {version.recipe: AuditBasis("", is_provisional=False, decision=0)}
    for look in (branch, LedgerState(ledger, BRANCH, {NOW})):
        assert look.snapshot({}).refused == frozenset()
        assert look.snapshot({}).audited == {version.recipe: AuditBasis("h2", is_provisional=False, decision=decision)}


def test_the_last_decision_of_an_environment_or_production_is_known(ledger: Ledger) -> None:
    production, branch = (LedgerState(ledger, name, {NOW}) for name in (PRODUCTION, BRANCH))
    ledger.record(a_version("numbers", DAYS[0], 1), refused(), PRODUCTION)
    version = recorded(ledger, a_version("numbers", DAYS[0], 1))
    assert branch.snapshot({}).decisions == {}
    first = record_decision(ledger, a_decision(version), 0).id
    second = record_decision(ledger, a_decision(version, environment=BRANCH), first).id
    place = ("numbers", DAYS[0])
    assert (production.snapshot({}).decisions, branch.snapshot({}).decisions) == ({place: first}, {place: second})
    third = record_decision(ledger, a_decision(version), first).id
    assert (production.snapshot({}).decisions, branch.snapshot({}).decisions) == ({place: third}, {place: third})


def test_numbers_are_known_of_what_is_published_of_expected_stages(ledger: Ledger) -> None:
    state = a_look(ledger, PRODUCTION)
    for stage in STAGES:
        ledger.record(a_version(stage, DAYS[0], 1), passed(), PRODUCTION)
    first = recorded(ledger, a_version("numbers", DAYS[0], 1))
    assert state.snapshot({}).numbers == {first.id: {"rows": 3}}
    ledger.record_audit(first, passed(PAST), "another", fingerprint={"rows": Counted(1)})
    assert state.snapshot({}).numbers == {first.id: {"rows": 3}}, "our own contract's count"
    ledger.record(a_version("numbers", DAYS[0], 2), passed(PAST), PRODUCTION)
    second = recorded(ledger, a_version("numbers", DAYS[0], 2))
    assert state.snapshot({}).numbers == {second.id: {"rows": 3}}
    ledger.record_audit(second, passed(), PRODUCTION, fingerprint={"rows": Counted(2)})
    assert state.snapshot({}).numbers == {second.id: {"rows": 2}}
    ledger.retract("numbers", DAYS[0], PRODUCTION)
    assert state.snapshot({}).numbers == {}


def test_a_dropped_pointer_lets_production_through_again(ledger: Ledger) -> None:
    state = LedgerState(ledger, BRANCH, {NOW})
    ledger.record(a_version("numbers", DAYS[0], 1), passed(), PRODUCTION)
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), BRANCH)
    ledger.record(a_version("totals", DAYS[0], 2), passed(), BRANCH)
    assert state.snapshot({}).published["numbers"][DAYS[0]].recipe == "numbers 2026-01-05 2"
    before = state.snapshot({}).marks
    ledger.drop(BRANCH)
    after = state.snapshot({})
    assert after.published["numbers"][DAYS[0]].recipe == "numbers 2026-01-05 1"
    assert after.published["totals"] == {}
    assert all(after.marks[stage] != before[stage] for stage in STAGES)


def test_a_snapshot_stays_what_it_was_when_more_is_added(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    ledger.record(a_version("numbers", DAYS[0], 1), passed(), PRODUCTION)
    before = state.snapshot({})
    kept = {stage: dict(by_partition) for stage, by_partition in before.published.items()}
    ledger.record(a_version("numbers", DAYS[0], 2), passed(), PRODUCTION)
    ledger.record(a_version("totals", DAYS[0], 1), refused(), PRODUCTION)
    ledger.record(a_version("totals", DAYS[0], 2), passed(PAST), PRODUCTION)
    after = state.snapshot({})
    assert after.published != kept
    assert (after.refused, after.overdue) == ({"totals 2026-01-05 1"}, {"totals 2026-01-05 2"})
    assert before.published == kept
    assert (before.refused, before.overdue) == (frozenset(), frozenset())


def test_a_mark_stays_while_nothing_is_added_about_its_stage(ledger: Ledger) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    for stage in STAGES:
        ledger.record(a_version(stage, DAYS[0], 1), passed(), PRODUCTION)
    before = state.snapshot({}).marks
    ledger.record(a_version("numbers", DAYS[1], 1), passed(), PRODUCTION)
    ledger.observations.record([an_observation(DAYS[0], "d1")])
    after = state.snapshot({}).marks
    assert after["totals"] == before["totals"]
    assert after["numbers"] != before["numbers"]


@pytest.mark.parametrize("readers", [4])
def test_several_threads_may_ask_while_others_add(ledger: Ledger, readers: int) -> None:
    state = LedgerState(ledger, PRODUCTION, {NOW})
    numbers = range(12)

    def add(number: int) -> int:
        ledger.record(a_version("numbers", f"2026-01-{number + 1:02d}", 1), passed(), PRODUCTION)
        return len(state.snapshot({}).published["numbers"])

    with ThreadPoolExecutor(readers) as pool:
        seen = list(pool.map(add, numbers))
    assert max(seen) == len(numbers)
    assert without_marks(state.snapshot({})) == without_marks(LedgerState(ledger, PRODUCTION, {NOW}).snapshot({}))
