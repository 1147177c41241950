"""The contracts of suspected incidents: what may be an attack, for a person to decide, and the slice of plays that waits for it.

A suspicion holds its slice and nothing else of the day. How groups are found and weighed is in `suspicions`.
"""

from typing import Final

import dataframely as dy
import polars as pl

from spam_pipeline.protocol import Contract
from spam_pipeline.protocol.fingerprint import Count, Measure, Spread

BEHAVIOUR, AUTOMATION = "behaviour", "automation"
"""The queues: what an attacker cannot cheaply change (whom the audience hears, how evenly, since when), and crude automation."""

QUEUES: Final = (BEHAVIOUR, AUTOMATION)


class SuspectedIncidents(Contract):
    """Suspected incidents of a day, ranked by queue: groups of plays that may be an attack, one row each.

    A suspicion keeps its id while it lasts. `evidence` sums the capped evidence of its `families`, strongest first, each with its
    value, the usual value of its `peers` of equal size, and -log10 of the chance of such a value among them. `devices` and
    `plays` (those that earn) are the slice from `first_day` to `last_day`, the day itself; `plays_of_day` are what it holds today.
    `track_ids` are the most played tracks of the slice, ten at most. `money` is what the plays are worth, estimated, where revenue
    is known.
    """

    suspicion_id = dy.String(primary_key=True)
    queue = dy.String()
    rank = dy.Int64()
    evidence = dy.Float64()
    families = dy.List(
        dy.Struct({"family": dy.String(), "value": dy.Float64(), "usual": dy.Float64(), "evidence": dy.Float64()})
    )
    peers = dy.Int64()
    attack_type = dy.String()
    uploader_keys = dy.List(dy.UInt64())
    track_ids = dy.List(dy.String())
    first_day = dy.Date()
    last_day = dy.Date()
    devices = dy.Int64()
    plays = dy.Int64()
    plays_of_day = dy.Int64()
    money = dy.List(dy.Struct({"currency": dy.String(), "amount_minor": dy.Int64()}))

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of suspicions by queue and attack type. Attacks come and go, so no drift is judged."""
        return {
            "suspicions": Count(),
            "queues": Spread(pl.col("queue"), drift=None),
            "attack_types": Spread(pl.col("attack_type"), drift=None),
        }


class SuspectedDevices(Contract):
    """The slice of each suspicion: the devices whose plays of the day are held, one row each, ordered by key.

    A device of several suspicions is in the one that ranks first. `first_day` is the first day on which it played for the group.
    """

    device_key = dy.UInt64(primary_key=True)
    suspicion_id = dy.String()
    attack_type = dy.String()
    first_day = dy.Date()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of held devices."""
        return {"devices": Count()}
