"""The activity before a day, of the entities with a play on the day.

The days before are many times the size of the day, so each question is asked of one day after the other, reads only its columns, and
keeps what is about the day's own entities. Six days of 20 million plays, asked at once, took up to 3.1 GiB for one question, of
which the answer had a tenth.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from itertools import chain
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

DEVOTED_SHARE: Final = 0.8
DEVOTED_PLAYS: Final = 2
"""A new account counts as devoted to an uploader with at least so many plays in the window, so many of them of that uploader."""

HABITS: Final = ("short", "cut_off", "complete")
"""Flags that are counted for a device over the days before too, because most devices have few plays a day."""


class PriorActivity(NamedTuple):
    """The days before a day: their number, and what signals need of their plays.

    `habits` has the `counted` plays and `HABITS` of each device that also plays on the day, `countries` the pairs of `actor_key` and
    `country` of each such actor, and `plays` how many plays each track and each uploader had, as `plays_before`, and how many of
    them were cut off, as `cut_off_before`. `newcomers` counts each uploader's plays by accounts that are new on the day, and those by
    `devoted` ones; it alone has the plays of the day too, because whoever is devoted to one uploader hears next to no other.
    """

    days: int
    habits: pl.DataFrame
    countries: pl.DataFrame
    plays: Mapping[str, pl.DataFrame]
    newcomers: pl.DataFrame


def past_of(today: KnownPlays, plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str) -> PriorActivity:
    """Summarise those of `plays` that are from before `day`, for the entities of `today`."""
    before = _days_before(with_actor(plays), day)
    tracks = track_facts(entity_facts).collect(engine="streaming")
    return PriorActivity(
        days=len(before),
        habits=_habits(before, today, tracks),
        countries=_countries(before, today),
        plays=_plays(before, tracks),
        newcomers=_newcomers(today, _of_newcomers(before, tracks, new_accounts(entity_facts, day))),
    )


def _days_before(plays: pl.LazyFrame, day: str) -> list[pl.LazyFrame]:
    """Divide the plays from before a day by their day; bounds on the moment let a reader skip the files of other days."""
    moment = pl.col("occurred_at")
    midnight = datetime.combine(date.fromisoformat(day), time.min, UTC)
    earlier = plays.filter(moment < midnight).select(moment.dt.truncate("1d").unique())
    midnights = earlier.collect(engine="streaming").to_series().sort()
    return [plays.filter(moment >= start, moment < start + timedelta(days=1)) for start in midnights]


def _summed(of_days: Iterable[pl.DataFrame], *keys: str) -> pl.DataFrame:
    """Add up the counts of days by `keys`, each as soon as it is there."""
    return reduce(lambda some, more: pl.concat([some, more]).group_by(*keys).agg(pl.all().sum()), of_days)


def _habits(before: list[pl.LazyFrame], today: KnownPlays, tracks: pl.DataFrame) -> pl.DataFrame:
    devices = today.frame.select("device_key").unique().collect(engine="streaming")

    def of_day(plays: pl.LazyFrame) -> pl.DataFrame:
        heard = plays.join(tracks.lazy(), on="track_key", how="left").select("device_key", **how_heard())
        # Whose plays do not count is dropped afterwards: a join of counts costs half of what one of plays does.
        counts = counted(heard, DEVICE, *HABITS).collect(engine="streaming")
        return counts.join(devices, on="device_key", how="semi")

    none = counted(today.frame.head(0), DEVICE, *HABITS).collect()
    return _summed(chain([none], map(of_day, before)), "device_key")


def _countries(before: list[pl.LazyFrame], today: KnownPlays) -> pl.DataFrame:
    actors = today.frame.select("actor_key").unique().collect(engine="streaming")

    def of_day(plays: pl.LazyFrame) -> pl.DataFrame:
        known = plays.filter(pl.col("country").is_not_null()).select("actor_key", "country").unique()
        return known.collect(engine="streaming").join(actors, on="actor_key", how="semi")

    none = today.frame.select("actor_key", "country").head(0).collect()
    return reduce(lambda some, more: pl.concat([some, more]).unique(), map(of_day, before), none)


def _plays(before: list[pl.LazyFrame], tracks: pl.DataFrame) -> dict[str, pl.DataFrame]:
    counts = {"plays_before": pl.len().cast(pl.Int64), "cut_off_before": pl.col("is_cut_off").sum().cast(pl.Int64)}

    def of_day(plays: pl.LazyFrame) -> pl.DataFrame:
        heard = plays.join(tracks.lazy(), on="track_key", how="left").select("track_key", "artist_key", **how_heard())
        return heard.group_by("track_key", "artist_key").agg(**counts).collect(engine="streaming")

    none = tracks.select("track_key", "artist_key", **dict.fromkeys(counts, pl.lit(0, pl.Int64))).clear()
    of_track = _summed(chain([none], map(of_day, before)), "track_key", "artist_key")
    of_known = of_track.filter(pl.col("artist_key").is_not_null()).group_by("artist_key").agg(pl.col(*counts).sum())
    return {TRACK: of_track.drop("artist_key"), UPLOADER: of_known}


def _of_newcomers(before: list[pl.LazyFrame], tracks: pl.DataFrame, new: pl.LazyFrame) -> pl.DataFrame:
    def of_day(plays: pl.LazyFrame) -> pl.DataFrame:
        theirs = plays.join(new, on="user_key", how="semi").group_by("actor_key", "track_key")
        return theirs.agg(count=pl.len().cast(pl.Int64)).collect(engine="streaming")

    columns, artists = ("actor_key", "artist_key", "count"), tracks.select("track_key", "artist_key")
    named = (of_day(plays).join(artists, on="track_key", how="left").select(columns) for plays in before)
    none = artists.select("artist_key", actor_key="track_key", count=pl.lit(0, pl.Int64)).clear().select(columns)
    return _summed(chain([none], named), "actor_key", "artist_key")


def _newcomers(today: KnownPlays, before: pl.DataFrame) -> pl.DataFrame:
    """Count each uploader's plays by new accounts in the window, and those by accounts that hear next to nothing else."""
    new = today.frame.filter("is_new_account").group_by("actor_key", "artist_key").agg(count=pl.len().cast(pl.Int64))
    known = pl.concat([new.collect(engine="streaming"), before])
    both = known.group_by("actor_key", "artist_key").agg(pl.col("count").sum())
    count, total = pl.col("count"), pl.col("count").sum().over("actor_key")
    is_devoted = (total >= DEVOTED_PLAYS) & (count >= DEVOTED_SHARE * total)
    return (
        both.with_columns(devoted=pl.when(is_devoted).then(count).otherwise(0))
        .filter(pl.col("artist_key").is_not_null())
        .group_by("artist_key")
        .agg(newcomers=count.sum(), devoted=pl.col("devoted").sum())
    )
