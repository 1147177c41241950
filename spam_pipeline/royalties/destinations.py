"""Destinations: where the money of a play goes, by its track, its day and its status.

A destination is a small integer. It stands for the payees of a track while one division of its rights was valid, for the track
itself in escrow, or for an incident. How much goes there is in `payout`.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from spam_pipeline.protocol.partition import last_day_of
from spam_pipeline.royalties.contracts import EARNING, ESCROW, PAYOUT, WITHHELD
from spam_pipeline.royalties.pools import MILLION

LINE_NAME = ("line", "payee_id", "track_id", "incident_id")


@dataclass(frozen=True)
class Destinations:
    """The destinations of one month's usage.

    `periods` says for each `track_id` and span of days (`starts_on` to `ends_on`, both included) its `destination`, and
    `incidents` for each `incident_id` the destination of what it withholds. `shares` says which `line_no` gets which
    `share_ppm` of a destination; they sum to a million. `names` says what the `line_no` are called; they are numbered in the
    order in which ties are broken: payees by id, then tracks in escrow, then incidents.
    """

    periods: pl.DataFrame
    incidents: pl.DataFrame
    shares: pl.DataFrame
    names: pl.DataFrame

    def route(self, eligible: pl.LazyFrame) -> pl.LazyFrame:
        """Give each row of eligible usage its `destination`; no row is lost and none is doubled."""
        within = pl.col("event_day").is_between("starts_on", "ends_on")
        status = pl.col("status")
        earning = eligible.filter(status == EARNING).join(self.periods.lazy(), on="track_id").filter(within)
        withheld = eligible.filter(status == WITHHELD).join(self.incidents.lazy(), on="incident_id")
        return pl.concat([earning.drop("starts_on", "ends_on"), withheld])


def destinations_of(month: str, eligible: pl.LazyFrame, rights: pl.LazyFrame) -> Destinations:
    """Number everything that the month's eligible usage can pay to.

    Rights are read as of the event day. On days on which the shares of a track don't sum to a million, or one is negative, or
    there are none, its money goes to escrow. Money withheld is kept per incident, whatever the track.
    """
    earning = eligible.filter(pl.col("status") == EARNING)
    tracks = earning.select("track_id").unique().collect(engine="streaming")
    withheld = eligible.filter(pl.col("status") == WITHHELD).select("incident_id").unique().collect()
    claims = _claims_in_month(month, rights.join(tracks.lazy(), on="track_id", how="semi"))
    periods = _periods_of_constant_rights(month, tracks, claims)
    incidents = withheld.sort("incident_id").with_row_index("destination", offset=periods.height)
    lines = pl.concat([*_lines_of_tracks(periods, claims), _whole(incidents, WITHHELD, "incident_id")])
    return Destinations(periods, incidents, *_numbered(lines))


def _claims_in_month(month: str, rights: pl.LazyFrame) -> pl.DataFrame:
    """What each payee claims of a track within the month: `claimed_from` to `claimed_to`, both included."""
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
    """Cut the month, for each track, wherever a claim begins or ends; `destination` numbers the pieces."""
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
        .with_row_index("destination")
    )


def _lines_of_tracks(periods: pl.DataFrame, claims: pl.DataFrame) -> list[pl.DataFrame]:
    """The payees of each period whose rights add up, and the track itself for each other period."""
    claimed = periods.join(claims, on="track_id").filter(
        pl.col("claimed_from") <= pl.col("starts_on"), pl.col("claimed_to") >= pl.col("ends_on")
    )
    shares = pl.col("share_ppm")
    adds_up = (shares.sum() == MILLION) & (shares.min() >= 0)
    valid = claimed.group_by("destination").agg(adds_up=adds_up).filter("adds_up")
    paid = claimed.join(valid, on="destination", how="semi")
    escrow = periods.join(valid, on="destination", how="anti")
    return [_lines(paid, PAYOUT, "payee_id"), _whole(escrow, ESCROW, "track_id")]


def _whole(destinations: pl.DataFrame, line: str, named_by: str) -> pl.DataFrame:
    """Lines that take everything that goes to their destination."""
    return _lines(destinations.with_columns(share_ppm=pl.lit(MILLION, dtype=pl.Int64)), line, named_by)


def _lines(destinations: pl.DataFrame, line: str, named_by: str) -> pl.DataFrame:
    """Lines of one kind, of whose names only the column `named_by` is not empty."""
    names = [pl.col(name) if name == named_by else pl.lit("").alias(name) for name in LINE_NAME[1:]]
    return destinations.select("destination", "share_ppm", pl.lit(line).alias("line"), *names)


def _numbered(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give each distinct line name a number, in the order in which ties are broken."""
    no_payee = pl.col("line") != PAYOUT
    names = lines.select(LINE_NAME).unique().sort(no_payee, *LINE_NAME).with_row_index("line_no")
    return lines.join(names, on=LINE_NAME).select("destination", "line_no", "share_ppm"), names


def _first_and_last_day(month: str) -> tuple[date, date]:
    return date.fromisoformat(f"{month}-01"), date.fromisoformat(last_day_of(month))
