"""Plays by day as a chart and as a table, with the words for whoever sees neither."""

from collections.abc import Mapping, Sequence

import polars as pl

from spam_pipeline.pages.page_builder import Rows
from spam_pipeline.pages.plotter import HELD, Curves, Series

_COLOURS = {"withheld": HELD}


def by_day(plays: pl.DataFrame) -> pl.DataFrame:
    """Sum the `plays` and `plays_without_spam` of each `event_day`, from the first to the last, without a gap."""
    sums = plays.group_by("event_day").agg(pl.col("plays", "plays_without_spam").sum()).sort("event_day")
    return sums.upsample("event_day", every="1d").fill_null(0) if sums.height else sums


def curves_of_days(days: pl.DataFrame, names: Mapping[str, str], in_question: str) -> Curves:
    """Draw columns of `by_day` under their names; one is in question."""
    dates = days["event_day"].dt.to_string("%Y-%m-%d").to_list()
    series = [
        Series(name, days[column].to_list(), column == in_question, _COLOURS.get(name, ""))
        for column, name in names.items()
    ]
    ticks = [(place + 0.5, str(day.day)) for place, day in enumerate(days["event_day"])]
    return Curves(series if dates else [], ticks, steps=dates)


def values_of_days(days: pl.DataFrame, names: Sequence[str]) -> Rows:
    """List columns of `by_day`, a row for each day."""
    return days.select(pl.col("event_day").dt.to_string("%Y-%m-%d"), *names).rows()


def described(days: pl.DataFrame, names: Mapping[str, str]) -> str:
    """Describe columns of `by_day` for whoever cannot see their chart."""
    if days.is_empty():
        return "No plays on any day"
    ranges = [f"{name} from {min(days[column]):,} to {max(days[column]):,}" for column, name in names.items()]
    return f"Plays by day, {min(days['event_day'])} to {max(days['event_day'])}: {', '.join(ranges)}"
