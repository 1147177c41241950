"""A simple stage in the place of the one that ranks suspicions: a farm that stands for three days, and a crude group on the last of them.

The farm is held by one more device each day. Like the real one, it suspects nothing that somebody has decided.
"""

from datetime import date
from typing import Annotated, Any

import polars as pl

from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import PartForPartition, Reads, column_types, stage
from spam_pipeline.trust_and_safety.suspicions_contract import (
    AUTOMATION,
    BEHAVIOUR,
    SuspectedIncidents,
)

FARM, CRUDE = "5f0c2e81", "it's crude"
FARM_DAYS = ("2026-01-04", "2026-01-05", "2026-01-06")
FIRST_DAY = date(2026, 1, 1)

Incidents = Annotated[pl.LazyFrame, Reads(PartForPartition(), columns=("incident_id", "status"))]


def slices(plays: pl.LazyFrame, incidents: pl.LazyFrame, partition: str) -> dict[str, list[int]]:
    """The held devices of each suspicion of a day."""
    if partition not in FARM_DAYS:
        return {}
    decided = set(incidents.filter(pl.col("status") != "suspected").collect()["incident_id"])
    devices = plays.select("device_key").unique().sort("device_key").collect()["device_key"].to_list()
    size = 1 + FARM_DAYS.index(partition)
    held = {FARM: devices[:size], CRUDE: devices[-1:] if partition == FARM_DAYS[-1] else []}
    return {name: keys for name, keys in held.items() if keys and name not in decided}


@stage(partitions=event_days, contract=SuspectedIncidents, owner="team:tests", libraries=["polars"])
def suspected_incidents(
    plays: Annotated[pl.LazyFrame, Reads(columns=("device_key", "track_id"))], incidents: Incidents, partition: str
) -> pl.LazyFrame:
    """A row for each suspicion."""
    tracks = plays.select("track_id").unique().sort("track_id").head(2).collect()["track_id"].to_list()
    rows = [
        _row(name, keys, tracks, date.fromisoformat(partition))
        for name, keys in slices(plays, incidents, partition).items()
    ]
    return pl.LazyFrame(rows, schema=column_types(SuspectedIncidents), orient="row").sort("suspicion_id")


def _row(name: str, keys: list[int], tracks: list[str], day: date) -> dict[str, Any]:
    is_farm, devices = name == FARM, len(keys)
    return {
        "suspicion_id": name,
        "queue": BEHAVIOUR if is_farm else AUTOMATION,
        "rank": 1,
        "evidence": 12.5 + devices,
        "families": [
            {"family": "loyalty", "value": 0.91, "usual": 0.12, "evidence": 8.0},
            {"family": "growth", "value": 14.0, "usual": 1.1, "evidence": 4.5},
        ],
        "peers": 120,
        "attack_type": "bot_farm",
        "uploader_keys": [255],
        "track_ids": tracks,
        "first_day": FIRST_DAY,
        "last_day": day,
        "devices": devices,
        "device_keys": keys,
        "plays": 1000 * devices,
        "plays_of_day": 400,
        "money": [{"currency": "EUR", "amount_minor": 123456}] if is_farm else [],
    }


STAGES = (suspected_incidents,)
