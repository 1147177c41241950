"""Common questions as SQL relations: a day compared with earlier ones, and rankings at any tolerance.

Shared by the warehouse file and by ad-hoc queries; they build on the relations of reporting's stages. Counting is in the
modules of the stages.
"""

import duckdb

from spam_pipeline.reporting.contracts import TOP_COUNTRIES, UNKNOWN_COUNTRY

_ALL_COUNTRIES = "all"
"""The country of rows over all countries, the unknown one included."""

_WEEK_DAYS, _YEAR_DAYS = 7, 364
"""Days are compared at a distance of whole weeks, because a Friday is no Saturday. A year has 52 of them."""

_COMPARED_DAYS = f"""
    WITH days AS (SELECT DISTINCT event_day FROM reporting.daily_plays),
    counts AS (
        SELECT event_day, country, plays, plays_without_spam FROM reporting.daily_plays
        UNION ALL
        SELECT event_day, '{_ALL_COUNTRIES}', sum(plays)::BIGINT, sum(plays_without_spam)::BIGINT
        FROM reporting.daily_plays GROUP BY event_day
    ),
    shown AS (
        SELECT DISTINCT days.event_day, counts.country
        FROM counts, (VALUES (0), ({_WEEK_DAYS}), ({_YEAR_DAYS})) AS beside (later), days
        WHERE days.event_day = counts.event_day + later
    )
    SELECT shown.event_day, shown.country,
           coalesce(today.plays, 0) AS plays,
           coalesce(today.plays_without_spam, 0) AS plays_without_spam,
           CASE WHEN week.event_day IS NOT NULL THEN coalesce(week_ago.plays, 0) END AS plays_week_ago,
           CASE WHEN week.event_day IS NOT NULL THEN coalesce(week_ago.plays_without_spam, 0) END
             AS plays_without_spam_week_ago,
           CASE WHEN year.event_day IS NOT NULL THEN coalesce(year_ago.plays, 0) END AS plays_year_ago,
           CASE WHEN year.event_day IS NOT NULL THEN coalesce(year_ago.plays_without_spam, 0) END
             AS plays_without_spam_year_ago
    FROM shown
    LEFT JOIN counts AS today ON today.event_day = shown.event_day AND today.country = shown.country
    LEFT JOIN days AS week ON week.event_day = shown.event_day - {_WEEK_DAYS}
    LEFT JOIN counts AS week_ago ON week_ago.event_day = week.event_day AND week_ago.country = shown.country
    LEFT JOIN days AS year ON year.event_day = shown.event_day - {_YEAR_DAYS}
    LEFT JOIN counts AS year_ago ON year_ago.event_day = year.event_day AND year_ago.country = shown.country
"""  # noqa: S608 - constants of this package
"""Every day by country and for `all`, beside the same weekday one week and 52 weeks before, with and without spam.

A day that was not published is null; a country without plays on a published day has 0.
"""

_TOP_COUNTRIES_AT = f"""
    SELECT row_number() OVER (ORDER BY plays DESC, country) AS rank, country, plays
    FROM (
        SELECT country, sum(plays)::BIGINT AS plays
        FROM reporting.plays_by_spam_probability
        WHERE event_day = day::DATE AND country <> '{UNKNOWN_COUNTRY}' AND spam_percent < round(tolerance * 100)
        GROUP BY country
    )
    ORDER BY rank LIMIT {TOP_COUNTRIES}
"""  # noqa: S608 - constants of this package
"""The countries with the most plays of a day, without plays whose spam probability is at least the tolerance.

Tolerances are rounded to whole percents; from 1.01 on every play counts.
"""


def create_comparisons(database: duckdb.DuckDBPyConnection) -> None:
    """Create the view `reporting.compared_days` and the macro `reporting.top_countries_at(day, tolerance)`.

    Each is created only where its stage is there.
    """
    if _is_there(database, "daily_plays"):
        database.execute(f"CREATE VIEW reporting.compared_days AS {_COMPARED_DAYS}")
    if _is_there(database, "plays_by_spam_probability"):
        database.execute(f"CREATE MACRO reporting.top_countries_at(day, tolerance) AS TABLE {_TOP_COUNTRIES_AT}")


def _is_there(database: duckdb.DuckDBPyConnection, stage: str) -> bool:
    found = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'reporting' AND table_name = ?"
    return database.execute(found, [stage]).fetchone() is not None
