"""Contracts and what an audit finds."""

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.contract import Contract, audit, column_types


class Countries(Contract):
    """Plays by country."""

    country = dy.String(primary_key=True)
    plays = dy.Int64(min=1)


GOOD = pl.LazyFrame({"country": ["SE", "NO"], "plays": [2, 1]})


def test_a_frame_that_keeps_its_contract_has_no_findings() -> None:
    assert audit(Countries, GOOD) == []
    assert audit(Countries, Countries.empty()) == []


def test_a_missing_a_surplus_and_a_wrongly_typed_column_are_each_named() -> None:
    frame = pl.LazyFrame({"country": ["SE"], "play": [1]})
    assert audit(Countries, frame) == [
        "column play: expected no such column, got Int64",
        "column plays: expected Int64, got no such column",
    ]
    assert audit(Countries, GOOD.cast({"plays": pl.Float64})) == ["column plays: expected Int64, got Float64"]


def test_columns_in_another_order_are_found() -> None:
    assert audit(Countries, GOOD.select("plays", "country")) == [
        "columns: expected the order country, plays, got plays, country"
    ]


def test_rows_that_break_a_rule_are_counted() -> None:
    twice = pl.LazyFrame({"country": ["SE", "SE", None], "plays": [1, 0, 1]})
    assert audit(Countries, twice) == [
        "country|nullability: 1 rows break it",
        "plays|min: 1 rows break it",
        "primary_key: 2 rows break it",
    ]


def test_column_types_are_those_that_are_written() -> None:
    assert column_types(Countries) == {"country": pl.String(), "plays": pl.Int64()}
