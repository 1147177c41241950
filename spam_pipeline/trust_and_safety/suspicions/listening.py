"""The day's listening for money, by device and track: all that the families of evidence need of a day.

A device stands for a listener, because a stolen account has two and a logged-out visitor has no account.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

import polars as pl

from spam_pipeline.protocol import column_types, in_slices, key_ranges, rows_in, slices_of
from spam_pipeline.trust_and_safety.contracts import ACCOUNT
from spam_pipeline.trust_and_safety.signals.known_plays import LOGGED_OUT_TIER, PAID_FROM_MS, how_heard, track_facts
from spam_pipeline.trust_and_safety.suspicions_contract import Listening

_PLAYS_AT_ONCE: Final = 1_000_000
"""Plays that are grouped at once, at some 450 bytes each."""


def listening_of_day(
    plays: pl.LazyFrame, entity_facts: pl.LazyFrame, plays_at_once: int = _PLAYS_AT_ONCE
) -> pl.LazyFrame:
    """Sum the day's plays that earn per device and track, as `Listening`, in any order of `plays`.

    Devices are summed in ranges of their keys, with about `plays_at_once` plays each.
    """
    return in_slices(partial(_slices, plays, entity_facts, plays_at_once), column_types(Listening))


def _slices(plays: pl.LazyFrame, entity_facts: pl.LazyFrame, plays_at_once: int) -> Iterator[pl.DataFrame]:
    for devices in key_ranges(pl.col("device_key"), slices_of(rows_in(plays), plays_at_once)):
        yield _summed(plays.filter(devices), entity_facts).collect(engine="streaming")


def _summed(plays: pl.LazyFrame, entity_facts: pl.LazyFrame) -> pl.LazyFrame:
    accounts = entity_facts.filter(pl.col("entity_kind") == ACCOUNT).select(
        user_key="entity_key", account_since="since", home="country", tier="tier"
    )
    columns = pl.Schema(column_types(Listening))
    return (
        plays.filter(pl.col("ms_played") >= PAID_FROM_MS)
        .join(track_facts(entity_facts), on="track_key", how="left")
        .join(accounts, on="user_key", how="left")
        .with_columns(is_cut_off=how_heard()["is_cut_off"])
        .group_by("device_key", "track_key")
        .agg(
            pl.col("track_id").min(),
            pl.col("artist_key").min().alias("uploader_key"),
            pl.col("user_key", "ip_key", "account_since").min(),
            pl.coalesce("home", "country").min().alias("country"),
            pl.col("tier").min().fill_null(LOGGED_OUT_TIER),
            pl.concat_str("client", pl.lit(" "), "source").min().alias("setting"),
            pl.col("occurred_at").min().dt.hour().cast(pl.Int8).alias("hour"),
            pl.col("occurred_at").min().dt.date().alias("day"),
            pl.len().alias("plays"),
            pl.col("is_cut_off").sum().alias("cut_off"),
        )
        .cast(columns)
        .select(*columns)
        .sort("device_key", "track_key")
    )
