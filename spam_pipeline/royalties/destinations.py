"""Destinations of a play's money, by its track, its day, its status and its incident.

A play of a track in one period of constant rights goes to the recipients of that period: its payees, or the track itself in escrow
where rights don't sum to 100 %. Withheld money goes to the same recipients, under the number of its incident. Amounts are
computed in `payout`.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from spam_pipeline.protocol import last_day_of
from spam_pipeline.royalties.contracts import ESCROW, PAYOUT, UNCLAIMED, WITHHELD
from spam_pipeline.royalties.pools import MILLION

LINE_NAME = ("line", "payee_id", "track_id", "incident_id")

NOT_SUSPECTED = 0
"""The suspicion number of usage that is not withheld."""


@dataclass(frozen=True)
class Destinations:
    """The destinations of one month's usage.

    `periods` has for each `track_id` and span of days (`starts_on` to `ends_on`, both included) its `period`. `shares` has
    the `share_ppm` of each `recipient` of a period; they sum to a million. `recipients` identifies them, by either a
    `payee_id` or a `track_id`; tracks come first, by id, then payees. `suspicions` numbers each `incident_id` that money is
    withheld for, from 1.
    """

    periods: pl.DataFrame
    shares: pl.DataFrame
    recipients: pl.DataFrame
    suspicions: pl.DataFrame

    def route(self, eligible: pl.LazyFrame) -> pl.LazyFrame:
        """Give each row of eligible usage its `period` and its `suspicion`; no row is lost or duplicated."""
        within = pl.col("event_day").is_between("starts_on", "ends_on")
        suspicion = pl.when(pl.col("status") == WITHHELD).then("suspicion").otherwise(NOT_SUSPECTED)
        return (
            eligible.join(self.periods.lazy(), on="track_id")
            .filter(within)
            .join(self.suspicions.lazy(), on="incident_id", how="left")
            .with_columns(suspicion)
        )

    def named(self, lines: pl.LazyFrame) -> pl.LazyFrame:
        """Give lines by `recipient` (null: nobody) and `suspicion` their identifying columns; those that do not apply are empty.

        Lines stay in order. Lines ordered by whether they are withheld, by recipient (null last) and by suspicion are also
        ordered by those columns.
        """
        line = (
            pl.when(pl.col("recipient").is_null())
            .then(pl.lit(UNCLAIMED))
            .when(pl.col("suspicion") != NOT_SUSPECTED)
            .then(pl.lit(WITHHELD))
            .when(pl.col("payee_id") != "")
            .then(pl.lit(PAYOUT))
            .otherwise(pl.lit(ESCROW))
        )
        return (
            lines.join(self.recipients.lazy(), on="recipient", how="left", maintain_order="left")
            .join(self.suspicions.lazy(), on="suspicion", how="left", maintain_order="left")
            .with_columns(line.alias("line"), pl.col(LINE_NAME[1:]).fill_null(""))
        )


def destinations_of(month: str, eligible: pl.LazyFrame, rights: pl.LazyFrame) -> Destinations:
    """Number every recipient, period and suspicion of the month's eligible usage.

    Rights are read as of the event day. On days on which the shares of a track don't sum to a million, or one is negative, or
    there are none, its money goes to the track itself.
    """
    tracks, suspicions = _heard_tracks_and_incidents(eligible)
    claims = claims_in_month(month, rights.join(tracks.lazy(), on="track_id", how="semi"))
    periods = _periods_of_constant_rights(month, tracks, claims)
    return Destinations(periods, *_shares_of_recipients(periods, claims), suspicions)


def _heard_tracks_and_incidents(eligible: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return every `track_id` that was heard, and every `incident_id` that withholds money, with its `suspicion`."""
    withheld_for = pl.when(pl.col("status") == WITHHELD).then("incident_id")
    heard = eligible.select("track_id", withheld_for.alias("incident_id")).unique().collect(engine="streaming")
    incidents = heard.select("incident_id").drop_nulls().unique().sort("incident_id")
    return heard.select("track_id").unique(), incidents.with_row_index("suspicion", offset=NOT_SUSPECTED + 1)


def claims_in_month(month: str, rights: pl.LazyFrame) -> pl.DataFrame:
    """Select the claims of payees on tracks within the month, from `claimed_from` to `claimed_to`, both included."""
    first, last = _first_and_last_day(month)
    claims = rights.select(
        "track_id",
        "payee_id",
        "share_ppm",
        claimed_from=pl.max_horizontal("valid_from", pl.lit(first)),
        claimed_to=pl.min_horizontal("valid_to", pl.lit(last)),
    )
    return claims.filter(pl.col("claimed_from") <= pl.col("claimed_to")).collect()


def _periods_of_constant_rights(month: str, tracks: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Split the month, for each track, wherever a claim begins or ends; `period` numbers the pieces."""
    first, last = _first_and_last_day(month)
    cuts = pl.concat(
        [
            claims.select("track_id", starts_on="claimed_from"),
            claims.select("track_id", starts_on=pl.col("claimed_to").dt.offset_by("1d")),
        ]
    ).filter(pl.col("starts_on").is_between(first, last, closed="right"))
    following = pl.col("starts_on").shift(-1).over("track_id").dt.offset_by("-1d")
    return (
        pl.concat([tracks.with_columns(starts_on=pl.lit(first)), cuts.unique()])
        .sort("track_id", "starts_on")
        .with_columns(ends_on=following.fill_null(last))
        .with_row_index("period")
    )


def _shares_of_recipients(periods: pl.DataFrame, claims: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return shares and recipients: the payees of each period whose rights sum to 100 %, otherwise the track itself."""
    claimed = periods.join(claims, on="track_id").filter(
        pl.col("claimed_from") <= pl.col("starts_on"), pl.col("claimed_to") >= pl.col("ends_on")
    )
    share = pl.col("share_ppm")
    valid = (
        claimed.group_by("period")
        .agg(share.sum(), smallest=share.min())
        .filter(share == MILLION, pl.col("smallest") >= 0)
    )
    nobody = pl.lit("")
    paid = claimed.join(valid, on="period", how="semi").group_by("period", "payee_id").agg(share.sum())
    escrow = periods.join(valid, on="period", how="anti").with_columns(share_ppm=pl.lit(MILLION, dtype=pl.Int64))
    columns = ("period", "payee_id", "track_id", "share_ppm")
    shares = pl.concat(
        [paid.with_columns(track_id=nobody).select(columns), escrow.with_columns(payee_id=nobody).select(columns)]
    )
    names = ["payee_id", "track_id"]
    recipients = shares.select(names).unique().sort("payee_id", "track_id").with_row_index("recipient")
    return shares.join(recipients, on=names).select("period", "recipient", "share_ppm"), recipients


def _first_and_last_day(month: str) -> tuple[date, date]:
    return date.fromisoformat(f"{month}-01"), date.fromisoformat(last_day_of(month))
