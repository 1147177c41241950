"""What is paid, what is carried, and what a negative balance means."""

from dataclasses import replace

import polars as pl
import pytest

from spam_pipeline.royalties.contracts import RoyaltyPayments
from spam_pipeline.royalties.payments import MINIMUM_PAYOUT_MINOR, on_its_own
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of
from spam_pipeline_tests.royalties.books import Books
from spam_pipeline_tests.royalties.months import Heard, Month, month, own

JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"


def only(payee: str, pool: int, currency: str = "EUR") -> Month:
    """A month whose pool is one payee's."""
    case = month(Heard(1, payee, 1), rights=own("X", "Y"), accounts=[1])
    return replace(case, pools={("DE", "premium", currency): pool})


def paid(books: Books, key: str) -> dict[str, tuple[int, ...]]:
    """By payee: opening, payout, adjustments, balance, paid, carried."""
    rows = books.payments(key).drop("month", "currency").collect().rows()
    return {payee: tuple(amounts) for payee, *amounts in rows}


@pytest.mark.parametrize(
    ("pool", "is_paid"), [(MINIMUM_PAYOUT_MINOR - 1, False), (MINIMUM_PAYOUT_MINOR, True), (10**12, True)]
)
def test_a_balance_is_paid_from_the_minimum_on_and_carried_below(pool: int, *, is_paid: bool) -> None:
    expected = (0, pool, 0, pool, pool if is_paid else 0, 0 if is_paid else pool)
    assert paid(Books({JANUARY: only("X", pool)}), JANUARY) == {"X": expected}


def test_what_is_carried_opens_the_next_month_even_for_a_payee_who_was_not_heard() -> None:
    books = Books({JANUARY: only("X", 600), FEBRUARY: only("Y", 5000), MARCH: only("X", 600)})
    assert paid(books, FEBRUARY) == {"X": (600, 0, 0, 600, 0, 600), "Y": (0, 5000, 0, 5000, 5000, 0)}
    assert paid(books, MARCH) == {"X": (600, 600, 0, 1200, 1200, 0)}
    before = {key: paid(books, key) for key in books.cases}
    for key in (JANUARY, FEBRUARY, MARCH):
        books.issue(key)
        assert {other: paid(books, other) for other in books.cases} == before


def test_what_was_paid_too_much_is_taken_from_what_comes_and_never_collected() -> None:
    books = Books({JANUARY: only("X", 5000), FEBRUARY: only("X", 1500), MARCH: only("X", 5000)})
    books.issue(JANUARY)
    books.change(JANUARY, only("Y", 5000))
    assert paid(books, JANUARY) == {"X": (0, 5000, 0, 5000, 5000, 0)}, "what was issued stays"
    assert paid(books, FEBRUARY) == {"X": (0, 1500, -5000, -3500, 0, -3500), "Y": (0, 0, 5000, 5000, 5000, 0)}
    assert paid(books, MARCH) == {"X": (-3500, 5000, 0, 1500, 1500, 0)}
    books.issue(FEBRUARY)
    assert paid(books, MARCH) == {"X": (-3500, 5000, 0, 1500, 1500, 0)}
    numbers = numbers_of(RoyaltyPayments, books.payments(FEBRUARY))
    assert numbers == {
        "payees_paid": 1,
        "balances_carried": 0,
        "balances_owed": 1,
        "opening_EUR": 0,
        "payout_EUR": 1500,
        "adjustments_EUR": 0,
        "paid_EUR": 5000,
        "carried_EUR": -3500,
    }


def test_a_month_without_a_line_pays_nothing_and_settles_nothing() -> None:
    books = Books({JANUARY: only("X", 5000), FEBRUARY: Month((), (), {}), MARCH: only("X", 1000)})
    books.issue(JANUARY)
    books.change(JANUARY, only("Y", 5000))
    assert paid(books, FEBRUARY) == {}
    assert paid(books, MARCH) == {"X": (0, 1000, -5000, -4000, 0, -4000), "Y": (0, 0, 5000, 5000, 5000, 0)}


def test_a_month_that_is_issued_after_a_later_one_takes_nothing_along_twice() -> None:
    books = Books({JANUARY: only("X", 600), FEBRUARY: only("X", 700)})
    books.issue(JANUARY)
    late = on_its_own(books.payments(FEBRUARY).collect())
    assert findings_about(RoyaltyPayments, late.lazy()) == []
    assert late.drop("month", "payee_id", "currency").rows() == [(0, 700, 0, 700, 0, 700)]


def test_currencies_are_never_added() -> None:
    books = Books({JANUARY: only("X", 600), FEBRUARY: only("X", 600, "JPY")})
    rows = books.payments(FEBRUARY).select("currency", "balance_minor", "paid_minor").collect().rows()
    assert rows == [("EUR", 600, 0), ("JPY", 600, 0)]


def test_a_month_without_revenue_pays_nobody() -> None:
    books = Books({JANUARY: replace(only("X", 0), pools={})})
    assert paid(books, JANUARY) == {}
    assert findings_about(RoyaltyPayments, books.payments(JANUARY)) == []


def test_a_payment_that_loses_a_minor_unit_breaks_its_contract() -> None:
    books = Books({JANUARY: only("X", 5000)})
    short = books.payments(JANUARY).with_columns(pl.col("paid_minor") - 1)
    (finding,) = findings_about(RoyaltyPayments, short)
    assert (finding.about, finding.size) == ("all: what_is_owed_is_paid_or_carried", 1)
