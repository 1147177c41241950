"""What changes about an issued month: exactly the difference, with its reasons, settled once; and no money is lost."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol.operating import breaches
from spam_pipeline.royalties.contracts import LINE, IssuedBasis, IssuedStatements, RoyaltyAdjustments, RoyaltyPayments
from spam_pipeline_tests.contract_helpers import findings_about, numbers_of
from spam_pipeline_tests.royalties.books import Books, added, by_currency, by_line
from spam_pipeline_tests.royalties.months import (
    FIRST_ARRIVAL,
    LAST_ARRIVAL,
    Agreement,
    Heard,
    Month,
    Right,
    month,
    months,
    own,
)

JANUARY, FEBRUARY, MARCH = MONTHS = ("2026-01", "2026-02", "2026-03")


def with_payees(case: Month, plays: int, pool: int) -> Month:
    """A month in which two payees are heard and there is money, beside whatever else happens."""
    heard = (*case.heard, Heard(6, "x", plays), Heard(7, "y", 2))
    rights = (*case.rights, Right("x", "X"), Right("y", "Y"))
    return replace(case, heard=heard, rights=rights, pools={**case.pools, ("DE", "premium", "EUR"): pool})


paying = st.builds(with_payees, months, st.integers(1, 9), st.integers(500, 5000))
changes = st.lists(st.tuples(st.sampled_from(MONTHS), paying) | st.just("issue"), min_size=2, max_size=6)

FANS = (Heard(1, "X", 3), Heard(2, "Y", 2), Heard(2, "Z", 1, status="withheld", incident="i1"))
CASE = month(*FANS, rights=own("X", "Y", "Z"), pool=1000, accounts=[1, 2, 3])


def january(case: Month = CASE) -> Books:
    """Books in which January is issued."""
    books = Books({JANUARY: case})
    books.issue(JANUARY)
    return books


def reason(books: Books) -> str:
    (found,) = books.adjustments(JANUARY).collect()["reason"].unique()
    return str(found)


@given(st.tuples(paying, paying, paying), changes)
@settings(max_examples=20)
def test_every_unit_is_somewhere_exactly_once_whatever_is_issued_and_changed(
    cases: tuple[Month, Month, Month], steps: list[tuple[str, Month] | str]
) -> None:
    books = Books(dict(zip(MONTHS, cases, strict=True)))
    for step in steps:
        waiting = [key for key in MONTHS if key not in books.issued]
        if isinstance(step, tuple):
            books.change(*step)
        elif waiting and not books.statement(waiting[0]).collect().is_empty():
            books.issue(waiting[0])

    changed = {key: books.adjustments(key) for key in MONTHS}
    for key, lines in changed.items():
        assert findings_about(RoyaltyAdjustments, lines) == []
        assert breaches(RoyaltyAdjustments.limits(), numbers_of(RoyaltyAdjustments, lines)) == []
        issued = pl.concat([frame.select(*LINE, "amount_minor") for frame in (books.issued_lines(key), lines)])
        assert by_line(issued) == (by_line(books.statement(key)) if key in books.issued else {})

    payments = [books.payments(key) for key in MONTHS]
    assert all(findings_about(RoyaltyPayments, paid) == [] for paid in payments)
    to_payees = pl.col("line") == "payout"
    current = pl.concat([books.statement(key) for key in MONTHS]).filter(pl.col("rule") == "agreed")
    is_open = len(books.issued) < len(MONTHS)  # and the first open month settles what has changed
    pools = current.select("month", "country", "tier", "currency", "pool_minor").unique()
    assert added(by_currency(pools, "pool_minor")) == added(
        *(by_currency(paid, "paid_minor") for paid in payments),
        by_currency(payments[-1], "carried_minor"),
        *(by_currency(lines.filter(to_payees)) for lines in changed.values() if not is_open),
        by_currency(current.filter(~to_payees)),
    )


@given(months)
@settings(max_examples=30)
def test_what_is_issued_can_be_read_again_as_it_was(case: Month) -> None:
    books = january(case)
    lines, columns = (
        books.issued_lines(JANUARY).collect(),
        ["month", "rule", "line", "payee_id", "plays", "amount_minor"],
    )
    assert findings_about(IssuedStatements, lines.lazy()) == []
    assert findings_about(IssuedBasis, books.issued_basis(JANUARY)) == []
    assert lines.select(columns).equals(books.statement(JANUARY).select(columns).collect())
    assert books.adjustments(JANUARY).collect().is_empty()


def test_a_month_that_is_not_issued_has_no_adjustments() -> None:
    books = Books({JANUARY: CASE})
    assert books.adjustments(JANUARY).collect().is_empty()


def test_a_late_play_moves_money_between_lines_and_says_so() -> None:
    books = january()
    books.change(JANUARY, replace(CASE, heard=(*FANS, Heard(1, "Y", 6, arrival=LAST_ARRIVAL))))
    lines = books.adjustments(JANUARY).collect()
    assert dict(lines.select("payee_id", "amount_minor").rows()) == {"X": -250, "Y": 334, "Z": -84}
    assert lines["amount_minor"].sum() == lines["pool_change_minor"][0] == 0
    assert reason(books) == "late data"
    assert (lines["statement_then"][0], lines["statement_now"][0]) == (
        "2026-01 after 0 changes",
        "2026-01 after 1 changes",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"heard": (*FANS[:2], replace(FANS[2], status="earning"))}, "incident"),
        ({"heard": (replace(FANS[0], status="withheld", incident="i2"), *FANS[1:])}, "incident"),
        ({"heard": (*FANS[:2], replace(FANS[2], status="earning", incident=""))}, "incident"),
        ({"heard": (replace(FANS[0], status="spam"), *FANS[1:])}, "definition"),
        ({"heard": (replace(FANS[0], arrival=LAST_ARRIVAL), *FANS[1:], replace(FANS[0], plays=1))}, "late data"),
        ({"heard": FANS[1:]}, "late data"),
        ({"heard": (replace(FANS[0], track="Z"), *FANS[1:])}, "late data"),
        ({"rights": (Right("X", "Y"), *own("Y", "Z"))}, "reference data"),
        ({"rights": tuple(own("X", "Z"))}, "reference data"),
        ({"pools": {("DE", "premium", "EUR"): 999}}, "reference data"),
        ({"agreements": (Agreement("X"),)}, "reference data"),
        (
            {"agreements": (Agreement("X"),), "heard": (replace(FANS[0], status="short"), *FANS[1:])},
            "reference data, definition",
        ),
        (
            {
                "pools": {("DE", "premium", "EUR"): 7},
                "heard": (Heard(9, "X", 1, arrival=LAST_ARRIVAL), *FANS[:2], replace(FANS[2], status="earning")),
            },
            "late data, incident, reference data",
        ),
    ],
)
def test_the_reasons_are_what_differs_in_the_pool(change: dict[str, object], expected: str) -> None:
    books = january()
    books.change(JANUARY, replace(CASE, **change))
    assert reason(books) == expected


def test_longer_listening_in_a_file_that_was_replaced_is_late_data() -> None:
    fans = (Heard(1, "X", 3), Heard(1, "Y", 2))
    case = month(*fans, rights=own("X", "Y"), accounts=[1], user_centric=["X"])
    books = january(case)
    books.change(JANUARY, replace(case, heard=(replace(fans[0], ms_per_play=90_000), fans[1])))
    assert reason(books) == "late data"


def test_a_suspect_who_moves_to_another_country_is_no_incident_there() -> None:
    pools = {("DE", "premium", "EUR"): 1000, ("SE", "premium", "SEK"): 100}
    swede = Heard(7, "X", 1, country="SE")
    case = replace(CASE, heard=(*FANS, swede), pools=pools)
    books = january(case)
    moved = [replace(fan, country="SE") for fan in FANS[1:]]
    homes = {**case.accounts, 2: ("SE", "premium")}
    books.change(JANUARY, replace(case, heard=(FANS[0], *moved, swede), accounts=homes))
    assert reason(books) == "reference data"


def test_a_month_of_which_nothing_is_left_takes_back_all_that_was_issued() -> None:
    books = january()
    issued = by_line(books.issued_lines(JANUARY))
    books.change(JANUARY, Month((), (), {}))
    assert by_line(books.adjustments(JANUARY)) == {name: -amount for name, amount in issued.items()}
    assert books.adjustments(JANUARY).collect()["pool_change_minor"].unique().to_list() == [-1000]


def test_more_accounts_of_a_user_centric_payee_are_reference_data() -> None:
    case = replace(CASE, agreements=(Agreement("X"), Agreement("Y"), Agreement("Z")))
    books = january(case)
    books.change(JANUARY, replace(case, accounts={**case.accounts, 4: ("DE", "premium")}))
    assert reason(books) == "reference data"


def test_each_pool_has_reasons_of_its_own() -> None:
    free = [Heard(7, "X", 1, tier="free"), Heard(8, "Y", 1, tier="free")]
    pools = {("DE", "premium", "EUR"): 1000, ("DE", "free", "EUR"): 100}
    case = replace(CASE, heard=(*FANS, *free), pools=pools)
    books = january(case)
    books.change(
        JANUARY,
        replace(
            case,
            heard=(*FANS, *free, Heard(7, "X", 3, tier="free", arrival=LAST_ARRIVAL)),
            pools={**pools, ("DE", "premium", "EUR"): 1001},
        ),
    )
    reasons = books.adjustments(JANUARY).select("tier", "reason").unique().sort("tier").collect().rows()
    assert reasons == [("free", "late data"), ("premium", "reference data")]


def test_what_was_settled_is_not_a_reason_any_more() -> None:
    books = january()
    books.cases[FEBRUARY] = CASE
    late = (*FANS, Heard(1, "Y", 6, arrival=LAST_ARRIVAL))
    books.change(JANUARY, replace(CASE, heard=late))
    books.issue(FEBRUARY)
    assert books.adjustments(JANUARY).collect().is_empty()
    books.change(JANUARY, replace(CASE, heard=late, pools={("DE", "premium", "EUR"): 900}))
    assert reason(books) == "reference data"


def test_plays_that_arrive_on_a_day_with_earlier_arrivals_are_late_as_well() -> None:
    books = january()
    books.change(JANUARY, replace(CASE, heard=(*FANS, Heard(3, "X", 2, arrival=FIRST_ARRIVAL))))
    assert reason(books) == "late data"
