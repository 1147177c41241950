"""Signals of listeners: accounts and their devices.

An account moves between places and devices. Listening habits belong to the device, so that the owner of a stolen account is not
classified by what the thief does on another device.
"""

from typing import Final

import polars as pl

from spam_pipeline.trust_and_safety.contracts import ACTOR, DEVICE
from spam_pipeline.trust_and_safety.signals.mixtures import (
    DIGITS,
    MIN_PLAYS,
    counted,
    flags_of,
    joined,
    mixture,
    share,
    shares,
    top_share,
)
from spam_pipeline.trust_and_safety.signals.past import HABITS, PriorActivity

SESSION_GAP_MS: Final = 600_000
"""A longer pause ends a session and is not part of its rhythm."""

_CIRCUMSTANCES: Final = ("abroad", "automated", "disguised")


def actor_signals(today: pl.LazyFrame, past: PriorActivity) -> pl.DataFrame:
    """Compute the signals of each account, or device of a logged-out play, with a play on the day."""
    age = today.group_by("actor_key").agg(age_days=pl.col("account_age_days").max())
    return joined(
        counted(today, ACTOR).collect(engine="streaming"),
        mixture(today, by=ACTOR, of="device_key").select("actor_key", devices="members"),
        mixture(today, by=ACTOR, of="network_key").select("actor_key", networks="members"),
        mixture(today, by=ACTOR, of="country").select("actor_key", countries="members"),
        _new_countries(today, past.countries),
        age.collect(engine="streaming"),
    )


def device_signals(today: pl.LazyFrame, past: PriorActivity) -> pl.DataFrame:
    """Compute the signals of each device with a play on the day."""
    tracks, uploaders = (mixture(today, by=DEVICE, of=column) for column in ("track_key", "artist_key"))
    circumstances = counted(today, DEVICE, *_CIRCUMSTANCES).collect(engine="streaming")
    return joined(
        circumstances.select("device_key", "plays", **shares(DEVICE, *_CIRCUMSTANCES)),
        _habits(today, past.habits),
        mixture(today, by=DEVICE, of="actor_key").select("device_key", actors="members"),
        mixture(today, by=DEVICE, of="hour").select("device_key", hours="members"),
        tracks.select("device_key", top_track_share=top_share(DEVICE, "top_track_share")),
        uploaders.select("device_key", top_uploader_share=top_share(DEVICE, "top_uploader_share")),
        _rhythm(today),
    )


def _habits(today: pl.LazyFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Compute shares over the day and the days before it."""
    counts = counted(today, DEVICE, *HABITS).collect(engine="streaming")
    both = pl.concat([counts, before.join(counts, on="device_key", how="semi")]).lazy()
    sums = both.group_by("device_key").agg(pl.col("plays", *flags_of(*HABITS)).sum())
    return sums.select("device_key", **shares(DEVICE, *HABITS)).collect(engine="streaming")


def _rhythm(today: pl.LazyFrame) -> pl.DataFrame:
    """Compute the coefficient of variation of the gaps between starts within a device's sessions."""
    gap = pl.col("occurred_at").diff().dt.total_milliseconds()
    ordered = today.select("device_key", "occurred_at").sort("device_key", "occurred_at")
    gaps = ordered.select("device_key", gap=pl.when(pl.col("device_key") == pl.col("device_key").shift()).then(gap))
    sums = (
        gaps.filter(pl.col("gap") <= SESSION_GAP_MS)
        .group_by("device_key")
        .agg(gaps=pl.len(), total=pl.col("gap").sum(), squares=(pl.col("gap") * pl.col("gap")).sum())
        .filter(pl.col("gaps") >= MIN_PLAYS, pl.col("total") > 0)
    )
    mean = pl.col("total") / pl.col("gaps")
    deviation = (pl.col("squares") / pl.col("gaps") - mean * mean).clip(lower_bound=0).sqrt()
    return sums.select("device_key", gap_variation=(deviation / mean).round(DIGITS)).collect(engine="streaming")


def _new_countries(today: pl.LazyFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Compute the share of an actor's plays from countries that are new for it; absent for actors without earlier plays."""
    known = before.lazy().with_columns(is_known=pl.lit(value=True))
    plays = today.filter(pl.col("country").is_not_null()).group_by("actor_key", "country")
    counts = (
        plays.agg(count=pl.len().cast(pl.Int64))
        .join(known, on="actor_key", how="semi")
        .join(known, on=["actor_key", "country"], how="left")
        .group_by("actor_key")
        .agg(total=pl.col("count").sum(), new=pl.col("count").filter(pl.col("is_known").is_null()).sum())
        .collect(engine="streaming")
    )
    new = share(ACTOR, "new_country_share", pl.col("new"), pl.col("total"))
    return counts.select("actor_key", new_country_share=new)
