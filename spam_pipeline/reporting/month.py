"""What a month's pages are made of: everything about the month, and what of it is about one incident, with the headline numbers.

What of it stands on which page is in `page_contents`. Counts and money are not made here, only added up.
"""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.page_builder import Figures
from spam_pipeline.royalties.contracts import (
    AGREED,
    ESCROW,
    NO_CURRENCY,
    PAYOUT,
    PLAY_STATUSES,
    UNCLAIMED,
    WITHHELD,
)

COUNTS = ("plays", "plays without spam", "spam")
"""The names of the headline numbers that are no money."""

DESTINATIONS = {PAYOUT: "paid out", WITHHELD: "withheld", ESCROW: "in escrow", UNCLAIMED: "unclaimed"}
"""Where money goes, in words."""

_NOT_DECLARED = "no longer declared"


class IncidentInMonth(NamedTuple):
    """A month's part of an incident, in any order of rows.

    `declared` has the columns of `Incidents`, one row for each entity and window that touches the month. `plays` has
    `event_day`, `country`, `track_id`, `plays` and `plays_without_spam`; `usage` has `status` and `plays`, of the days that
    royalties have counted; `withheld` has `currency` and `amount_minor`, as agreed.
    """

    month: str
    incident_id: str
    declared: pl.DataFrame
    plays: pl.DataFrame
    usage: pl.DataFrame
    withheld: pl.DataFrame

    @property
    def status(self) -> str:
        """How the incident stands; several words if its declarations differ."""
        return ", ".join(self.declared["status"].unique().sort()) or _NOT_DECLARED

    @property
    def play_count(self) -> int:
        """The plays that belong to it."""
        return int(self.plays["plays"].sum())

    @property
    def play_count_in_reports(self) -> int:
        """Those of its plays that reports count."""
        return int(self.plays["plays_without_spam"].sum())

    def plays_worth(self, status: str) -> int:
        """Its plays that are worth this to royalties."""
        return int(self.usage.filter(pl.col("status") == status)["plays"].sum())

    def figures(self) -> Figures:
        """The headline numbers."""
        entities = self.declared.select("entity_type", "entity_key").n_unique() if self.declared.height else 0
        return [
            ("status", self.status),
            ("entities", f"{entities:,}"),
            ("plays", f"{self.play_count:,}"),
            ("plays in reports", f"{self.play_count_in_reports:,}"),
            *((f"{status} plays", f"{self.plays_worth(status):,}") for status in PLAY_STATUSES),
            *(
                (f"withheld ({currency})", as_amount(amount, currency))
                for currency, amount in self.withheld.sort("currency").iter_rows()
            ),
        ]


class Month(NamedTuple):
    """A month, in any order of rows: frames of the contexts' stages, with the columns that `reports` reads of them.

    Statements have a line for each payee and pool, which can be tens of millions: they are added up where they lie. `usage`
    has the plays of each `incident_id` by `status`, of the days that royalties have counted.
    """

    name: str
    daily_plays: pl.DataFrame
    spam_by_type: pl.DataFrame
    incident_plays: pl.DataFrame
    incidents: pl.DataFrame
    usage: pl.DataFrame
    statements: pl.LazyFrame
    adjustments: pl.DataFrame

    @property
    def pools(self) -> pl.LazyFrame:
        """The lines of pools that have money; of the others it is not known yet in which currency."""
        return self.statements.filter(pl.col("currency") != NO_CURRENCY)

    def counts(self) -> Figures:
        """How much was played, and how much of it was spam."""
        plays, kept = (int(self.daily_plays[name].sum()) for name in ("plays", "plays_without_spam"))
        values = f"{plays:,}", f"{kept:,}", share(plays - kept, plays)
        return list(zip(COUNTS, values, strict=True))

    def money(self) -> dict[str, list[str]]:
        """Where the money goes as agreed, by currency, in the order of `DESTINATIONS`."""
        agreed = self.pools.filter(pl.col("rule") == AGREED).group_by("currency", "line")
        summed = agreed.agg(pl.col("amount_minor").sum()).collect(engine="streaming")
        amounts = {(currency, line): int(amount) for currency, line, amount in summed.rows()}
        return {
            currency: [as_amount(amounts.get((currency, line), 0), currency) for line in DESTINATIONS]
            for currency in sorted({currency for currency, _ in amounts})
        }

    def figures(self) -> Figures:
        """The headline numbers."""
        money = [
            (f"{words} ({currency})", amount)
            for currency, amounts in self.money().items()
            for words, amount in zip(DESTINATIONS.values(), amounts, strict=True)
        ]
        return [*self.counts(), *money]

    def incidents_in_it(self) -> Iterator[IncidentInMonth]:
        """Every incident that has a window in the month, or plays."""
        withheld = (
            self.pools.filter(pl.col("rule") == AGREED, pl.col("line") == WITHHELD)
            .group_by("incident_id", "currency")
            .agg(pl.col("amount_minor").sum())
            .collect(engine="streaming")
        )
        ids = pl.concat([frame["incident_id"].unique() for frame in (self.incidents, self.incident_plays)])
        for incident_id in ids.unique().sort():
            of_it = pl.col("incident_id") == incident_id
            yield IncidentInMonth(
                self.name,
                incident_id,
                self.incidents.filter(of_it).unique(),
                self.incident_plays.filter(of_it),
                self.usage.filter(of_it),
                withheld.filter(of_it).select("currency", "amount_minor"),
            )


def share(part: int, whole: int) -> str:
    """A part of a whole in percent."""
    return f"{part / whole:.1%}" if whole else "0.0%"
