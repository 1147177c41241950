"""The page of a month: plays in both truths, countries, types of spam, money by every rule, what is withheld, and what changed since it was issued."""

import polars as pl

from spam_pipeline.reporting.contracts import NO_TYPE
from spam_pipeline.reporting.pages.markup import Cell, bars, curves, document, listed, section, table
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RULES, WITHHELD

_MOST_COUNTRIES, _MOST_PAYEES = 20, 10
"""Countries or types of spam, and payees of each currency, that a page lists; the rest is in the stages."""


def month_page(
    month: str,
    daily_plays: pl.DataFrame,
    spam_by_type: pl.DataFrame,
    statements: pl.DataFrame,
    adjustments: pl.DataFrame,
) -> str:
    """The page of `month` as HTML, from its `DailyPlays`, `SpamByType`, `RoyaltyStatements` and `RoyaltyAdjustments`.

    Amounts are minor units of their currency, because that is what the pipeline counts in.
    """
    return document(
        f"Report of {month}",
        [
            _plays(daily_plays),
            _countries(daily_plays),
            _spam_by_type(spam_by_type),
            _spam_by_country(spam_by_type),
            _lines_by_rule(statements),
            _payees(statements),
            _withheld(statements),
            _changes(adjustments),
        ],
    )


def _plays(daily_plays: pl.DataFrame) -> str:
    days = daily_plays.group_by("event_day").agg(pl.col("plays", "plays_without_spam").sum()).sort("event_day")
    series = {"all plays": days["plays"].to_list(), "without spam": days["plays_without_spam"].to_list()}
    plays, kept = sum(series["all plays"]), sum(series["without spam"])
    note = f"{plays:,} plays on {days.height} days; {plays - kept:,} of them ({_share(plays - kept, plays)}) are dropped as spam."
    return section("Plays", note, curves(days["event_day"].to_list(), series))


def _countries(daily_plays: pl.DataFrame) -> str:
    totals = (
        daily_plays.group_by("country")
        .agg(pl.col("plays", "plays_without_spam").sum())
        .sort("plays", "country", descending=[True, False])
        .head(_MOST_COUNTRIES)
    )
    rows: list[list[Cell]] = [
        [country, plays, kept, plays - kept, _share(plays - kept, plays)] for country, plays, kept in totals.iter_rows()
    ]
    note = f"The countries with the most plays, {_MOST_COUNTRIES} at most; ZZ is the unknown one."
    return section("Countries", note, table(("country", "plays", "without spam", "spam", "share"), rows))


def _spam_by_type(spam: pl.DataFrame) -> str:
    totals = _most_spam(_named(spam), "attack_type")
    dropped = int(spam["plays"].sum())
    rows: list[list[Cell]] = [[kind, plays, _share(plays, dropped)] for kind, plays in totals.items()]
    note = "The plays that are dropped as spam by type of attack: the declared one, or the one whose signature fits."
    return section("Spam by type", note, bars(totals) + table(("type", "plays", "share"), rows))


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


def _lines_by_rule(statements: pl.DataFrame) -> str:
    names = ["currency", "line"]
    rows = listed(_amounts_by_rule(statements, names))
    note = "Where the money of all pools goes under each rule, in minor units; agreed is what is paid."
    return section("Payouts by rule", note, table((*names, *RULES), rows))


def _payees(statements: pl.DataFrame) -> str:
    names = ["currency", "payee_id"]
    amounts = _amounts_by_rule(statements.filter(pl.col("line") == PAYOUT), names)
    best = (
        amounts.sort("currency", AGREED, "payee_id", descending=[False, True, False])
        .group_by("currency", maintain_order=True)
        .head(_MOST_PAYEES)
    )
    note = (
        f"The largest payouts of each currency as agreed, {_MOST_PAYEES} at most, and what each rule alone would pay, "
        "in minor units."
    )
    return section("Payees", note, table((*names, *RULES), listed(best.select(*names, *RULES))))


def _amounts_by_rule(statements: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Amounts by some columns, with a column for each rule; ordered by the former."""
    amounts = [pl.col("amount_minor").filter(pl.col("rule") == rule).sum().alias(rule) for rule in RULES]
    return statements.group_by(names).agg(amounts).sort(names)


def _withheld(statements: pl.DataFrame) -> str:
    names = ["currency", "incident_id"]
    rows = listed(_amounts_by_rule(statements.filter(pl.col("line") == WITHHELD), names))
    return section(
        "Withheld",
        "What waits for an incident to be cleared or confirmed, in minor units.",
        table((*names, *RULES), rows),
    )


def _changes(adjustments: pl.DataFrame) -> str:
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
        "What a statement over everything known now differs in from what was issued and settled, and why, in minor units. "
        "None while the month is not issued."
    )
    rows = listed(found)
    return section("Changed since it was issued", note, table(("currency", "why", "lines", "raised", "lowered"), rows))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0.0%"
