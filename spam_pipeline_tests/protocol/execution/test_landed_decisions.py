"""Decisions lie in the landing zone: a ledger that was lost takes them in again, and whatever is no decision is passed over."""

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spam_pipeline.protocol.execution.convergence import Converged
from spam_pipeline.protocol.execution.decision import decide
from spam_pipeline.protocol.execution.decision_document import (
    WrongDecisionDocument,
    document_of,
    path_of_document,
    place_of_document,
    read_document,
)
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.foundation.finding import Evidence, Finding, Severity
from spam_pipeline.protocol.ledger.records import PRODUCTION, Decision, DecisionKind
from spam_pipeline_tests.protocol.made_up_records import record_decision
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import digests, run

DAY = "2026-01-04"
BRANCH = "branch"
MADE = Decision(
    environment=PRODUCTION,
    version_id=7,
    stage="received_numbers",
    partition=DAY,
    content="c" * 64,
    kind=DecisionKind.ACCEPT,
    by="anna",
    reason="it is right",
    findings=(Finding("rows", "numbers", Severity.REFUSE, "0 or more", "-5", size=1.5, evidence=Evidence()),),
    decided_at=datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC),
)


def go(engine: Engine) -> tuple[Converged, list[tuple[str, str, str]]]:
    """Observe and converge as far as decisions are about something here."""
    return run(engine, "numbers")


def refused(engine: Engine) -> str:
    """The recipe of the quarantined version of the day."""
    return engine.ledger.versions("received_numbers", DAY)[-1][0].recipe


def accepted(home: Path, environment: str = PRODUCTION) -> Engine:
    """A home whose day was quarantined for a negative number and accepted."""
    land(home, DAY, "b", f"{DAY} -5")
    engine = toy_engine(home, environment=environment)
    go(engine)
    decide(engine, refused(engine), DecisionKind.ACCEPT, "anna", "it is right")
    go(engine)
    return engine


def documents(home: Path) -> list[Path]:
    return sorted((home / "landing" / "decisions").rglob("*.json"))


def without_ledger_and_store(home: Path) -> Engine:
    """The engine of a home that has nothing but what landed."""
    elsewhere = home.with_name(f"{home.name}-elsewhere")
    shutil.copytree(home / "landing", elsewhere / "landing")
    return toy_engine(elsewhere)


def passed_over(home: Path) -> dict[str, str]:
    engine = without_ledger_and_store(home)
    done, _ = go(engine)
    assert engine.ledger.all_decisions(PRODUCTION) == []
    assert done.converged
    return dict(done.passed_over)


# What a document says


def test_a_document_says_everything_of_a_decision_but_its_evidence() -> None:
    landed, content = document_of(MADE, "a" * 64, "b" * 64)
    read = read_document(landed.document, content)
    assert read == landed._replace(
        decision=replace(MADE, version_id=0, findings=(replace(MADE.findings[0], evidence=None),))
    )
    assert place_of_document(path_of_document(landed)) == ("2026-01-05", landed.document)


@pytest.mark.parametrize(
    "change",
    [
        {"environment": "../production"},
        {"stage": "received\nnumbers"},
        {"partition": "\udc80"},
        {"partition": "x" * 500},
        {"recipe": "a" * 63},
        {"content": None},
        {"kind": "forget"},
        {"by": ""},
        {"by": 5},
        {"reason": "\x1b[2J"},
        {"findings": [{"rule": "rows"}]},
        {"findings": [{"rule": "r", "about": "a", "severity": "refuse", "expected": "e", "seen": "s", "size": "NaN"}]},
        {"findings": 5},
        {"decided_at": "2026-01-05T12:00:00"},
        {"decided_at": "yesterday"},
        {"follows": "../b"},
    ],
    ids=str,
)
def test_what_no_decision_says_is_not_read_as_one(change: dict[str, Any]) -> None:
    landed, content = document_of(MADE, "a" * 64, None)
    changed = json.dumps(json.loads(content) | change).encode()
    digest = digest_of(changed)
    with pytest.raises(WrongDecisionDocument, match="it is not well-formed"):
        read_document(digest, changed)
    with pytest.raises(WrongDecisionDocument, match="its bytes have another digest than its name"):
        read_document(landed.document, changed)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'"decision"'], ids=len)
def test_neither_is_something_else(content: bytes) -> None:
    with pytest.raises(WrongDecisionDocument, match="it is not well-formed"):
        read_document(digest_of(content), content)


def test_a_document_of_a_later_format_is_left_to_a_later_release() -> None:
    _, content = document_of(MADE, "a" * 64, None)
    later = json.dumps(json.loads(content) | {"format": 2}).encode()
    with pytest.raises(WrongDecisionDocument, match="its format is not 1"):
        read_document(digest_of(later), later)


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Deciding lands


def test_a_decision_lands_as_one_document_and_is_taken_in_by_nobody_who_has_it(home: Path) -> None:
    engine = accepted(home)
    (document,) = documents(home)
    assert document.stat().st_mode & 0o222 == 0
    assert [item.by for item in engine.ledger.all_decisions(PRODUCTION)] == ["anna"]
    assert toy_engine(home).decisions.waiting() == []
    assert go(toy_engine(home))[1] == []


def test_a_document_names_the_one_before_it(home: Path) -> None:
    engine = accepted(home)
    decide(engine, engine.reader.version("received_numbers", DAY).recipe, DecisionKind.REJECT, "bert", "no, it is not")
    stated = sorted((json.loads(path.read_text()) for path in documents(home)), key=lambda item: item["decided_at"])
    first = next(path.stem for path in documents(home) if json.loads(path.read_text())["by"] == "anna")
    assert [(item["by"], item["follows"]) for item in stated] == [("anna", None), ("bert", first)]


def test_killed_between_landing_and_recording_it_is_taken_in(home: Path) -> None:
    """The cut is after the document is in place and before the transaction of its row."""
    land(home, DAY, "b", f"{DAY} -5")
    engine = toy_engine(home)
    go(engine)
    version = engine.ledger.version(refused(engine))
    assert version is not None
    made = replace(MADE, content=version[0].content, findings=version[1].refusing)
    landed, content = document_of(made, version[0].recipe, None)
    path = home / "landing" / path_of_document(landed)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    go(engine)
    assert [item.version_id for item in engine.ledger.all_decisions(PRODUCTION)] == [version[0].id]
    assert engine.reader.version("received_numbers", DAY).recipe == version[0].recipe


def test_decisions_of_earlier_releases_land_once(home: Path) -> None:
    land(home, DAY, "b", f"{DAY} -5")
    engine = toy_engine(home)
    go(engine)
    version = engine.ledger.version(refused(engine))
    assert version is not None
    made = replace(MADE, version_id=version[0].id, content=version[0].content, findings=version[1].refusing)
    record_decision(engine.ledger, made, 0)
    go(engine)
    go(toy_engine(home))
    (document,) = documents(home)
    assert read_document(document.stem, document.read_bytes()).recipe == version[0].recipe
    assert [item.by for item in engine.ledger.all_decisions(PRODUCTION)] == ["anna"]


def test_where_they_cannot_land_the_convergence_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = toy_engine(home)
    go(engine)
    version = engine.reader.version("received_numbers", DAY)
    record_decision(engine.ledger, replace(MADE, version_id=version.id, content=version.content), 0)

    def is_read_only(path: str, content: object) -> None:
        raise PermissionError(path, content)

    monkeypatch.setattr(engine.landing, "add", is_read_only)
    assert go(engine)[0].converged
    assert "decisions cannot be written to the landing zone" in caplog.text


# A rebuild from the landing zone


def test_a_rebuild_ends_where_the_ledger_was_with_its_decisions(home: Path) -> None:
    before = accepted(home)
    again = without_ledger_and_store(home)
    done, _ = go(again)
    assert (done.converged, done.held) == (True, go(before)[0].held)
    assert digests(again) == digests(before)
    assert [(item.by, item.reason) for item in again.ledger.all_decisions(PRODUCTION)] == [("anna", "it is right")]
    assert go(again)[1] == []


def test_what_was_accepted_of_files_that_have_changed_since_is_accepted_of_what_they_are_now(home: Path) -> None:
    before = accepted(home)
    land(home, DAY, "c", f"{DAY} 8")
    held = go(before)[0].held
    again = without_ledger_and_store(home)
    assert go(again)[0].held == held
    assert digests(again) == digests(before)


def test_of_several_decisions_about_a_content_the_last_one_stands(home: Path) -> None:
    engine = accepted(home)
    published = engine.reader.version("received_numbers", DAY)
    decide(engine, published.recipe, DecisionKind.REJECT, "bert", "no, it is not")
    again = without_ledger_and_store(home)
    done, _ = go(again)
    assert done.held[0] == f"received_numbers {DAY}: its version was refused"
    assert [item.by for item in again.ledger.all_decisions(PRODUCTION)] == ["anna", "bert"]


def test_a_rejection_waits_for_the_content_that_it_is_about(home: Path) -> None:
    engine = toy_engine(home)
    go(engine)
    land(home, DAY, "a", f"{DAY} 777")
    go(engine)
    decide(engine, engine.reader.version("received_numbers", DAY).recipe, DecisionKind.REJECT, "eve", "wrong")
    land(home, DAY, "a", f"{DAY} 100")
    again = without_ledger_and_store(home)
    assert go(again)[0].held == ()
    assert [item.decision.by for item in again.decisions.waiting()] == ["eve"]
    land(home.with_name(f"{home.name}-elsewhere"), DAY, "a", f"{DAY} 777")
    assert go(again)[0].held[0] == f"received_numbers {DAY}: its version was refused"


def test_a_decision_of_an_environment_stays_that_environments(home: Path) -> None:
    go(toy_engine(home))
    accepted(home, BRANCH)
    again = without_ledger_and_store(home)
    assert go(again)[0].held[0] == f"received_numbers {DAY}: its version was refused"
    assert [item.environment for item in again.ledger.all_decisions(BRANCH)] == [BRANCH]
    assert again.ledger.all_decisions(PRODUCTION) == []


# What is no decision


def test_what_is_not_well_formed_or_about_nothing_is_passed_over(home: Path) -> None:
    accepted(home)
    (document,) = documents(home)
    changes: dict[str, dict[str, Any]] = {
        "it is not well-formed: it does not say who decided what about which version": {"by": "mallory\x07"},
        "it is about a stage that there is not": {"stage": "sent_numbers"},
        "it is about a partition that received_numbers does not have": {"partition": "today"},
        "the version of its recipe has another content": {"content": "d" * 64},
        "it is ahead of the clock": {"decided_at": (datetime.now(UTC) + timedelta(days=2)).isoformat()},
        "it has more than 1,048,576 bytes": {"reason": "x" * 2_000_000},
    }
    paths = {relanded(document, change): reason for reason, change in changes.items()}
    document.unlink()
    assert passed_over(home) == paths


def test_an_altered_document_is_passed_over_and_so_is_a_name_that_is_none(home: Path) -> None:
    accepted(home)
    (document,) = documents(home)
    document.chmod(0o644)
    document.write_bytes(document.read_bytes().replace(b"anna", b"evil"))
    (document.parent / "mine.json").write_text("{}")
    (document.parent / ".unfinished").write_text("{}")
    day = f"decisions/{document.parent.name}"
    assert passed_over(home) == {
        f"{day}/{document.name}": "it is not what was decided: its bytes have another digest than its name; restore it",
        f"{day}/mine.json": "expected decisions/YYYY-MM-DD/SHA-256.json",
    }


def test_an_older_one_that_turns_up_late_does_not_take_a_newer_one_back(home: Path) -> None:
    engine = accepted(home)
    decided = engine.reader.version("received_numbers", DAY)
    stale = replace(MADE, content=decided.content, kind=DecisionKind.REJECT)
    landed, content = document_of(stale, decided.recipe, None)
    path = home / "landing" / path_of_document(landed)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    done, _ = go(engine)
    assert done.passed_over == {path_of_document(landed): "somebody has decided about the same content since"}
    assert engine.reader.version("received_numbers", DAY) == decided


def relanded(document: Path, change: dict[str, Any]) -> str:
    """Land a changed copy of a document, under its own digest; return its path below the landing zone."""
    content = json.dumps(json.loads(document.read_bytes()) | change).encode()
    (document.parent / f"{digest_of(content)}.json").write_bytes(content)
    return f"decisions/{document.parent.name}/{digest_of(content)}.json"
