"""The money on a month's page: an overview, and for each currency its rules, payees and what is withheld, in its own unit."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.page_builder import Link, Rows
from spam_pipeline.reporting.month import DESTINATIONS, Month
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.royalties.contracts import AGREED, PAYOUT, RULES, WITHHELD

MOST_PAYEES = 100
"""The most payees of a currency on a page; the stage has all of them."""


class CurrencyMoney(NamedTuple):
    """The money of a currency under each rule: by destination, by payee, and withheld by incident."""

    currency: str
    paid: str
    payees: int
    by_destination: Rows
    by_payee: Rows
    by_incident: Rows


def money_overview(month: Month) -> list[list[str]]:
    """List the money of each currency by destination, as agreed, under a head; a destination of no money is left out."""
    head = ["currency", *DESTINATIONS.values()]
    rows = [[currency, *amounts] for currency, amounts in month.money().items()]
    kept = [place for place in range(len(head)) if any(row[place].strip("0.") for row in rows)]
    return [[row[place] for place in kept] for row in (head, *rows)]


def money_by_currency(month: Month) -> list[CurrencyMoney]:
    """Build the money of each currency."""
    pools = month.pools
    destinations = _by_rule(pools, "line").collect(engine="streaming")
    withheld = _by_rule(pools.filter(pl.col("line") == WITHHELD), "incident_id").collect(engine="streaming")
    payees = _largest_payouts(pools).collect(engine="streaming")
    titles = month.tracks_of(payees["payee_id"].unique().to_list())
    return [
        CurrencyMoney(
            currency,
            amounts[0],
            max(_of(payees, currency)["payees"], default=0),
            _destinations(_of(destinations, currency)),
            _payees(_of(payees, currency), titles),
            _withheld(_of(withheld, currency), month.name),
        )
        for currency, amounts in month.money().items()
    ]


def _of(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    return frame.filter(pl.col("currency") == currency)


def _destinations(lines: pl.DataFrame) -> Rows:
    known = {row["line"]: row for row in lines.rows(named=True)}
    return [[words, *_amounts(known[line])] for line, words in DESTINATIONS.items() if line in known]


def _payees(payouts: pl.DataFrame, titles: Mapping[str, str]) -> Rows:
    return [[row["payee_id"], titles.get(row["payee_id"], ""), *_amounts(row)] for row in payouts.rows(named=True)]


def _withheld(lines: pl.DataFrame, month: str) -> Rows:
    ordered = lines.sort(AGREED, "incident_id", descending=[True, False])
    return [
        [
            Link(row["incident_id"], place_of(month, row["incident_id"])) if row["incident_id"] else "no incident",
            *_amounts(row),
        ]
        for row in ordered.rows(named=True)
    ]


def _amounts(row: Mapping[str, object]) -> list[str]:
    return [as_amount(int(str(row[rule])), str(row["currency"])) for rule in RULES]


def _largest_payouts(statements: pl.LazyFrame) -> pl.LazyFrame:
    """List payouts under each rule, for the payees with the largest payouts as agreed in each currency, of so many `payees`."""
    amounts = _by_rule(statements.filter(pl.col("line") == PAYOUT), "payee_id")
    largest = pl.col(AGREED).rank("ordinal", descending=True).over("currency", order_by="payee_id")
    counted = amounts.with_columns(payees=pl.len().over("currency"))
    return counted.filter(largest <= MOST_PAYEES).sort("currency", AGREED, "payee_id", descending=[False, True, False])


def _by_rule(statements: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """Sum the amounts of each currency by another column, with a column for each rule; ordered by both."""
    amounts = [pl.col("amount_minor").filter(pl.col("rule") == rule).sum().alias(rule) for rule in RULES]
    return statements.group_by("currency", name).agg(amounts).sort("currency", name)
