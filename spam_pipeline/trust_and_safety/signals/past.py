"""The activity before a day, of the entities with a play on the day.

The days before are many times the size of the day, so each question reads only its columns, in a pass of its own that holds no
more than the answer. A single pass for all questions would hold plays back for the slowest of them.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from spam_pipeline.trust_and_safety.contracts import DEVICE, TRACK, UPLOADER
from spam_pipeline.trust_and_safety.signals.known_plays import (
    KnownPlays,
    how_heard,
    new_accounts,
    track_facts,
    with_actor,
)
from spam_pipeline.trust_and_safety.signals.mixtures import counted

HABITS: Final = ("short", "cut_off", "complete")
"""Flags that are counted for a device over the days before too, because most devices have few plays a day."""


class PriorActivity(NamedTuple):
    """The days before a day: their number, and what signals need of their plays.

    `habits` has the `counted` plays and `HABITS` of each device that also plays on the day, `countries` the pairs of `actor_key` and
    `country` of each such actor, and `plays` how many plays each track and each uploader had, as `plays_before`, and how many of
    them were cut off, as `cut_off_before`. `newcomers` has the plays of accounts that are new on the day, as `count` by `actor_key`
    and `artist_key`, which is null where the catalogue does not have the track.
    """

    days: int
    habits: pl.DataFrame
    countries: pl.DataFrame
    plays: Mapping[str, pl.DataFrame]
    newcomers: pl.DataFrame


def past_of(today: KnownPlays, plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str) -> PriorActivity:
    """Summarise those of `plays` that are from before `day`, for the entities of `today`."""
    when = pl.col("occurred_at").dt.date()
    before = with_actor(plays).filter(when < date.fromisoformat(day))
    tracks = track_facts(entity_facts).collect(engine="streaming")
    return PriorActivity(
        days=before.select(when.n_unique()).collect(engine="streaming").item(),
        habits=_habits(_of_the_same(before, today, "device_key"), tracks),
        countries=_countries(_of_the_same(before, today, "actor_key")),
        plays=_plays(before, tracks),
        newcomers=_newcomers(before, tracks, new_accounts(entity_facts, day)),
    )


def _of_the_same(before: pl.LazyFrame, today: KnownPlays, key: str) -> pl.LazyFrame:
    return before.join(today.frame.select(key).unique(), on=key, how="semi")


def _habits(before: pl.LazyFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    heard = before.join(tracks.lazy(), on="track_key", how="left").select("device_key", **how_heard())
    return counted(heard, DEVICE, *HABITS).collect(engine="streaming")


def _countries(before: pl.LazyFrame) -> pl.DataFrame:
    known = before.filter(pl.col("country").is_not_null())
    return known.select("actor_key", "country").unique().collect(engine="streaming")


def _plays(before: pl.LazyFrame, tracks: pl.DataFrame) -> dict[str, pl.DataFrame]:
    heard = before.join(tracks.lazy(), on="track_key", how="left").select("track_key", "artist_key", **how_heard())
    counts = {"plays_before": pl.len().cast(pl.Int64), "cut_off_before": pl.col("is_cut_off").sum().cast(pl.Int64)}
    of_track = heard.group_by("track_key", "artist_key").agg(**counts).collect(engine="streaming")
    of_known = of_track.filter(pl.col("artist_key").is_not_null())
    of_uploader = of_known.group_by("artist_key").agg(pl.col(*counts).sum())
    return {TRACK: of_track.drop("artist_key"), UPLOADER: of_uploader}


def _newcomers(before: pl.LazyFrame, tracks: pl.DataFrame, new: pl.LazyFrame) -> pl.DataFrame:
    theirs = before.join(new, on="user_key", how="semi").select("actor_key", "track_key")
    counts = theirs.group_by("actor_key", "track_key").agg(count=pl.len().cast(pl.Int64)).collect(engine="streaming")
    named = counts.join(tracks.select("track_key", "artist_key"), on="track_key", how="left")
    return named.group_by("actor_key", "artist_key").agg(pl.col("count").sum())
