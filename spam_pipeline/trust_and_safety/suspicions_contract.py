"""The contracts of suspected incidents: what may be an attack, for a person to decide, and the slice of plays that waits for it.

A suspicion holds its slice and nothing else of the day. How groups are found and weighed is in `suspicions`.
"""

from typing import Final

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import Contract
from spam_pipeline.protocol.fingerprint import Count, Measure, Records, Spread

BEHAVIOUR, AUTOMATION = "behaviour", "automation"
"""The queues: what an attacker cannot cheaply change (whom the audience hears, how evenly, since when), and crude automation."""

QUEUES: Final = (BEHAVIOUR, AUTOMATION)

HELD_FROM: Final = {BEHAVIOUR: 12.0, AUTOMATION: 20.0}
"""The evidence from which a suspicion holds its slice, by queue; weaker ones are only listed. Releases reach 13 in behaviour, and hold little
because their slices are small; playlists of shops reach 15 to 20 in automation, and are listed."""

FIRST_OF_QUEUE: Final = 10
"""So many suspicions of each queue stand in the fingerprint, where people see them."""

_FAMILIES: Final = {"family": dy.String(), "value": dy.Float64(), "usual": dy.Float64(), "evidence": dy.Float64()}


class Listening(Contract):
    """What each device heard on a day for money: one row per device and track, ordered by both.

    `plays` are those of 30 s or more, `cut_off` those of them that ended within the first minute of a longer track. `country` and
    `tier` are the account's; `setting` is client and source, `hour` the hour of the first play in UTC. Other columns are null where
    unknown.
    """

    device_key = dy.UInt64(primary_key=True)
    track_key = dy.UInt64(primary_key=True)
    track_id = dy.String()
    uploader_key = dy.UInt64(nullable=True)
    user_key = dy.UInt64(nullable=True)
    ip_key = dy.UInt64(nullable=True)
    account_since = dy.Date(nullable=True)
    country = dy.String(nullable=True)
    tier = dy.String()
    setting = dy.String()
    hour = dy.Int8()
    day = dy.Date()
    plays = dy.Int64()
    cut_off = dy.Int64()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of pairs, and the mix of settings. What drifts in plays is judged there."""
        return {"pairs": Count(), "settings": Spread(pl.col("setting"), weight=pl.col("plays"), drift=None)}


class SuspiciousGroups(Contract):
    """Groups of tracks whose listening over the last weeks is unlike that of others of their size, by queue and evidence.

    Nothing that people decided is in it. `last_day` is the day itself, and `days` of the window had listening. `slice` has the devices that make the group suspicious and the first day of each; on
    tracks `track_keys`, named by `track_ids`. `pools` are the slice's plays by country and tier, and all plays of that pool in
    the same days.
    """

    suspicion_id = dy.String(primary_key=True)
    queue = dy.String()
    evidence = dy.Float64()
    families = dy.List(dy.Struct(_FAMILIES))
    peers = dy.Int64()
    attack_type = dy.String()
    uploader_keys = dy.List(dy.UInt64())
    track_keys = dy.List(dy.UInt64())
    track_ids = dy.List(dy.String())
    last_day = dy.Date()
    days = dy.Int64()
    plays = dy.Int64()
    slice = dy.List(dy.Struct({"device_key": dy.UInt64(), "first_day": dy.Date()}))
    pools = dy.List(
        dy.Struct(
            {"country": dy.String(nullable=True), "tier": dy.String(), "plays": dy.Int64(), "pool_plays": dy.Int64()}
        )
    )

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of groups by queue. Attacks come and go, so no drift is judged."""
        return {"groups": Count(), "queues": Spread(pl.col("queue"), drift=None)}


class SuspectedIncidents(Contract):
    """Suspected incidents of a day, ranked by queue: groups of plays that may be an attack, one row each.

    A suspicion keeps its id while it lasts. `evidence` sums the capped evidence of its `families`, strongest first, each with its
    value, the usual value of its `peers` of equal size, and -log10 of the chance of such a value among them, times log10 of the
    plays at stake. `device_keys`, as many as `devices`, and `plays` (those that earn) are the slice from `first_day` to `last_day`, the day itself;
    `plays_of_day` are what it holds today, 0 for one that is only listed. `track_ids` are the most played tracks of the group, ten at most. `money` is what
    the plays are worth, estimated before the payout share, where revenue is known.
    """

    suspicion_id = dy.String(primary_key=True)
    queue = dy.String()
    rank = dy.Int64()
    evidence = dy.Float64()
    families = dy.List(dy.Struct(_FAMILIES))
    peers = dy.Int64()
    attack_type = dy.String()
    uploader_keys = dy.List(dy.UInt64())
    track_ids = dy.List(dy.String())
    first_day = dy.Date()
    last_day = dy.Date()
    devices = dy.Int64()
    device_keys = dy.List(dy.UInt64())
    plays = dy.Int64()
    plays_of_day = dy.Int64()
    money = dy.List(dy.Struct({"currency": dy.String(), "amount_minor": dy.Int64()}))

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of suspicions by queue and attack type, and the first of each queue. Attacks come and go, so no drift is judged."""
        return {
            "suspicions": Count(),
            "first": Records(first_of_queues),
            "queues": Spread(pl.col("queue"), drift=None),
            "attack_types": Spread(pl.col("attack_type"), drift=None),
        }


class SuspectedPlays(Contract):
    """The slice of each suspicion: the devices and tracks whose plays of the day are held, one row each, ordered by both keys.

    A pair of several suspicions is in the one with the most evidence. `first_day` is the first day on which the device played for
    the group.
    """

    device_key = dy.UInt64(primary_key=True)
    track_key = dy.UInt64(primary_key=True)
    suspicion_id = dy.String()
    attack_type = dy.String()
    first_day = dy.Date()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of held pairs of device and track."""
        return {"pairs": Count()}


class CarriedDevices(Contract):
    """Devices that belong to the campaign of a confirmed incident, though nobody declared them: one row each, ordered by key."""

    device_key = dy.UInt64(primary_key=True)
    incident_id = dy.String()
    attack_type = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of devices."""
        return {"devices": Count()}


def first_of_queues(suspicions: pl.LazyFrame) -> pl.LazyFrame:
    """Tabulate the first suspicions of each queue for people: place, id, evidence, what is at stake, and why."""
    family = pl.element().struct
    why = (
        pl.col("families")
        .list.head(3)
        .list.eval(
            pl.format("{} {} (usually {})", family.field("family"), family.field("value"), family.field("usual"))
        )
    )
    return (
        suspicions.filter(pl.col("rank") <= FIRST_OF_QUEUE)
        .sort("queue", "rank", descending=[True, False])
        .select(
            pl.format("{} {}", "queue", "rank").alias("place"),
            "suspicion_id",
            "evidence",
            "attack_type",
            "devices",
            "plays",
            "plays_of_day",
            "first_day",
            why.list.join(", ").alias("why"),
        )
    )


def is_held() -> pl.Expr:
    """True for a group with enough evidence to hold its slice."""
    return pl.col("evidence") >= pl.col("queue").replace_strict(HELD_FROM, return_dtype=pl.Float64)
