"""The plays of a day, with what is known of their accounts, tracks and user agents beside them.

Everything that a signal counts is a flag here, once per play. No signal is computed here; what the days before the day say is
in `past`.
"""

from datetime import date
from typing import Final

import polars as pl

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
"""Which column of a known play names its entity of each kind."""

PAID_FROM_MS: Final = 30_000
JUST_PAID_TO_MS: Final = 36_000
"""A play that ends between these earned money and little else: a play earns from 30 s on."""

CUT_OFF_TO_MS: Final = 60_000
"""Nearly nobody stops a track between 30 s and this; who plays for the money does."""

WHOLE: Final = 0.95
"""A track that was heard so far was heard to its end."""

NEW_ACCOUNT_DAYS: Final = 90

_FOREIGN_PLATFORMS: Final = {"ios": ("Android", "Windows", "Linux"), "android": ("iOS", "Mac OS X", "Windows")}
"""Platforms on which an app does not run, whatever its user agent says."""


def with_actor(plays: pl.LazyFrame) -> pl.LazyFrame:
    """Add `actor_key`: the account, or the device of a play that is logged out."""
    return plays.with_columns(actor_key=pl.coalesce("user_key", "device_key"))


def known_plays(plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str) -> pl.DataFrame:
    """The plays of `day` with `actor_key`, `artist_key`, `hour`, ages in days, and flags (false where nothing is known).

    `is_timed` tells whether the length of the track is known, and `is_complete` means anything. The rows are in no order.
    """
    today = with_actor(plays).filter(pl.col("occurred_at").dt.date() == date.fromisoformat(day))
    return _flagged(today, entity_facts).collect(engine="streaming")


def track_facts(entity_facts: pl.LazyFrame) -> pl.LazyFrame:
    """`artist_key`, `duration_ms` and `uploaded_on` of each track that anything is known of."""
    return _facts(entity_facts, TRACK, "track_key", "artist_key", "duration_ms", uploaded_on="since")


def new_accounts(entity_facts: pl.LazyFrame, day: str) -> pl.LazyFrame:
    """The `user_key` of each account that is new on `day`."""
    age = (pl.lit(date.fromisoformat(day)) - pl.col("created_on")).dt.total_days()
    return _facts(entity_facts, ACCOUNT, "user_key", created_on="since").filter(age < NEW_ACCOUNT_DAYS)


def _facts(entity_facts: pl.LazyFrame, kind: str, key: str, *columns: str, **renamed: str) -> pl.LazyFrame:
    of_kind = entity_facts.filter(pl.col("entity_kind") == kind)
    # The days tell the same of an entity; only while a reference is being corrected can the last one know better.
    known = of_kind.select(pl.col("entity_key").alias(key), *columns, **renamed)
    return known.unique(key, keep="last", maintain_order=True)


def how_heard() -> dict[str, pl.Expr]:
    """Flags about how long a play was heard, from its `ms_played` and the `duration_ms` of its track."""
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
    """An app whose user agent names a platform that it does not run on."""
    return pl.any_horizontal(
        (pl.col("client") == client) & pl.col("platform").is_in(platforms)
        for client, platforms in _FOREIGN_PLATFORMS.items()
    )
