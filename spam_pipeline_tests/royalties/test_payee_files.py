"""A statement for each payee: every line that names the payee, to the last unit, in CSV that any program reads alike."""

import csv
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol import Contract, column_types
from spam_pipeline.royalties.contracts import RoyaltyAdjustments, RoyaltyPayments, RoyaltyStatements
from spam_pipeline.royalties.payee_files import lines_not_issued, payee_rows, place_of, write_payee_files

MONTH, BEFORE = "2026-02", "2026-01"
DECIMALS = {"JPY": 0, "EUR": 2, "KWD": 3}
BALANCE = ("opening", "balance", "paid", "carried")

Row = dict[str, str]


def frame(contract: type[Contract], rows: Iterable[tuple[object, ...]]) -> pl.LazyFrame:
    return pl.LazyFrame(list(rows), schema=column_types(contract), orient="row")


def line(payee: str, amount: int, **values: object) -> tuple[object, ...]:
    usual = {"country": "DE", "tier": "premium", "currency": "EUR", "rule": "agreed", "line": "payout", "track": ""}
    usual |= {"incident": "", "plays": 3, "ms_played": 90_120, "pool": 100_000}
    given_values = usual | values
    named = [given_values[name] for name in ("country", "tier", "currency", "rule", "line")]
    return (
        MONTH,
        *named,
        payee,
        given_values["track"],
        given_values["incident"],
        given_values["plays"],
        given_values["ms_played"],
        amount,
        given_values["pool"],
    )


def read(folder: Path) -> dict[str, list[Row]]:
    """The rows of each payee's file, by payee as the index tells it; every file is one of the index."""
    index = table(folder / "payees.csv")
    files = [folder / row["file"] for row in index]
    assert sorted(files) == sorted(folder.glob("payees/*/*.csv"))
    assert len(set(files)) == len(index)
    return {row["payee_id"]: table(file) for row, file in zip(index, files, strict=True)}


def table(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text, strict=True))


def written(
    statement: Iterable[tuple[object, ...]] = (),
    adjustments: Iterable[tuple[object, ...]] = (),
    payments: Iterable[tuple[object, ...]] = (),
    rows_at_once: int = 100,
) -> dict[str, list[Row]]:
    lines = lines_not_issued(frame(RoyaltyStatements, statement), frame(RoyaltyAdjustments, adjustments))
    rows = payee_rows(MONTH, lines, frame(RoyaltyPayments, payments)).collect()
    with TemporaryDirectory() as folder:
        count = write_payee_files(Path(folder), rows.iter_slices(rows_at_once))
        found = read(Path(folder))
    assert count == len(found)
    return found


def test_a_line_says_pool_usage_and_amount() -> None:
    (row,) = written([line("label", 1234)])["label"]
    assert row == {
        "payee_id": "label",
        "statement": MONTH,
        "month": MONTH,
        "country": "DE",
        "tier": "premium",
        "currency": "EUR",
        "line": "payout",
        "incident_id": "",
        "reason": "",
        "plays": "3",
        "listening_seconds": "90.120",
        "pool": "1000.00",
        "amount": "12.34",
    }


def test_only_what_was_agreed_is_written_and_nobody_gets_what_is_nobodys() -> None:
    lines = [line("a", 5, rule="pro_rata"), line("a", 6, rule="user_centric"), line("", 7, line="unclaimed")]
    assert written([*lines, line("", 8, line="escrow", track="t")]) == {}


def test_money_that_is_withheld_names_its_incident() -> None:
    (row,) = written([line("a", 100, line="withheld", incident="i-1")])["a"]
    assert (row["line"], row["incident_id"], row["amount"]) == ("withheld", "i-1", "1.00")


def test_adjustments_say_their_month_and_reason_but_no_usage() -> None:
    settled = (BEFORE, "DE", "premium", "EUR", "agreed", "payout", "a", "", "", -40, 0, "incident, late data", "x", "y")
    own, adjusted = written([line("a", 100)], [settled])["a"]
    assert (own["month"], own["amount"], own["reason"]) == (MONTH, "1.00", "")
    assert (adjusted["month"], adjusted["amount"], adjusted["reason"]) == (BEFORE, "-0.40", "incident, late data")
    assert (adjusted["plays"], adjusted["listening_seconds"], adjusted["pool"]) == ("", "", "0.00")


def test_the_balance_stands_below_the_lines_even_if_there_are_none() -> None:
    payments = [(MONTH, "a", "KWD", -5, 10, 1, 6, 0, 6), (MONTH, "b", "JPY", 2000, 0, 0, 2000, 2000, 0)]
    found = written([line("a", 10, currency="KWD")], payments=payments)
    assert [(row["line"], row["amount"]) for row in found["a"]] == [
        ("payout", "0.010"),
        ("opening", "-0.005"),
        ("balance", "0.006"),
        ("paid", "0.000"),
        ("carried", "0.006"),
    ]
    assert [(row["line"], row["amount"]) for row in found["b"]] == list(
        zip(BALANCE, ("2000", "2000", "2000", "0"), strict=True)
    )


@pytest.mark.parametrize("payee", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_text_can_be_run_as_a_formula(payee: str) -> None:
    found = written([line(payee, -5, incident=payee, line="withheld")])
    ((shown, (row,)),) = found.items()
    assert (shown, row["payee_id"], row["incident_id"]) == (f"'{payee}",) * 3
    assert row["amount"] == "-0.05"


payees = st.one_of(st.sampled_from(["a", "A", "..", "con", "a/b", "é", 'x",\r\n"']), st.text(min_size=1))
lines_of_a_month = st.dictionaries(
    st.tuples(payees, st.sampled_from(list(DECIMALS)), st.sampled_from(["payout", "withheld"])),
    st.integers(0, 10**12),
    max_size=12,
)


@settings(max_examples=100)
@given(amounts=lines_of_a_month, rows_at_once=st.integers(1, 5))
def test_each_payee_has_one_file_with_every_unit_of_its_lines(
    amounts: dict[tuple[str, str, str], int], rows_at_once: int
) -> None:
    statement = [
        line(payee, amount, currency=currency, line=kind) for (payee, currency, kind), amount in amounts.items()
    ]
    found = written(statement, rows_at_once=rows_at_once)
    naive = {(shown(payee), *rest): amount for (payee, *rest), amount in amounts.items()}
    read_back = {
        (row["payee_id"], row["currency"], row["line"]): Decimal(row["amount"]).scaleb(DECIMALS[row["currency"]])
        for rows in found.values()
        for row in rows
    }
    assert read_back == naive
    assert all(row["payee_id"] == payee for payee, rows in found.items() for row in rows)


def shown(payee: str) -> str:
    return f"'{payee}" if payee[0] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20" else payee


def test_lines_end_as_the_standard_says_and_only_what_needs_it_is_quoted(tmp_path: Path) -> None:
    lines = lines_not_issued(frame(RoyaltyStatements, [line('a "b"', 5)]), frame(RoyaltyAdjustments, []))
    write_payee_files(tmp_path, [payee_rows(MONTH, lines, frame(RoyaltyPayments, [])).collect()])
    header, row, rest = (tmp_path / place_of('a "b"')).read_bytes().split(b"\r\n")
    assert header.startswith(b"payee_id,statement,month,")
    assert row == b'"a ""b""",2026-02,2026-02,DE,premium,EUR,payout,,,3,90.120,1000.00,0.05'
    assert rest == b""


@given(payee=payees)
def test_a_file_has_a_name_that_any_system_can_have(payee: str) -> None:
    folder, shard, name = place_of(payee).split("/")
    assert (folder, len(shard)) == ("payees", 2)
    assert name.isascii()
    assert name.removesuffix(".csv").replace("-", "").isalnum()
    assert len(name) < 100
