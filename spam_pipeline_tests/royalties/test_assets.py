"""What royalties' stages declare, of which data they are made, and when they wait."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from spam_pipeline.ingestion.contracts import Accounts, Agreements, Revenue, Rights
from spam_pipeline.protocol import column_types
from spam_pipeline.protocol.operating import breaches
from spam_pipeline.royalties.assets import (
    MOST_UNKNOWN,
    STAGES,
    royalty_payments,
    royalty_statements,
    royalty_usage,
    statement_basis,
)
from spam_pipeline.trust_and_safety.contracts import ClassifiedPlays
from spam_pipeline_tests.contract_helpers import as_declared, needless_columns, numbers_of, with_columns_declared
from spam_pipeline_tests.royalties.books import Books
from spam_pipeline_tests.royalties.months import Heard, Right, month

COMPUTED = [stage for stage in STAGES if not stage.file_by_file]
"""The stages of which each is one function of frames."""

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MONTH, NEXT_MONTH = "2026-01", "2026-02"


def classified(classes: Mapping[str, int]) -> pl.LazyFrame:
    """So many plays of each class, half of them from files that landed months later."""
    play = {"track_id": "t", "track_key": 1, "user_key": 7, "device_key": 8, "client": "web", "source": "feed"}
    rows = [
        {
            **play,
            "event_id": f"{name}-{number}",
            "occurred_at": NOON,
            "arrival_hour": NOON.replace(month=1 + 3 * (number % 2)),
            "ms_played": 40_000,
            "class": name,
            "spam_probability": 0.1,
            "reasons": [],
        }
        for name, count in classes.items()
        for number in range(count)
    ]
    return pl.LazyFrame(rows, schema=column_types(ClassifiedPlays))


def one_row(contract: Any, *values: object) -> pl.LazyFrame:
    return pl.LazyFrame([values], schema=column_types(contract), orient="row")


ACCOUNTS = one_row(Accounts, 7, "DE", "premium", date(2025, 1, 1))


def inputs_of(stage: Any) -> dict[str, Any]:
    """What a stage reads; January is issued, and a part of its plays has come since. February is open."""
    plays = classified({"legitimate": 2})
    usage = royalty_usage(plays, ACCOUNTS)
    late = pl.col("arrival_day") > date(2026, 2, 5)
    case = month(Heard(7, "t", 1), rights=[Right("t", "payee")], pool=900, accounts=[7])
    books = Books({MONTH: case, NEXT_MONTH: case})
    books.issue(MONTH)
    terms = {
        "revenue": one_row(Revenue, MONTH, "DE", "premium", "EUR", 1000),
        "rights": one_row(Rights, "t", "payee", date(2025, 1, 1), None, 1_000_000),
        "accounts": ACCOUNTS,
        "agreements": one_row(Agreements, "payee", date(2025, 1, 1), "user_centric"),
    }
    account = books.account(NEXT_MONTH)
    every = {
        **terms,
        "classified_plays": plays,
        "royalty_usage": usage,
        "royalty_statements": account.statements
        if stage is royalty_payments
        else royalty_statements(usage.filter(~late), **terms, partition=MONTH),
        "statement_basis": statement_basis(usage, **terms, partition=MONTH),
        "royalty_adjustments": account.adjustments,
        "issued_statements": books.issued_lines(MONTH),
        "issued_payments": account.issued_payments,
        "issued_basis": books.issued_basis(MONTH),
        "contents_read": {},
        "partition": NEXT_MONTH if stage is royalty_payments else MONTH,
    }
    return {name: every[name] for name in stage.parameters}


@pytest.mark.parametrize("stage", COMPUTED, ids=lambda stage: stage.name)
def test_a_stage_reads_the_columns_that_it_declares_and_no_others(stage: Any) -> None:
    inputs = inputs_of(stage)
    assert stage(**as_declared(stage, inputs)).collect().equals(stage(**inputs).collect())
    assert needless_columns(stage, inputs) == []


def test_money_is_made_of_declared_columns_alone() -> None:
    whole = {"royalty_usage", "statement_basis", "issued_payments", "issued_basis"}
    for stage in COMPUTED:
        assert stage.inputs.keys() - whole <= with_columns_declared(stage)


def test_what_was_issued_is_read_from_its_document_alone() -> None:
    assert [stage.parameters for stage in STAGES if stage not in COMPUTED] == [("issued_documents",)] * 3


@pytest.mark.parametrize(
    ("classes", "is_held"),
    [
        ({}, False),
        ({"legitimate": 90, "spam": 6, "unknown": 4}, False),
        ({"legitimate": 82, "unknown": 18}, False),
        ({"legitimate": 60, "unknown": 40}, True),
        ({"unknown": 10}, True),
    ],
    ids=["no plays", "an ordinary day", "doubt about one large account", "doubt about many plays", "no opinion at all"],
)
def test_royalties_wait_while_the_verdicts_leave_much_of_a_day_open(classes: dict[str, int], *, is_held: bool) -> None:
    (limit,) = royalty_usage.inputs["classified_plays"].expectations
    assert limit.at_most == MOST_UNKNOWN
    assert bool(breaches([limit], numbers_of(ClassifiedPlays, classified(classes)))) is is_held


@pytest.mark.parametrize("stage", COMPUTED, ids=lambda stage: stage.name)
def test_limits_bound_what_is_measured(stage: Any) -> None:
    measured = numbers_of(stage.contract, stage(**inputs_of(stage)))
    assert measured
    assert {limit.number for limit in stage.contract.limits()} <= measured.keys()
