"""The page of a month: plays in both truths, countries, types of spam, incidents, money by every rule, and what changed since it was issued."""

from collections.abc import Sequence

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.reporting.contracts import NO_TYPE
from spam_pipeline.reporting.month import IncidentInMonth, Month, share
from spam_pipeline.reporting.pages.changes import CHANGES, MADE_OF
from spam_pipeline.reporting.pages.markup import (
    Cell,
    Link,
    Number,
    bars,
    curves,
    document,
    headline,
    listed,
    paragraph,
    section,
    table,
)
from spam_pipeline.reporting.pages.places import INDEX, place_of
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RULES, WITHHELD

_MOST_COUNTRIES, _MOST_PAYEES = 20, 10
"""Countries or types of spam, and payees of each currency, that a page lists; the rest is in the stages."""


def month_page(month: Month, incidents: Sequence[IncidentInMonth]) -> str:
    """The page of a month as HTML; `incidents` are those that it leads to."""
    return document(
        f"Report of {month.name}",
        [
            paragraph(Link("All months", INDEX)),
            CHANGES,
            headline(month.counts()),
            _plays(month.daily_plays),
            _countries(month.daily_plays),
            _spam_by_type(month.spam_by_type),
            _spam_by_country(month.spam_by_type),
            _incidents(incidents),
            _lines_by_rule(month.pools),
            _payees(month.pools),
            _withheld(month.pools),
            _adjustments(month.adjustments),
        ],
        head=MADE_OF,
    )


def plays_of_month(daily_plays: pl.DataFrame) -> str:
    """The plays of each day as SVG, in both truths."""
    days = daily_plays.group_by("event_day").agg(pl.col("plays", "plays_without_spam").sum()).sort("event_day")
    series = {"all plays": days["plays"].to_list(), "without spam": days["plays_without_spam"].to_list()}
    return curves(days["event_day"].to_list(), series)


def spam_of_month(spam_by_type: pl.DataFrame) -> str:
    """The plays that are dropped as spam by type of attack, as SVG."""
    return bars(_most_spam(_named(spam_by_type), "attack_type"))


def _plays(daily_plays: pl.DataFrame) -> str:
    plays, kept = (int(daily_plays[name].sum()) for name in ("plays", "plays_without_spam"))
    days = daily_plays["event_day"].n_unique()
    note = (
        f"{plays:,} plays on {days} days; {plays - kept:,} of them ({share(plays - kept, plays)}) are dropped as spam."
    )
    return section("Plays", note, plays_of_month(daily_plays))


def _countries(daily_plays: pl.DataFrame) -> str:
    totals = (
        daily_plays.group_by("country")
        .agg(pl.col("plays", "plays_without_spam").sum())
        .sort("plays", "country", descending=[True, False])
        .head(_MOST_COUNTRIES)
    )
    rows: list[list[Cell]] = [
        [country, plays, kept, plays - kept, Number(share(plays - kept, plays))]
        for country, plays, kept in totals.iter_rows()
    ]
    note = f"The countries with the most plays, {_MOST_COUNTRIES} at most; ZZ is the unknown one."
    return section("Countries", note, table(("country", "plays", "without spam", "spam", "share"), rows))


def _spam_by_type(spam: pl.DataFrame) -> str:
    totals = _most_spam(_named(spam), "attack_type")
    dropped = int(spam["plays"].sum())
    rows: list[list[Cell]] = [[kind, plays, Number(share(plays, dropped))] for kind, plays in totals.items()]
    note = "The plays that are dropped as spam by type of attack: the declared one, or the one whose signature fits."
    return section("Spam by type", note, spam_of_month(spam) + table(("type", "plays", "share"), rows))


def _spam_by_country(spam: pl.DataFrame) -> str:
    totals = _most_spam(spam, "country")
    types = _named(spam).filter(pl.col("country").is_in(list(totals))).group_by("country", "attack_type")
    rows = listed(
        types.agg(pl.col("plays").sum()).sort("country", "plays", "attack_type", descending=[False, True, False])
    )
    note = f"The countries with the most plays that are dropped as spam, {_MOST_COUNTRIES} at most, and the types of attack there."
    return section("Spam by country", note, bars(totals) + table(("country", "type", "plays"), rows))


def _named(spam: pl.DataFrame) -> pl.DataFrame:
    return spam.with_columns(pl.col("attack_type").replace(NO_TYPE, "none that fits"))


def _most_spam(spam: pl.DataFrame, name: str) -> dict[str, int]:
    """Plays by a column, most first."""
    totals = spam.group_by(name).agg(pl.col("plays").sum()).sort("plays", name, descending=[True, False])
    return dict(totals.head(_MOST_COUNTRIES).iter_rows())


def _incidents(incidents: Sequence[IncidentInMonth]) -> str:
    rows: list[list[Cell]] = [
        [
            Link(item.incident_id, place_of(item.month, item.incident_id)),
            item.status,
            item.play_count,
            item.play_count_in_reports,
        ]
        for item in incidents
    ]
    note = "What experts declared about days of the month, how it stands, and the plays that belong to it."
    return section("Incidents", note, table(("incident", "status", "plays", "in reports"), rows))


def _lines_by_rule(statements: pl.LazyFrame) -> str:
    note = "Where the money of all pools goes under each rule; agreed is what is paid."
    amounts = _amounts_by_rule(statements, ["currency", "line"])
    return section("Payouts by rule", note, _table_of_amounts(amounts))


def _payees(statements: pl.LazyFrame) -> str:
    names = ["currency", "payee_id"]
    amounts = _amounts_by_rule(statements.filter(pl.col("line") == PAYOUT), names)
    largest = pl.col(AGREED).rank("ordinal", descending=True).over("currency", order_by="payee_id")
    best = amounts.filter(largest <= _MOST_PAYEES).sort("currency", AGREED, "payee_id", descending=[False, True, False])
    note = (
        f"The largest payouts of each currency as agreed, {_MOST_PAYEES} at most, and what each rule alone would pay."
    )
    return section("Payees", note, _table_of_amounts(best))


def _amounts_by_rule(statements: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """Amounts by some columns, with a column for each rule; ordered by the former."""
    amounts = [pl.col("amount_minor").filter(pl.col("rule") == rule).sum().alias(rule) for rule in RULES]
    return statements.group_by(names).agg(amounts).sort(names)


def _withheld(statements: pl.LazyFrame) -> str:
    amounts = _amounts_by_rule(statements.filter(pl.col("line") == WITHHELD), ["currency", "incident_id"]).with_columns(
        pl.col("incident_id").replace("", "no incident")
    )
    note = "What waits for an incident to be cleared or confirmed; without an incident, for doubt to be settled."
    return section("Withheld", note, _table_of_amounts(amounts))


def _table_of_amounts(lines: pl.LazyFrame) -> str:
    """A table of a currency, a name, and an amount under each rule."""
    amounts = lines.collect(engine="streaming")
    rows: list[list[Cell]] = [
        [currency, name, *(Number(as_amount(amount, currency)) for amount in by_rule)]
        for currency, name, *by_rule in amounts.iter_rows()
    ]
    return table([*amounts.columns[:2], *RULES], rows)


def _adjustments(adjustments: pl.DataFrame) -> str:
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
    note = (
        "What a statement over everything known now differs in from what was issued and settled, and why. "
        "None while the month is not issued."
    )
    rows: list[list[Cell]] = [
        [currency, why, lines, *(Number(as_amount(amount, currency)) for amount in moved)]
        for currency, why, lines, *moved in found.iter_rows()
    ]
    return section("Changed since it was issued", note, table(("currency", "why", "lines", "raised", "lowered"), rows))
