"""Signals of tracks and of the artists who uploaded them, by their listeners.

An artist is called `uploader` here, because an attack spreads over the uploads of one account.
"""

from typing import Final

import polars as pl

from spam_pipeline.trust_and_safety.contracts import TRACK, UPLOADER
from spam_pipeline.trust_and_safety.signals.mixtures import (
    DIGITS,
    MIN_PLAYS,
    counted,
    effective_members,
    joined,
    mixture,
    ratio,
    share,
    shares,
    top_share,
)
from spam_pipeline.trust_and_safety.signals.past import PriorActivity

_OF_TRACKS: Final = ("short", "cut_off", "complete", "new_account", "abroad", "embed")


def track_signals(today: pl.LazyFrame, past: PriorActivity) -> pl.DataFrame:
    """Compute the signals of each track with a play on the day."""
    # All plays of a track agree on both; the maximum makes the result independent of their order.
    of_track = today.group_by("track_key").agg(
        uploader_key=pl.col("artist_key").max(), age_days=pl.col("track_age_days").max()
    )
    networks, sources = (mixture(today, by=TRACK, of=column) for column in ("network_key", "source"))
    return joined(
        _track_counts(today, past),
        of_track.collect(engine="streaming"),
        networks.select("track_key", top_network_share=top_share(TRACK, "top_network_share")),
        sources.select("track_key", top_source_share=top_share(TRACK, "top_source_share")),
        mixture(today, by=TRACK, of="hour").select("track_key", effective_hours=effective_members()),
    )


def uploader_signals(today: pl.LazyFrame, past: PriorActivity) -> pl.DataFrame:
    """Compute the signals of each uploader with a play on the day, over the days before too: most have few plays a day."""
    counts = joined(
        counted(today, UPLOADER, "cut_off").collect(engine="streaming"),
        past.plays[UPLOADER],
        past.newcomers,
        mixture(today, by=UPLOADER, of="actor_key").select("artist_key", actors="members"),
        _heard(today).collect(engine="streaming"),
    )
    whole, cut_off = (
        pl.col(now) + pl.col(f"{before}_before").fill_null(0)
        for now, before in (("plays", "plays"), ("is_cut_off", "cut_off"))
    )
    parts = {
        "cut_off": cut_off,
        "new_account": pl.col("newcomers").fill_null(0),
        "devoted": pl.col("devoted").fill_null(0),
    }
    return counts.select(
        "artist_key",
        "plays",
        **{f"{name}_share": share(UPLOADER, f"{name}_share", part, whole) for name, part in parts.items()},
        plays_per_actor=_of_enough(ratio("plays", "actors")),
        tracks_per_actor=_of_enough(ratio("heard", "actors")),
        spike=_spike(past.days),
    )


def _heard(plays: pl.LazyFrame) -> pl.LazyFrame:
    """Count the tracks of an uploader that each actor heard, over all actors."""
    pairs = plays.select("artist_key", "actor_key", "track_key").unique()
    return pairs.group_by("artist_key").agg(heard=pl.len().cast(pl.Int64))


def _track_counts(today: pl.LazyFrame, past: PriorActivity) -> pl.DataFrame:
    """Count plays, actors, shares of the flags, plays per actor, and the spike."""
    counts = counted(today, TRACK, *_OF_TRACKS).collect(engine="streaming")
    return (
        joined(
            counts.select("track_key", "plays", **shares(TRACK, *_OF_TRACKS)),
            mixture(today, by=TRACK, of="actor_key").select("track_key", actors="members"),
            past.plays[TRACK].select("track_key", "plays_before"),
        )
        .with_columns(plays_per_actor=_of_enough(ratio("plays", "actors")), spike=_spike(past.days))
        .drop("plays_before")
    )


def _of_enough(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("plays") >= MIN_PLAYS).then(value)


def _spike(days: int) -> pl.Expr:
    """Compare plays with one more than the mean of the days before; null without days before."""
    if days == 0:
        return pl.lit(None, dtype=pl.Float64)
    plays_before = pl.col("plays_before").fill_null(0)
    return (pl.col("plays") * days / (plays_before + days)).round(DIGITS)
