"""Plays over the days of a month: what tables and drawings of any page have of them."""

import polars as pl

from spam_pipeline.pages.plotter import Curves, Series, Tick


def by_day(plays: pl.DataFrame) -> pl.DataFrame:
    """The `plays` and `plays_without_spam` of each `event_day`."""
    return plays.group_by("event_day").agg(pl.col("plays", "plays_without_spam").sum()).sort("event_day")


def curves_of_days(days: pl.DataFrame, kept: str) -> Curves:
    """All plays of each of `by_day`, and those without spam, which are called `kept`."""
    dates = days["event_day"].dt.to_string("%Y-%m-%d").to_list()
    return Curves(
        [
            Series("all plays", days["plays"].to_list()),
            Series(kept, days["plays_without_spam"].to_list(), is_in_question=True),
        ],
        [Tick(0, dates[0]), Tick(len(dates), dates[-1])] if dates else [],
    )
