"""The contents of a month's page: plays with and without spam, countries, attack types, incidents, money by rule, and adjustments."""

from collections.abc import Sequence

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.page_builder import Contents, Link, Rows
from spam_pipeline.pages.plotter import Bar, Bars, Curves, Series
from spam_pipeline.reporting.contracts import NO_TYPE
from spam_pipeline.reporting.month import IncidentInMonth, Month, share
from spam_pipeline.reporting.page_contents.places import INDEX, place_of
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RULES, WITHHELD

_MOST_COUNTRIES, _MOST_PAYEES = 20, 10
"""The most countries or types of spam, and payees of each currency, on a page; the stages have all of them."""


def contents_of_month(month: Month, incidents: Sequence[IncidentInMonth]) -> Contents:
    """Build the contents of a month's page; `incidents` are those that it links to."""
    plays, kept = (int(month.daily_plays[name].sum()) for name in ("plays", "plays_without_spam"))
    spam, dropped = _named(month.spam_by_type), int(month.spam_by_type["plays"].sum())
    withheld = _by_rule(month.pools.filter(pl.col("line") == WITHHELD), ["currency", "incident_id"])
    return {
        "month": month.name,
        "all_months": Link("All months", INDEX),
        "figures": month.counts(),
        "days": month.daily_plays["event_day"].n_unique(),
        "plays": plays,
        "spam": plays - kept,
        "spam_share": share(plays - kept, plays),
        "plays_by_day": plays_of_month(month.daily_plays),
        "most_countries": _MOST_COUNTRIES,
        "countries": _countries(month.daily_plays),
        "types": spam_of_month(month.spam_by_type),
        "spam_by_type": [
            [name, count, share(count, dropped)] for name, count in _most_spam(spam, "attack_type").items()
        ],
        "spam_countries": _bars(_most_spam(spam, "country")),
        "spam_by_country": _spam_by_country(spam),
        "incidents": [
            [
                Link(item.incident_id, place_of(item.month, item.incident_id)),
                item.status,
                item.play_count,
                item.play_count_in_reports,
            ]
            for item in incidents
        ],
        "rules": RULES,
        "lines": _amounts(_by_rule(month.pools, ["currency", "line"])),
        "most_payees": _MOST_PAYEES,
        "payees": _amounts(_largest_payouts(month.pools)),
        "withheld": _amounts(withheld.with_columns(pl.col("incident_id").replace("", "no incident"))),
        "adjustments": _adjustments(month.adjustments),
    }


def plays_of_month(daily_plays: pl.DataFrame) -> Curves:
    """Draw the plays of each day, with and without spam."""
    return curves_of_days(by_day(daily_plays), "without spam")


def by_day(plays: pl.DataFrame) -> pl.DataFrame:
    """Sum the `plays` and `plays_without_spam` of each `event_day`."""
    return plays.group_by("event_day").agg(pl.col("plays", "plays_without_spam").sum()).sort("event_day")


def curves_of_days(days: pl.DataFrame, kept: str) -> Curves:
    """Draw all plays of each of `by_day`, and those without spam, labelled `kept`."""
    dates = days["event_day"].dt.to_string("%Y-%m-%d").to_list()
    return Curves(
        [
            Series("all plays", days["plays"].to_list()),
            Series(kept, days["plays_without_spam"].to_list(), is_in_question=True),
        ],
        [(0, dates[0]), (len(dates), dates[-1])] if dates else [],
    )


def spam_of_month(spam_by_type: pl.DataFrame) -> Bars:
    """Draw the plays dropped as spam, by attack type."""
    return _bars(_most_spam(_named(spam_by_type), "attack_type"))


def _bars(amounts: dict[str, int]) -> Bars:
    most = max(amounts.values(), default=0) or 1
    return Bars([(name, [Bar(amount / most, f"{amount:,}")]) for name, amount in amounts.items()])


def _countries(daily_plays: pl.DataFrame) -> Rows:
    totals = daily_plays.group_by("country").agg(pl.col("plays", "plays_without_spam").sum())
    most = totals.sort("plays", "country", descending=[True, False]).head(_MOST_COUNTRIES)
    return [
        [country, plays, kept, plays - kept, share(plays - kept, plays)] for country, plays, kept in most.iter_rows()
    ]


def _named(spam: pl.DataFrame) -> pl.DataFrame:
    return spam.with_columns(pl.col("attack_type").replace(NO_TYPE, "none that fits"))


def _most_spam(spam: pl.DataFrame, name: str) -> dict[str, int]:
    """Count plays by a column, most first."""
    totals = spam.group_by(name).agg(pl.col("plays").sum()).sort("plays", name, descending=[True, False])
    return dict(totals.head(_MOST_COUNTRIES).iter_rows())


def _spam_by_country(spam: pl.DataFrame) -> Rows:
    """List attack types by country, for the countries with the most spam."""
    most = spam.filter(pl.col("country").is_in(list(_most_spam(spam, "country"))))
    types = most.group_by("country", "attack_type").agg(pl.col("plays").sum())
    return types.sort("country", "plays", "attack_type", descending=[False, True, False]).rows()


def _largest_payouts(statements: pl.LazyFrame) -> pl.LazyFrame:
    """List payouts under each rule, for the payees with the largest payouts as agreed in each currency."""
    amounts = _by_rule(statements.filter(pl.col("line") == PAYOUT), ["currency", "payee_id"])
    largest = pl.col(AGREED).rank("ordinal", descending=True).over("currency", order_by="payee_id")
    return amounts.filter(largest <= _MOST_PAYEES).sort("currency", AGREED, "payee_id", descending=[False, True, False])


def _by_rule(statements: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """Sum amounts by some columns, with a column for each rule; ordered by the former."""
    amounts = [pl.col("amount_minor").filter(pl.col("rule") == rule).sum().alias(rule) for rule in RULES]
    return statements.group_by(names).agg(amounts).sort(names)


def _amounts(lines: pl.LazyFrame) -> Rows:
    """Format rows of a currency, a name, and an amount under each rule."""
    return [
        [currency, name, *(as_amount(amount, currency) for amount in by_rule)]
        for currency, name, *by_rule in lines.collect(engine="streaming").iter_rows()
    ]


def _adjustments(adjustments: pl.DataFrame) -> Rows:
    amount = pl.col("amount_minor")
    found = (
        adjustments.group_by("currency", "reason")
        .agg(
            lines=pl.len().cast(pl.Int64),
            raised=amount.filter(amount > 0).sum(),
            lowered=amount.filter(amount < 0).sum(),
        )
        .sort("currency", "reason")
    )
    return [
        [currency, why, lines, *(as_amount(amount, currency) for amount in moved)]
        for currency, why, lines, *moved in found.iter_rows()
    ]
