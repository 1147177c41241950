from datetime import date

import pytest

from spam_pipeline.ingestion.contracts import Agreements
from spam_pipeline.royalties.agreements import user_centric_payees
from spam_pipeline_tests.royalties.months import frame


def payees_in(month: str, *agreements: tuple[str, date, str]) -> set[str]:
    return set(user_centric_payees(month, frame(Agreements, agreements)).collect()["payee_id"])


@pytest.mark.parametrize(
    ("month", "counts"), [("2025-12", False), ("2026-01", False), ("2026-02", True), ("2031-07", True)]
)
def test_an_agreement_within_a_month_counts_from_the_next_one(month: str, *, counts: bool) -> None:
    assert payees_in(month, ("X", date(2026, 1, 2), "user_centric")) == ({"X"} if counts else set())


def test_an_agreement_from_the_first_of_a_month_counts_for_it() -> None:
    assert payees_in("2026-01", ("X", date(2026, 1, 1), "user_centric")) == {"X"}


@pytest.mark.parametrize(
    ("month", "payees"), [("2026-01", {"X"}), ("2026-02", {"X", "Y"}), ("2026-03", {"Y"}), ("2026-04", {"Y"})]
)
def test_of_several_agreements_the_latest_that_has_begun_counts(month: str, payees: set[str]) -> None:
    agreements = [
        ("X", date(2026, 2, 2), "pro_rata"),
        ("X", date(2025, 3, 1), "user_centric"),
        ("Y", date(2026, 2, 1), "user_centric"),
        ("Y", date(2025, 5, 1), "pro_rata"),
        ("Z", date(2025, 5, 1), "pro_rata"),
    ]
    assert payees_in(month, *agreements) == payees
    assert payees_in(month, *reversed(agreements)) == payees


def test_without_agreements_nobody_is_user_centric() -> None:
    assert payees_in("2026-01") == set()
