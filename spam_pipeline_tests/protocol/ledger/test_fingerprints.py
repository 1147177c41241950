"""What was measured of versions, by which contract, over SQLite and over PostgreSQL."""

from dataclasses import replace

import pytest

from spam_pipeline.protocol.fingerprint import Counted, Fingerprint, numbers
from spam_pipeline.protocol.foundation.finding import CategoryShift, Clue, Curve, Evidence, Finding, Severity
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION, Audit, Verdict
from spam_pipeline_tests.protocol.made_up_records import (
    BELOW_ZERO,
    FINGERPRINT,
    PASSED,
    REFUSED,
    a_decision,
    a_version,
    record_decision,
    recorded,
)

NEW: Fingerprint = {"total": Counted(7), "nulls": Counted(0)}


def by(contract: str) -> Audit:
    return replace(PASSED, contract=contract)


def test_a_version_comes_with_its_fingerprint(ledger: Ledger) -> None:
    ledger.record(a_version(), by("one"), PRODUCTION)
    made = recorded(ledger, "r1")
    assert made.fingerprint == FINGERPRINT
    assert ledger.fingerprints([made.id]) == {made.id: FINGERPRINT}
    assert ledger.numbers([made.id]) == {made.id: numbers(FINGERPRINT)}


def test_what_another_contract_measures_later_is_the_fingerprint(ledger: Ledger) -> None:
    ledger.record(a_version(), by("one"), PRODUCTION)
    made = recorded(ledger, "r1")
    ledger.record_audit(made, by("two"), PRODUCTION)
    assert recorded(ledger, "r1").fingerprint == FINGERPRINT, "an audit need not measure"
    ledger.record_audit(made, by("two"), PRODUCTION, fingerprint=NEW)
    assert recorded(ledger, "r1").fingerprint == NEW
    assert ledger.fingerprints([made.id]) == {made.id: NEW}
    assert ledger.numbers([made.id]) == {made.id: numbers(NEW)}


def test_what_ones_own_contract_measured_comes_before_what_another_measured_later(ledger: Ledger) -> None:
    ledger.record(a_version(), by("one"), PRODUCTION)
    made = recorded(ledger, "r1")
    ledger.record_audit(made, by("two"), "branch", fingerprint=NEW)
    for contracts, found in (({"one"}, FINGERPRINT), ({"two"}, NEW), ({"one", "two"}, NEW), ({"three"}, NEW)):
        assert ledger.fingerprints([made.id], contracts) == {made.id: found}
        assert ledger.numbers([made.id], contracts) == {made.id: numbers(found)}
    audited = ledger.audited("r1", "one")
    assert audited is not None
    assert audited[0].fingerprint == FINGERPRINT


def test_a_contract_measures_a_version_once(ledger: Ledger) -> None:
    ledger.record(a_version(), by("one"), PRODUCTION)
    ledger.record(replace(a_version(), fingerprint=NEW), by("one"), "branch")
    ledger.record_audit(recorded(ledger, "r1"), by("one"), PRODUCTION, fingerprint=NEW)
    assert recorded(ledger, "r1").fingerprint == FINGERPRINT


@pytest.mark.parametrize("count", [0, 1, 25_000])
def test_fingerprints_of_any_number_of_versions_can_be_asked_for(ledger: Ledger, count: int) -> None:
    ledger.record(a_version(), PASSED, PRODUCTION)
    first = recorded(ledger, "r1").id
    wanted = range(first, first + count)
    assert set(ledger.fingerprints(wanted)) == set(ledger.numbers(wanted)) == ({first} if count else set())


# Audits


def test_an_audit_comes_back_with_its_findings_and_circumstances(ledger: Ledger) -> None:
    evidence = Evidence((Clue("networks", 3.0, 900.0, "attack"),), (Curve("hours", (0.5, 0.5)),), ("track 7",))
    spike = Finding("spike", "track 7", Severity.WARN, "40", "90", (CategoryShift("DE", 0.1, 0.5),), 3.5, evidence)
    ledger.record(a_version(), REFUSED, PRODUCTION)
    version = recorded(ledger, "r1")
    decision = record_decision(ledger, a_decision(version), last=0).id
    audit = Audit(Verdict.REFUSED, (spike, BELOW_ZERO), "one", "history", is_provisional=True, decision=decision)
    ledger.record_audit(version, audit, PRODUCTION)
    assert [found for _, found in ledger.versions("numbers", "2026-01-05")] == [audit]
    audited = ledger.audited("r1", "one")
    assert audited is not None
    assert audited[1] == audit


def test_an_audit_that_took_a_decision_into_account_counts_where_that_decision_does(ledger: Ledger) -> None:
    refused, passed = replace(REFUSED, contract="one"), by("one")
    ledger.record(a_version(), refused, PRODUCTION)
    version = recorded(ledger, "r1")
    decision = record_decision(ledger, a_decision(version, environment="branch"), last=0).id
    ledger.record_audit(version, replace(passed, decision=decision), "branch")
    audited = {name: ledger.audited("r1", "one", name) for name in (PRODUCTION, "branch", "another")}
    assert {name: found and found[1] and found[1].verdict for name, found in audited.items()} == {
        PRODUCTION: Verdict.REFUSED,
        "branch": Verdict.PASSED,
        "another": Verdict.REFUSED,
    }


def test_only_findings_that_refuse_speak_against_a_version() -> None:
    noted, warned = (replace(BELOW_ZERO, severity=severity) for severity in (Severity.NOTE, Severity.WARN))
    assert REFUSED.refusing == (BELOW_ZERO,)
    assert Audit(Verdict.REFUSED, (noted, BELOW_ZERO, warned)).refusing == (BELOW_ZERO,)
    assert Audit(Verdict.PASSED, (noted, warned)).refusing == ()
