"""The page of a month: plays in both truths, countries, money by every rule, what is withheld, and what changed since it was issued."""

import polars as pl

from spam_pipeline.reporting.pages.markup import Cell, curves, document, section, table
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RULES, WITHHELD

_MOST_COUNTRIES, _MOST_PAYEES = 20, 10
"""Countries, and payees of each currency, that a page lists; the rest is in the stages."""


def month_page(month: str, daily_plays: pl.DataFrame, statements: pl.DataFrame, adjustments: pl.DataFrame) -> str:
    """The page of `month` as HTML, from its `DailyPlays`, `RoyaltyStatements` and `RoyaltyAdjustments`.

    Amounts are minor units of their currency, because that is what the pipeline counts in.
    """
    return document(
        f"Report of {month}",
        [
            _plays(daily_plays),
            _countries(daily_plays),
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


def _lines_by_rule(statements: pl.DataFrame) -> str:
    names = ["currency", "line"]
    rows = _listed(_amounts_by_rule(statements, names))
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
    return section("Payees", note, table((*names, *RULES), _listed(best.select(*names, *RULES))))


def _amounts_by_rule(statements: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Amounts by some columns, with a column for each rule; ordered by the former."""
    amounts = [pl.col("amount_minor").filter(pl.col("rule") == rule).sum().alias(rule) for rule in RULES]
    return statements.group_by(names).agg(amounts).sort(names)


def _listed(frame: pl.DataFrame) -> list[list[Cell]]:
    return [list(row) for row in frame.iter_rows()]


def _withheld(statements: pl.DataFrame) -> str:
    names = ["currency", "incident_id"]
    rows = _listed(_amounts_by_rule(statements.filter(pl.col("line") == WITHHELD), names))
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
    rows = _listed(found)
    return section("Changed since it was issued", note, table(("currency", "why", "lines", "raised", "lowered"), rows))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0.0%"
