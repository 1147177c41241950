"""Measuring: all measures of a contract over one frame, in one pass."""

from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Literal

import polars as pl

from spam_pipeline.protocol.fingerprint.measures import Found, Measure
from spam_pipeline.protocol.fingerprint.values import Fingerprint

Frame = pl.LazyFrame | pl.DataFrame
"""A frame that is scanned, or one that is at hand."""


def measure(measures: Mapping[str, Measure], frame: Frame) -> Fingerprint:
    """Measure a frame, by the names of the measures; those of which nothing is known are absent.

    The frame is scanned once for all measures; only names of keys are looked up afterwards. Raises `TypeError` for data of a
    type that a measure does not take. The order of rows and the number of threads make no difference.
    """
    rows, engine = frame.lazy(), engine_for(frame)
    scalars = {name: item.scalars() for name, item in measures.items()}
    tables = {name: item.tables(rows) for name, item in measures.items()}
    in_a_row = _in_a_row(rows, chain.from_iterable(scalars.values()))
    row, *others = pl.collect_all([in_a_row, *chain.from_iterable(tables.values())], engine=engine)
    values, frames = iter(row.row(0) if row.width else ()), iter(others)
    found = {
        name: item.measured(
            Found(rows, tuple(islice(values, len(scalars[name]))), tuple(islice(frames, len(tables[name]))))
        )
        for name, item in measures.items()
    }
    return {name: measured for name, measured in found.items() if measured is not None}


def engine_for(frame: Frame) -> Literal["streaming", "in-memory"]:
    """The engine of Polars that takes least: for a few hundred rows at hand, setting up the streaming one took five times the rest."""
    return "in-memory" if isinstance(frame, pl.DataFrame) else "streaming"


def _in_a_row(frame: pl.LazyFrame, scalars: Iterable[pl.Expr]) -> pl.LazyFrame:
    return frame.select(expression.alias(str(at)) for at, expression in enumerate(scalars))
