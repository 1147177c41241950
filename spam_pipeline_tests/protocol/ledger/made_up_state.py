"""Versions, audits and looks at a ledger that are made up for the tests of its state."""

from dataclasses import replace
from datetime import UTC, datetime

from spam_pipeline.protocol.fingerprint import Counted
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import Audit, Observation, Part, StoredFile, Verdict, Version
from spam_pipeline.protocol.planning.ledger_state import LedgerState
from spam_pipeline.protocol.planning.partition_status import Snapshot
from spam_pipeline_tests.protocol.made_up_records import BELOW_ZERO

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOW, PAST = "the contract of today", "a contract of the past"
BRANCH = "branch"
DAYS = ("2026-01-05", "2026-01-06")
STAGES = ("numbers", "totals")


def a_version(stage: str, partition: str, number: int) -> Version:
    recipe = f"{stage} {partition} {number}"
    return Version(
        recipe=recipe,
        context="toys",
        stage=stage,
        partition=partition,
        code_version="code",
        content=recipe,
        parts=(Part.of("all", (StoredFile(f"{recipe}.parquet", 3, 99),)),),
        side_parts=(),
        fingerprint={"rows": Counted(3)},
        columns={},
        rows_read=4,
        seconds=0.25,
        computed_at=NOON,
    )


def an_observation(partition: str, digest: str | None) -> Observation:
    return Observation("landed_numbers", partition, f"{partition}/a.txt", digest, 10, "1", NOON)


def passed(contract: str = NOW) -> Audit:
    return Audit(Verdict.PASSED, (), contract)


def refused(contract: str = NOW) -> Audit:
    return Audit(Verdict.REFUSED, (BELOW_ZERO,), contract)


def recorded(ledger: Ledger, version: Version) -> Version:
    found = ledger.version(version.recipe)
    assert found is not None
    return found[0]


PROVISIONAL = replace(passed(), history="h1", is_provisional=True)
DECIDED = replace(passed(), history="h2", decision=1)
"""Takes the last decision about the partition into account, whichever environment that is for."""


def without_marks(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, marks={}, landed_mark=0)


def a_look(ledger: Ledger, environment: str) -> LedgerState:
    return LedgerState(ledger, environment, {NOW}, expected=["numbers"])
