"""The data of a month's pages: the whole month and each of its incidents, with the headline numbers.

Its arrangement on pages is in `page_contents`. Counts and money are only added up here.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import polars as pl

from spam_pipeline.currencies import as_amount
from spam_pipeline.pages.page_builder import Figures
from spam_pipeline.reporting.withheld import withheld_by_incident
from spam_pipeline.royalties.contracts import (
    AGREED,
    ESCROW,
    NO_CURRENCY,
    PAYOUT,
    PLAY_STATUSES,
    UNCLAIMED,
    WITHHELD,
)

DECLARED = (
    *("incident_id", "entity_type", "entity_key", "starts_at", "ends_at"),
    *("status", "attack_type", "decided_by", "decided_at"),
)
"""The columns of `Incidents` that make a declaration, which has a row on each day that it touches."""

COUNTS = ("plays", "plays without spam", "spam", "plays withheld", "waiting for a decision")
"""The headline numbers that are not money."""

DESTINATIONS = {PAYOUT: "paid out", WITHHELD: "withheld", ESCROW: "in escrow", UNCLAIMED: "unclaimed"}
"""Display names of the destinations of money."""

WAITS = "suspected, waits for a person"
"""The status of a suspicion that nobody has decided."""

_NOT_DECLARED = "no longer declared"


class IncidentInMonth(NamedTuple):
    """An incident's data within a month, in any order of rows.

    `declared` has the columns `DECLARED` of `Incidents`, one row for each entity and window that touches the month. `plays` has
    `event_day`, `country`, `track_id`, `plays` and `plays_without_spam`, `listeners` the columns of `IncidentListeners`; `usage`
    has `status` and `plays`, of the days that royalties have counted; `withheld` has `currency` and `amount_minor`, as agreed.
    `suspicions` has the row of `SuspectedIncidents` of the last day of the month on which it stood, if it is a suspicion.
    """

    month: str
    incident_id: str
    declared: pl.DataFrame
    plays: pl.DataFrame
    listeners: pl.DataFrame
    usage: pl.DataFrame
    withheld: pl.DataFrame
    suspicions: pl.DataFrame

    @property
    def status(self) -> str:
        """The status of the incident; several, joined, if its declarations differ."""
        undeclared = _NOT_DECLARED if self.suspicions.is_empty() else WAITS
        return ", ".join(self.declared["status"].unique().sort()) or undeclared

    @property
    def waits(self) -> bool:
        """True for a suspicion that nobody has confirmed or cleared."""
        return self.declared.is_empty() and not self.suspicions.is_empty()

    @property
    def evidence(self) -> float:
        """The evidence of a suspicion; 0 for anything else."""
        return float(self.suspicions["evidence"].sum())

    def amounts_withheld(self) -> list[tuple[str, str]]:
        """Return what is withheld for it, by currency."""
        ordered = self.withheld.sort("currency").iter_rows()
        return [(currency, as_amount(amount, currency)) for currency, amount in ordered]

    @property
    def play_count(self) -> int:
        """The number of its plays."""
        return int(self.plays["plays"].sum())

    @property
    def play_count_in_reports(self) -> int:
        """The number of its plays that reports count."""
        return int(self.plays["plays_without_spam"].sum())

    def plays_worth(self, status: str) -> int:
        """Return the number of its plays with a royalty status."""
        return int(self.usage.filter(pl.col("status") == status)["plays"].sum())

    def counts(self) -> Figures:
        """Return the headline numbers that are not money."""
        entities = self.declared.select("entity_type", "entity_key").n_unique() if self.declared.height else 0
        return [
            ("status", self.status),
            *self._suspected(),
            ("entities", f"{entities:,}"),
            ("plays", f"{self.play_count:,}"),
            ("plays in reports", f"{self.play_count_in_reports:,}"),
            *((f"{status} plays", f"{self.plays_worth(status):,}") for status in PLAY_STATUSES),
        ]

    def figures(self) -> Figures:
        """Return the headline numbers."""
        return [*self.counts(), *((f"withheld ({name})", amount) for name, amount in self.amounts_withheld())]

    def _suspected(self) -> Figures:
        shown = self.suspicions.select("queue", "rank", "evidence", "devices").rows()
        return [
            figure
            for queue, rank, evidence, devices in shown
            for figure in (
                ("place", f"{queue} {rank}"),
                ("evidence", f"{evidence:.1f}"),
                ("devices", f"{devices:,}"),
            )
        ]


class Month(NamedTuple):
    """A month, in any order of rows: frames of the contexts' stages, with the columns that `reports` reads of them.

    Statements are lazy, because they have a line for each payee and pool: for 17 million lines that takes 1.8 GiB, and took 5.4
    in memory. `usage` has the plays of each `incident_id` by `status`, of the days that royalties have counted, and `daily_usage`
    those of each `event_day`. `tracks` and `rights` are lazy as well: of them are read the few that are named.
    """

    name: str
    daily_plays: pl.DataFrame
    spam_by_type: pl.DataFrame
    incident_plays: pl.DataFrame
    incident_listeners: pl.DataFrame
    incidents: pl.DataFrame
    usage: pl.DataFrame
    daily_usage: pl.DataFrame
    statements: pl.LazyFrame
    adjustments: pl.DataFrame
    suspicions: pl.DataFrame
    tracks: pl.LazyFrame
    rights: pl.LazyFrame

    @property
    def pools(self) -> pl.LazyFrame:
        """The lines of funded pools; the currency of the others is not known yet."""
        return self.statements.filter(pl.col("currency") != NO_CURRENCY)

    def counts(self) -> Figures:
        """Return the plays of the month, with and without spam, those that royalties withhold, and the suspicions that wait."""
        plays, kept = (int(self.daily_plays[name].sum()) for name in ("plays", "plays_without_spam"))
        withheld = int(self.daily_usage.filter(pl.col("status") == WITHHELD)["plays"].sum())
        suspected = set(self.suspicions["suspicion_id"]) & set(self.incident_plays["incident_id"])
        waiting = len(suspected - set(self.incidents["incident_id"]))
        values = f"{plays:,}", f"{kept:,}", share(plays - kept, plays), f"{withheld:,}", f"{waiting:,}"
        return list(zip(COUNTS, values, strict=True))

    def titles(self, track_ids: Collection[str]) -> dict[str, str]:
        """Return the titles of tracks, of those that are in the catalogue."""
        named = self.tracks.filter(pl.col("track_id").is_in(list(track_ids))).select("track_id", "title")
        return dict(named.collect(engine="streaming").rows())

    def tracks_of(self, payee_ids: Collection[str]) -> dict[str, str]:
        """Return what payees have rights in: the title that was uploaded last, and the number of the others."""
        claims = self.rights.filter(pl.col("payee_id").is_in(list(payee_ids))).select("payee_id", "track_id").unique()
        newest = pl.col("title").sort_by("uploaded_on", "track_id").last()
        found = claims.join(self.tracks, on="track_id").group_by("payee_id").agg(newest, tracks=pl.len())
        return {
            payee: f"{title} and {tracks - 1:,} more" if tracks > 1 else title
            for payee, title, tracks in found.collect(engine="streaming").rows()
        }

    def money(self) -> dict[str, list[str]]:
        """Return the money by destination and currency, as agreed, in the order of `DESTINATIONS`."""
        agreed = self.pools.filter(pl.col("rule") == AGREED).group_by("currency", "line")
        summed = agreed.agg(pl.col("amount_minor").sum()).collect(engine="streaming")
        amounts = {(currency, line): int(amount) for currency, line, amount in summed.rows()}
        return {
            currency: [as_amount(amounts.get((currency, line), 0), currency) for line in DESTINATIONS]
            for currency in sorted({currency for currency, _ in amounts})
        }

    def figures(self) -> Figures:
        """Return the headline numbers."""
        money = [
            (f"{words} ({currency})", amount)
            for currency, amounts in self.money().items()
            for words, amount in zip(DESTINATIONS.values(), amounts, strict=True)
        ]
        return [*self.counts(), *money]

    def incidents_in_it(self) -> Iterator[IncidentInMonth]:
        """Yield every incident with a window or plays in the month."""
        withheld = withheld_by_incident(self.statements)
        latest = self.suspicions.sort("suspicion_id", "last_day").unique(
            "suspicion_id", keep="last", maintain_order=True
        )
        ids = pl.concat([frame["incident_id"].unique() for frame in (self.incidents, self.incident_plays)])
        for incident_id in ids.unique().sort():
            of_it = pl.col("incident_id") == incident_id
            yield IncidentInMonth(
                self.name,
                incident_id,
                self.incidents.filter(of_it).unique(),
                self.incident_plays.filter(of_it),
                self.incident_listeners.filter(of_it),
                self.usage.filter(of_it),
                withheld.filter(of_it).select("currency", "amount_minor"),
                latest.filter(pl.col("suspicion_id") == incident_id),
            )


def share(part: int, whole: int) -> str:
    """Write a part of a whole in percent."""
    return f"{part / whole:.1%}" if whole else "0.0%"
