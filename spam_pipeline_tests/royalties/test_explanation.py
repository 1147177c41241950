"""An explanation adds every number up again, for whatever month there can be, and notices one that is wrong."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings

from spam_pipeline.protocol import NotPublished
from spam_pipeline.royalties.explanation import DoesNotAddUp, Evidence, explanation
from spam_pipeline.royalties.payments import settled_by
from spam_pipeline_tests.royalties.books import Books
from spam_pipeline_tests.royalties.months import Heard, Month, Right, month, months, own

DECEMBER, JANUARY = "2025-12", "2026-01"

FANS = (
    *(Heard(1, "X", 3), Heard(2, "Y", 2, is_account=False), Heard(2, "X", 1, status="withheld", incident="i1")),
    *(Heard(1, "X", 7, status="spam"), Heard(1, "X", 9, status="short"), Heard(1, "Y", 2)),
)
CASE = month(*FANS, rights=own("X", "Y"), pool=90_000, accounts=[1, 2], user_centric=["Y"])


def evidence(books: Books) -> Evidence:
    account, case = books.account(JANUARY), books.cases[JANUARY]
    return Evidence(
        payments=books.payments(JANUARY),
        account=account,
        settled=account.adjustments.filter(pl.col("month").is_in(settled_by(JANUARY, account))),
        statement=books.statement(JANUARY),
        issued=books.issued_lines(JANUARY),
        adjustments=books.adjustments(JANUARY),
        basis=books.basis(JANUARY),
        issued_basis=books.issued_basis(JANUARY),
        usage=case.usage(),
        rights=case.terms().rights,
    )


def test_what_is_excluded_stands_beside_what_earns() -> None:
    found = explanation("X", JANUARY, evidence(Books({JANUARY: CASE})))
    assert found.rule == "pro_rata"
    assert dict(found.tracks.select("status", "plays").rows()) == {"earning": 3, "withheld": 1, "spam": 7, "short": 9}
    lines = found.pools.select("line", "incident_id", "plays", "pool_minor").rows()
    assert lines == [("payout", "", 3, 90_000), ("withheld", "i1", 1, 90_000)]
    (balance,) = found.balances.rows(named=True)
    assert balance["paid_minor"] == found.pools.filter(pl.col("line") == "payout")["amount_minor"].sum()


def test_a_payee_whose_tracks_are_in_escrow_sees_their_plays() -> None:
    case = month(Heard(1, "X", 3), Heard(1, "Y", 2), rights=[Right("X", "X", 500_000), *own("Y")], accounts=[1])
    found = explanation("X", JANUARY, evidence(Books({JANUARY: case})))
    assert found.tracks.select("track_id", "in_escrow", "plays").rows() == [("X", True, 3)]
    assert found.pools.is_empty()
    assert not explanation("Y", JANUARY, evidence(Books({JANUARY: case}))).tracks["in_escrow"].any()


def test_an_issued_month_is_explained_by_the_rule_that_it_was_paid_by() -> None:
    books = Books({JANUARY: CASE})
    books.issue(JANUARY)
    books.change(JANUARY, replace(CASE, agreements=()))
    assert explanation("Y", JANUARY, evidence(books)).rule == "user_centric"


def test_a_user_centric_payee_is_explained_by_the_plays_of_accounts() -> None:
    found = explanation("Y", JANUARY, evidence(Books({JANUARY: CASE})))
    assert found.rule == "user_centric"
    assert found.tracks.select("plays", "account_plays").rows() == [(4, 2)]
    assert found.pools["plays"].to_list() == [2]


@given(months)
@settings(max_examples=40)
def test_every_payee_of_every_month_can_be_explained_before_and_after_it_is_issued(case: Month) -> None:
    books = Books({JANUARY: case})
    agreed = books.statement(JANUARY).filter(pl.col("rule") == "agreed").collect()
    payees = set(agreed["payee_id"]) - {""}
    assert [explanation(payee, JANUARY, evidence(books)).is_issued for payee in payees] == [False] * len(payees)
    if payees:
        books.issue(JANUARY)
        books.change(JANUARY, CASE)
        explained = [explanation(payee, JANUARY, evidence(books)) for payee in payees | {"X", "Y"}]
        assert all(found.is_issued for found in explained)


def more(column: str) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    return lambda frame: frame.with_columns(pl.col(column) + 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("payments", more("paid_minor")),
        ("payments", more("payout_minor")),
        ("statement", more("amount_minor")),
        ("statement", more("plays")),
        ("statement", more("ms_played")),
        ("usage", more("plays")),
        ("issued", more("amount_minor")),
        ("rights", lambda rights: rights.with_columns(valid_to=pl.date(2026, 1, 9))),
    ],
)
def test_a_number_that_is_wrong_is_no_explanation(name: str, change: Callable[[pl.LazyFrame], pl.LazyFrame]) -> None:
    books = Books({JANUARY: CASE})
    books.issue(JANUARY)
    sound = evidence(books)
    with pytest.raises(DoesNotAddUp):
        explanation("X", JANUARY, sound._replace(**{name: change(getattr(sound, name))}))


def test_an_adjustment_that_was_not_settled_is_no_explanation() -> None:
    books = Books({DECEMBER: CASE, JANUARY: CASE})
    books.issue(DECEMBER)
    books.change(DECEMBER, replace(CASE, pools={("DE", "premium", "EUR"): 45_000}))
    sound = evidence(books)
    assert explanation("X", JANUARY, sound).settled.filter(pl.col("line") == "payout")["amount_minor"].sum() < 0
    with pytest.raises(DoesNotAddUp, match="settled adjustments"):
        explanation("X", JANUARY, sound._replace(settled=more("amount_minor")(sound.settled)))


def test_a_payee_whom_nobody_knows_is_not_explained() -> None:
    with pytest.raises(NotPublished, match="'Q'"):
        explanation("Q", JANUARY, evidence(Books({JANUARY: CASE})))
