"""Contracts: the columns they promise, and the schemas in which consumers read them."""

from typing import ClassVar

import dataframely as dy
import polars as pl

from spam_pipeline.protocol.definition.contract import Contract, ShowAsEarlier, column_types
from spam_pipeline.protocol.definition.reads import Reads


class Countries(Contract):
    """Plays by country."""

    country = dy.String(primary_key=True)
    plays = dy.Int64(min=1)


def with_plays_by_their_old_name(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.select("country", number_of_plays="plays")


class RenamedCountries(Countries):
    """Plays by country, whose number had another name once."""

    schema_version: ClassVar[int] = 2

    @classmethod
    def earlier_schemas(cls) -> dict[int, ShowAsEarlier]:
        return {1: with_plays_by_their_old_name}


FRAME = pl.LazyFrame({"country": ["SE", "NO"], "plays": [2, 1]})


def test_column_types_are_those_that_are_written() -> None:
    assert column_types(Countries) == {"country": pl.String(), "plays": pl.Int64()}


def test_an_empty_frame_keeps_the_contract() -> None:
    assert Countries.is_valid(Countries.empty())


def test_a_consumer_is_given_the_columns_it_reads_and_no_others() -> None:
    assert Reads(columns=("plays",)).of(FRAME, Countries).collect().to_dict(as_series=False) == {"plays": [2, 1]}
    assert Reads().of(FRAME, Countries).collect_schema().names() == ["country", "plays"]


def test_a_consumer_that_has_not_moved_reads_the_earlier_schema() -> None:
    old = Reads(columns=("number_of_plays",), schema=1).of(FRAME, RenamedCountries)
    assert old.collect().to_dict(as_series=False) == {"number_of_plays": [2, 1]}
    assert Reads(columns=("plays",), schema=2).of(FRAME, RenamedCountries).collect_schema().names() == ["plays"]
