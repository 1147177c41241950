"""Amounts as text: no unit of any currency is lost or made up."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_pipeline.currencies import OTHER_DIGITS, as_amount, as_decimal
from spam_pipeline.ingestion.codes import currency_codes


def text_of(amount: int, currency: str) -> str:
    row = pl.DataFrame({"amount": [amount], "currency": [currency]}, schema={"amount": pl.Int64, "currency": pl.String})
    return str(row.select(as_decimal(pl.col("amount"), pl.col("currency"))).item())


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123456, "EUR", "1234.56"),
        (-5, "EUR", "-0.05"),
        (0, "EUR", "0.00"),
        (123456, "JPY", "123456"),
        (-7, "JPY", "-7"),
        (1234, "KWD", "1.234"),
        (12345, "CLF", "1.2345"),
        (99, "XXX", "0.99"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: int, currency: str, text: str) -> None:
    assert text_of(amount, currency) == text


@given(amount=st.integers(-(2**63) + 1, 2**63 - 1), currency=st.sampled_from(["JPY", "EUR", "KWD", "UYW"]))
def test_an_amount_can_be_read_back_exactly(amount: int, currency: str) -> None:
    text = text_of(amount, currency)
    assert Decimal(text).scaleb(OTHER_DIGITS.get(currency, 2)) == amount
    assert len(text.partition(".")[2]) == OTHER_DIGITS.get(currency, 2)


def test_currencies_with_unusual_decimals_are_currencies() -> None:
    assert OTHER_DIGITS.keys() <= currency_codes()


@given(amount=st.integers(-(2**63) + 1, 2**63 - 1), currency=st.sampled_from(["JPY", "EUR", "KWD", "UYW"]))
def test_an_amount_for_people_is_the_same_with_its_thousands_apart(amount: int, currency: str) -> None:
    assert as_amount(amount, currency).replace(",", "") == text_of(amount, currency)


def test_thousands_stand_apart() -> None:
    assert [as_amount(amount, "EUR") for amount in (-123456, 5, 0, 100_000_000)] == [
        "-1,234.56",
        "0.05",
        "0.00",
        "1,000,000.00",
    ]
