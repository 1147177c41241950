"""Suspicions of a day, from its suspicious groups and what people have decided about them.

A group that was cleared is not suspected again until it doubles. A suspicion holds plays of its devices on its tracks, today.
"""

from typing import Final

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.incidents import CLEARED, CONFIRMED
from spam_pipeline.trust_and_safety.suspicions_contract import SuspectedIncidents, SuspectedPlays, is_held

REMEMBERED_DAYS: Final = 84
"""A clearance is compared with the evidence it was given for, for twelve weeks; then the group may be asked about once more."""

ASKED_AGAIN_AT: Final = 2
"""A cleared group is suspected again from so many times its evidence, or its plays a day, at the time it was cleared."""


def undecided(groups: pl.LazyFrame, incidents: pl.LazyFrame, listening: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows of `groups` (of the day and days before) that are of the day of `listening` and that nobody has decided.

    A confirmed incident with the suspicion's id decides the days of its window, a cleared one all days until the group doubles.
    """
    day = pl.col("last_day")
    # The last day that has groups may be long past, and its attack over: only the day's listening says which day it is.
    today = groups.join(listening.select(last_day="day").unique(), on="last_day", how="semi")
    named = incidents.filter(pl.col("status").is_in([CONFIRMED, CLEARED])).select(
        "status", suspicion_id="incident_id", begins=pl.col("starts_at").dt.date(), ends="ends_at"
    )
    decided = groups.join(named.unique(), on="suspicion_id").filter(
        day >= pl.col("begins"), day.cast(pl.Datetime("ms", "UTC")) < pl.col("ends")
    )
    cleared = (
        decided.filter(pl.col("status") == CLEARED)
        .group_by("suspicion_id")
        .agg(evidence_then=pl.col("evidence").max(), pace_then=_pace().max())
    )
    is_confirmed = pl.col("status") == CONFIRMED
    confirmed = decided.filter(is_confirmed).join(today, on=["suspicion_id", "last_day"], how="semi")
    has_doubled = (pl.col("evidence") >= ASKED_AGAIN_AT * pl.col("evidence_then")) | (
        _pace() >= ASKED_AGAIN_AT * pl.col("pace_then")
    )
    return (
        today.join(confirmed, on="suspicion_id", how="anti")
        .join(cleared, on="suspicion_id", how="left")
        .filter(pl.col("evidence_then").is_null() | has_doubled)
        .drop("evidence_then", "pace_then")
    )


def _pace() -> pl.Expr:
    """The group's suspected plays on a day of the window: the window is shorter in a platform's first weeks."""
    return pl.col("plays") / pl.col("days")


def suspected_plays_of(groups: pl.LazyFrame, incidents: pl.LazyFrame, listening: pl.LazyFrame) -> pl.LazyFrame:
    """Find today's plays of each suspicion, by device and track, as `SuspectedPlays`; `listening` is the day's."""
    suspicions = undecided(groups, incidents, listening).filter(is_held())
    devices = suspicions.select("suspicion_id", "attack_type", "slice").explode("slice").unnest("slice")
    tracks = suspicions.select("suspicion_id", "evidence", track_key="track_keys").explode("track_key")
    columns = pl.Schema(column_types(SuspectedPlays))
    return (
        listening.select("device_key", "track_key")
        .join(devices, on="device_key")
        .join(tracks, on=["suspicion_id", "track_key"])
        .sort("device_key", "track_key", "evidence", "suspicion_id", descending=[False, False, True, False])
        .unique(["device_key", "track_key"], keep="first", maintain_order=True)
        .select(*columns)
        .cast(columns)
    )


def suspected_incidents_of(
    groups: pl.LazyFrame, incidents: pl.LazyFrame, listening: pl.LazyFrame, held: pl.LazyFrame, revenue: pl.LazyFrame
) -> pl.LazyFrame:
    """Rank the day's suspicions, as `SuspectedIncidents`, with what they hold today and what they are worth."""
    first = pl.col("slice").list.eval(pl.element().struct.field("first_day"))
    today = (
        listening.join(held.select("device_key", "track_key", "suspicion_id"), on=["device_key", "track_key"])
        .group_by("suspicion_id")
        .agg(plays_of_day=pl.col("plays").sum())
    )
    suspicions = undecided(groups, incidents, listening)
    columns = pl.Schema(column_types(SuspectedIncidents))
    return (
        suspicions.join(today, on="suspicion_id", how="left")
        .join(_money(suspicions, revenue), on="suspicion_id", how="left")
        .with_columns(
            pl.col("plays_of_day").fill_null(0),
            pl.col("money").fill_null([]),
            first_day=first.list.min(),
            devices=pl.col("slice").list.len(),
            device_keys=pl.col("slice").list.eval(pl.element().struct.field("device_key")),
        )
        .sort("queue", "evidence", "plays", "suspicion_id", descending=[False, True, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("queue"))
        .select(*columns)
        .cast(columns)
    )


def _money(suspicions: pl.LazyFrame, revenue: pl.LazyFrame) -> pl.LazyFrame:
    """Estimate what the plays of each suspicion are worth: a play of a pool earns its net revenue over the pool's plays.

    The month is that of the last day; its revenue is spread evenly over its days. Whole minor units, rounded down once per pool.
    """
    month = pl.col("last_day").dt.strftime("%Y-%m")
    pools = suspicions.select("suspicion_id", "pools", "days", "last_day", month=month).explode("pools").unnest("pools")
    net = pl.col("net_revenue_minor").clip(lower_bound=0).cast(pl.Int128)
    of_window = net * pl.col("days") * pl.col("plays")
    amount = (of_window // (pl.col("last_day").dt.days_in_month().cast(pl.Int64) * pl.col("pool_plays"))).cast(pl.Int64)
    return (
        pools.join(revenue, on=["month", "country", "tier"])
        .group_by("suspicion_id", "currency")
        .agg(amount_minor=amount.sum())
        .sort("suspicion_id", "currency")
        .group_by("suspicion_id")
        .agg(money=pl.struct("currency", "amount_minor"))
    )
