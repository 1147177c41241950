"""The plays of a day joined to the facts of their accounts, tracks and user agents.

Everything that a signal counts is a flag here, once per play. Signals are computed in the modules beside this one; the days
before are in `past`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from spam_pipeline.protocol import key_ranges, rows_in, slices_of
from spam_pipeline.trust_and_safety.contracts import (
    ACCOUNT,
    ACTOR,
    ADDRESS,
    DEVICE,
    NETWORK,
    TRACK,
    UPLOADER,
    USER_AGENT,
)

KEY_COLUMNS: Final = {
    ACTOR: "actor_key",
    DEVICE: "device_key",
    ADDRESS: "ip_key",
    NETWORK: "network_key",
    TRACK: "track_key",
    UPLOADER: "artist_key",
}
"""The column of a known play with the key of its entity of each kind."""

PAID_FROM_MS: Final = 30_000
JUST_PAID_TO_MS: Final = 36_000
"""A play that ends between 30 s, from which it is paid, and this was worth money and hardly listened to."""

CUT_OFF_TO_MS: Final = 60_000
"""Hardly any listener stops a track between 30 s and this; those who play for the money do."""

WHOLE: Final = 0.95
"""The share of a track's duration from which a play counts as complete."""

NEW_ACCOUNT_DAYS: Final = 90

LOGGED_OUT_TIER: Final = "free"

_FOREIGN_PLATFORMS: Final = {"ios": ("Android", "Windows", "Linux"), "android": ("iOS", "Mac OS X", "Windows")}
"""Platforms on which the app of a client does not run, whatever its user agent claims."""


_READ_OF: Final = {
    "actor_key": ("device_key", "network_key", "country", "account_age_days"),
    "ip_key": ("actor_key", "is_cut_off", "is_new_account"),
    "device_key": (
        *("track_key", "artist_key", "actor_key", "occurred_at", "hour", "is_abroad", "is_automated", "is_disguised"),
        *("is_short", "is_cut_off", "is_complete", "is_timed"),
    ),
    "network_key": ("actor_key", "user_agent_key", "is_cut_off", "is_new_account", "is_hosting"),
    "track_key": (
        *("artist_key", "track_age_days", "actor_key", "network_key", "source", "hour", "is_short", "is_cut_off"),
        *("is_complete", "is_timed", "is_new_account", "is_abroad", "is_embed"),
    ),
    "artist_key": ("actor_key", "track_key", "is_cut_off"),
}
"""The columns of known plays that the signals of entities with this key are computed from."""


def with_actor(plays: pl.LazyFrame) -> pl.LazyFrame:
    """Add `actor_key`: the account, or the device of a logged-out play."""
    return plays.with_columns(actor_key=pl.coalesce("user_key", "device_key"))


@dataclass(frozen=True)
class KnownPlays:
    """The plays of a day as `known_plays` gives them, and in how many slices their entities are worked through."""

    frame: pl.LazyFrame
    slices: int = 1

    def by(self, key: str) -> Iterator[pl.LazyFrame]:
        """Yield the plays with a `key` in slices, by ranges of it in their order: those with the same key are together.

        A slice is in memory, because the questions about it are many; of its columns it has those that any of them is about.
        """
        for keys in key_ranges(pl.col(key), self.slices):
            yield self.frame.filter(keys).select(key, *_READ_OF[key]).collect(engine="streaming").lazy()


def known_plays(plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str, folder: Path, slice_rows: int) -> KnownPlays:
    """Find the plays of `day` with `actor_key`, `artist_key`, `hour`, ages in days, and flags (false where unknown).

    `is_complete` is meaningful only where `is_timed`: the duration of the track is known. Rows are in no order. More than
    `slice_rows` of them are kept in files in `folder`.
    """
    today = with_actor(plays).filter(pl.col("occurred_at").dt.date() == date.fromisoformat(day))
    slices = slices_of(rows_in(today), slice_rows)
    if slices == 1:
        return KnownPlays(_flagged(today, entity_facts).collect(engine="streaming").lazy())
    # Joined to their facts all at once, 20 million plays took 2.8 GiB, and 1.0 in ten slices.
    files = [folder / f"{number}.parquet" for number in range(slices)]
    for file, devices in zip(files, key_ranges(pl.col("device_key"), slices), strict=True):
        _flagged(today.filter(devices), entity_facts).sink_parquet(file, compression="lz4", statistics=False)
    return KnownPlays(pl.scan_parquet(files, glob=False), slices)


def track_facts(entity_facts: pl.LazyFrame) -> pl.LazyFrame:
    """Return `artist_key`, `duration_ms` and `uploaded_on` of each track with facts."""
    return _facts(entity_facts, TRACK, "track_key", "artist_key", "duration_ms", uploaded_on="since")


def new_accounts(entity_facts: pl.LazyFrame, day: str) -> pl.LazyFrame:
    """Return the `user_key` of each account that is new on `day`."""
    age = (pl.lit(date.fromisoformat(day)) - pl.col("created_on")).dt.total_days()
    return _facts(entity_facts, ACCOUNT, "user_key", created_on="since").filter(age < NEW_ACCOUNT_DAYS)


def _facts(entity_facts: pl.LazyFrame, kind: str, key: str, *columns: str, **renamed: str) -> pl.LazyFrame:
    of_kind = entity_facts.filter(pl.col("entity_kind") == kind)
    # Facts of one entity agree across days, except while reference data are being corrected: then the last day is right.
    known = of_kind.select(pl.col("entity_key").alias(key), *columns, **renamed)
    return known.unique(key, keep="last", maintain_order=True)


def how_heard() -> dict[str, pl.Expr]:
    """Flags on the completion of a play, from its `ms_played` and the `duration_ms` of its track."""
    heard, duration = pl.col("ms_played"), pl.col("duration_ms")
    is_complete = (heard >= WHOLE * duration).fill_null(value=False)
    return {
        "is_short": heard.is_between(PAID_FROM_MS, JUST_PAID_TO_MS, closed="left"),
        "is_cut_off": heard.is_between(PAID_FROM_MS, CUT_OFF_TO_MS, closed="left") & ~is_complete,
        "is_complete": is_complete,
        "is_timed": duration.is_not_null(),
    }


def _flagged(plays: pl.LazyFrame, entity_facts: pl.LazyFrame) -> pl.LazyFrame:
    known = (
        plays.join(track_facts(entity_facts), on="track_key", how="left")
        .join(_facts(entity_facts, ACCOUNT, "user_key", created_on="since", home="country"), on="user_key", how="left")
        .join(
            _facts(entity_facts, USER_AGENT, "user_agent_key", "is_automated", "platform"),
            on="user_agent_key",
            how="left",
        )
    )
    day = pl.col("occurred_at").dt.date()
    age = (day - pl.col("created_on")).dt.total_days().clip(0)
    return known.select(
        *KEY_COLUMNS.values(),
        "user_agent_key",
        "country",
        "source",
        "occurred_at",
        hour=pl.col("occurred_at").dt.hour(),
        account_age_days=age,
        track_age_days=(day - pl.col("uploaded_on")).dt.total_days().clip(0),
        **how_heard(),
        is_embed=(pl.col("client") == "embed") | (pl.col("source") == "embed"),
        is_abroad=(pl.col("country") != pl.col("home")).fill_null(value=False),
        is_new_account=(age < NEW_ACCOUNT_DAYS).fill_null(value=False),
        is_automated=pl.col("is_automated").fill_null(value=False),
        is_disguised=_is_disguised().fill_null(value=False),
        is_hosting=pl.col("is_hosting").fill_null(value=False),
    )


def _is_disguised() -> pl.Expr:
    """True for an app whose user agent names a platform on which it does not run."""
    return pl.any_horizontal(
        (pl.col("client") == client) & pl.col("platform").is_in(platforms)
        for client, platforms in _FOREIGN_PLATFORMS.items()
    )
