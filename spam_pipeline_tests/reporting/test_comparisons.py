"""Questions about reports that have a name in SQL."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.reporting import assets
from spam_pipeline.reporting.comparisons import create_comparisons
from spam_pipeline.reporting.contracts import PlaysBySpamProbability
from spam_pipeline_tests.contract_helpers import findings_about
from spam_pipeline_tests.reporting.conftest import PlaysOf

DAY = date(2027, 1, 5)
AT_NOON = datetime(2027, 1, 5, 12, tzinfo=UTC)


@contextmanager
def database_of(**relations: pl.DataFrame) -> Iterator[Callable[[str], list[Any]]]:
    """A database in which reporting has published some frames."""
    with closing(duckdb.connect()) as database, tempfile.TemporaryDirectory() as folder:
        database.execute("CREATE SCHEMA reporting")
        for name, frame in relations.items():
            frame.write_parquet(f"{folder}/frame.parquet")
            database.execute(f"CREATE TABLE reporting.{name} AS FROM '{folder}/frame.parquet'")
        create_comparisons(database)
        yield lambda sql: database.execute(sql).fetchall()


def daily_plays(counts: Mapping[tuple[int, str], tuple[int, int]]) -> pl.DataFrame:
    """Plays, and plays without spam, by how many days ago they were and by country."""
    rows = [(DAY - timedelta(days=ago), country, *plays) for (ago, country), plays in counts.items()]
    return pl.DataFrame(
        rows,
        schema={"event_day": pl.Date, "country": pl.String, "plays": pl.Int64, "plays_without_spam": pl.Int64},
        orient="row",
    )


def test_a_day_stands_beside_the_same_weekday_a_week_and_a_year_before_in_both_truths() -> None:
    published = {
        (0, "DE"): (10, 9),
        (0, "ZZ"): (1, 1),
        (7, "DE"): (8, 8),
        (7, "FR"): (3, 2),
        (364, "DE"): (4, 0),
        (365, "DE"): (99, 99),
    }
    with database_of(daily_plays=daily_plays(published)) as ask:
        asked = (
            "SELECT * EXCLUDE (event_day) FROM reporting.compared_days WHERE event_day = '2027-01-05' ORDER BY country"
        )
        found = ask(asked)
    assert found == [
        ("DE", 10, 9, 8, 8, 4, 0),
        ("FR", 0, 0, 3, 2, 0, 0),
        ("ZZ", 1, 1, 0, 0, 0, 0),
        ("all", 11, 10, 11, 10, 4, 0),
    ]


def test_what_was_never_published_is_nothing_to_compare_with_and_not_zero() -> None:
    with database_of(daily_plays=daily_plays({(0, "DE"): (10, 9)})) as ask:
        found = ask("SELECT * EXCLUDE (event_day) FROM reporting.compared_days ORDER BY country")
    assert found == [("DE", 10, 9, None, None, None, None), ("all", 10, 9, None, None, None, None)]


def test_without_reports_there_is_nothing_to_ask() -> None:
    with database_of() as ask:
        assert ask("SELECT count(*) FROM information_schema.tables") == [(0,)]


probabilities = st.floats(0, 1, width=32) | st.integers(0, 100).map(lambda percent: float(np.float32(percent / 100)))
countries = st.none() | st.sampled_from([f"{first}{second}" for first in "ABC" for second in "WXYZ"])


@given(given_plays=st.lists(st.tuples(countries, probabilities), max_size=60), percent=st.integers(0, 101))
@settings(max_examples=60)
def test_countries_can_be_ranked_at_any_tolerance(
    plays_of: PlaysOf, given_plays: list[tuple[str | None, float]], percent: int
) -> None:
    classified = plays_of(
        {"occurred_at": AT_NOON, "country": country, "spam_probability": probability}
        for country, probability in given_plays
    )
    kept = Counter(
        country
        for country, probability in given_plays
        if country and np.float32(probability) < np.float32(percent / 100)
    )
    best = sorted(kept.items(), key=lambda item: (-item[1], item[0]))[:10]
    counted = assets.plays_by_spam_probability(classified)
    with database_of(plays_by_spam_probability=counted.collect()) as ask:
        ranked = ask(f"FROM reporting.top_countries_at('{DAY}', {percent / 100})")
    assert ranked == [(rank, *item) for rank, item in enumerate(best, start=1)]
    assert counted.select("plays").sum().collect().item() == len(given_plays)
    assert findings_about(PlaysBySpamProbability, counted) == []


def test_at_the_tolerance_of_reports_the_ranking_is_that_of_the_reports(plays_of: PlaysOf) -> None:
    plays = [
        {"occurred_at": AT_NOON, "country": f"{letter}A", "spam_probability": number / 11}
        for number, letter in enumerate("ABCDEFGHIJKL")
        for _ in range(number % 5 + 1)
    ]
    reported = assets.top_countries(plays_of(plays)).collect()
    with database_of(plays_by_spam_probability=assets.plays_by_spam_probability(plays_of(plays)).collect()) as ask:
        for measure, tolerance in (("without_spam", 0.8), ("with_spam", 1.01)):
            expected = reported.filter(measure=measure).select("rank", "country", "plays").rows()
            assert ask(f"FROM reporting.top_countries_at(DATE '{DAY}', {tolerance})") == expected
