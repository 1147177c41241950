"""Records of a ledger that are made up, and what a ledger tells of them."""

from datetime import UTC, datetime

from spam_pipeline.protocol.fingerprint import Counted, Figured, Fingerprint
from spam_pipeline.protocol.foundation.finding import Finding, Severity
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.decisions import add_decision
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import (
    PRODUCTION,
    Audit,
    Decision,
    DecisionKind,
    Observation,
    Part,
    Position,
    StoredFile,
    Verdict,
    Version,
)
from spam_pipeline.protocol.ledger.tables import writing

BELOW_ZERO = Finding("limit", "number", Severity.REFUSE, "at least 0", "-1")
PASSED, REFUSED = Audit(Verdict.PASSED), Audit(Verdict.REFUSED, (BELOW_ZERO,))
FINGERPRINT: Fingerprint = {"total": Counted(7), "mean": Figured(0.5)}
NOON = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)


def a_version(
    recipe: str = "r1", partition: str = "2026-01-05", content: str = "c1", inputs: tuple[InputRef, ...] = ()
) -> Version:
    return Version(
        recipe=recipe,
        context="toys",
        stage="numbers",
        partition=partition,
        code_version="code",
        content=content,
        parts=(Part.of("all", (StoredFile(f"toys/numbers/{partition}/{content}.parquet", 3, 99),)),),
        side_parts=(Part.of("rejected", (StoredFile("toys/numbers/rejected.parquet", 1, 9),)),),
        fingerprint=FINGERPRINT,
        columns={"number": "Int64"},
        rows_read=4,
        seconds=0.25,
        computed_at=NOON,
        inputs=inputs,
    )


def an_observation(path: str = "2026-01-05/a.txt", digest: str | None = "d1") -> Observation:
    return Observation("landed_numbers", "2026-01-05", path, digest, 10, "1000000000000000001", NOON)


def a_decision(version: Version, by: str = "anna", environment: str = PRODUCTION) -> Decision:
    return Decision(
        environment=environment,
        version_id=version.id,
        stage=version.stage,
        partition=version.partition,
        content=version.content,
        kind=DecisionKind.ACCEPT,
        by=by,
        reason="a release that everybody waited for",
        findings=(BELOW_ZERO,),
        decided_at=NOON,
    )


def recipes_told(ledger: Ledger, after: int = 0) -> list[str]:
    return [found[0].recipe for _, found in ledger.publications_after(after, PRODUCTION) if found]


def recorded(ledger: Ledger, recipe: str) -> Version:
    found = ledger.version(recipe)
    assert found is not None
    return found[0]


def landed(ledger: Ledger) -> list[Observation]:
    """The last observation of every path, gone files included, ordered by path."""
    return ledger.observations.added(0, ledger.changes([], Position(), []).position.observation)


def record_decision(ledger: Ledger, decision: Decision, last: int) -> Decision:
    """Record a decision without a document in the landing zone, as releases before 0.12 did."""
    with writing(ledger._engine) as connection:  # noqa: SLF001 - the ledger itself records none without a document any more
        return add_decision(connection, decision, last)
