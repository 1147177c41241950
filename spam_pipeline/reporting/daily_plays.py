"""Plays, listeners and playing time of a day, by country, with and without spam. Rankings are in `top_countries`."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import polars as pl

from spam_pipeline.protocol import column_types, in_slices, key_ranges, rows_in, slices_of
from spam_pipeline.reporting.contracts import UNKNOWN_COUNTRY, DailyPlays
from spam_pipeline.reporting.measures import event_day, listened_ms, listener, without_spam

_PLAYS_AT_ONCE: Final = 5_000_000
"""Plays whose listeners are told apart at once, at some 100 bytes each."""


def plays_by_country(classified_plays: pl.LazyFrame, plays_at_once: int = _PLAYS_AT_ONCE) -> pl.LazyFrame:
    """Compute the `DailyPlays` of the days in `classified_plays`; listeners are counted by ranges with about `plays_at_once` plays."""
    return in_slices(partial(_counted, classified_plays, plays_at_once), column_types(DailyPlays))


def _counted(classified_plays: pl.LazyFrame, plays_at_once: int) -> Iterator[pl.DataFrame]:
    columns = pl.Schema(column_types(DailyPlays))
    listeners = key_ranges(listener(), slices_of(rows_in(classified_plays), plays_at_once))
    of_ranges = [_counts(classified_plays.filter(of_range)).collect(engine="streaming") for of_range in listeners]
    counts = pl.concat(of_ranges).group_by("event_day", "country").sum()
    yield counts.cast(columns).select(*columns).sort("event_day", "country")


def _counts(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    counts = {
        "plays": pl.len(),
        "plays_without_spam": without_spam().sum(),
        "listeners": listener().n_unique(),
        "listeners_without_spam": listener().filter(without_spam()).n_unique(),
        "listened_ms": listened_ms().sum(),
        "listened_ms_without_spam": listened_ms().filter(without_spam()).sum(),
    }
    key = (event_day(), pl.col("country").fill_null(UNKNOWN_COUNTRY))
    return classified_plays.group_by(key).agg(**{name: count.cast(pl.Int64) for name, count in counts.items()})
