"""The rest of a confirmed incident's campaign: devices that hear what the declared ones hear, as devotedly.

Label evidence decides first and alone: nothing here asks whether a device looks automated.
"""

from typing import Final

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.incidents import CONFIRMED
from spam_pipeline.trust_and_safety.suspicions.families import members_of, own_share
from spam_pipeline.trust_and_safety.suspicions.groups import with_items
from spam_pipeline.trust_and_safety.suspicions.window import ROWS_AT_ONCE, window_of
from spam_pipeline.trust_and_safety.suspicions_contract import CarriedDevices

FEWEST_DECLARED: Final = 3
"""An item belongs to a campaign only if so many declared devices hear it."""

LEAST_LIFT: Final = 10
"""And if they hear it so many times as much as the platform does: camouflage is what everybody hears."""

DEVOTED: Final = 0.5
"""A device is carried whose share of the campaign's items is at least this part of the declared devices' share."""

LEAST_SHARE: Final = 200_000
"""An incident carries only if its declared devices give its items a fifth of their listening, in millionths. A bot farm that plays the whole
catalogue lifts a few obscure tracks by chance, to 4 %, and whoever heard one of them twice would be as devoted."""

_DECLARED_BY: Final = {"device": "device_key", "user": "user_key", "ip": "ip_key"}


def carried_of(listening: pl.LazyFrame, incidents: pl.LazyFrame, rows_at_once: int = ROWS_AT_ONCE) -> pl.LazyFrame:
    """Find the devices that confirmed incidents carry to, as `CarriedDevices`; declared devices are not among them.

    `listening` is the window's; of several incidents a device is carried by the first. About `rows_at_once` rows are in memory
    together; no result depends on it.
    """
    confirmed = (
        incidents.filter(pl.col("status") == CONFIRMED, pl.col("entity_type").is_in(list(_DECLARED_BY)))
        .select("incident_id", "attack_type", "entity_type", "entity_key")
        .unique()
        .collect()
    )
    if confirmed.is_empty():
        return CarriedDevices.empty()
    window = window_of(listening, with_items(listening), rows_at_once)
    declared = _declared(listening, confirmed)
    campaigns = _campaigns(window.listening, declared)
    members = pl.concat([members_of(of_range, campaigns) for of_range in window.ranges])
    numbered = declared.select("incident_id", "attack_type", "group").unique()
    is_seed = members.join(declared.select("group", "device_key"), on=["group", "device_key"], how="semi")
    share = own_share()
    usual = is_seed.group_by("group").agg(usual=(pl.col("plays") * share).sum() // pl.col("plays").sum())
    columns = pl.Schema(column_types(CarriedDevices))
    return (
        members.join(usual, on="group")
        .filter(pl.col("usual") >= LEAST_SHARE, share >= DEVOTED * pl.col("usual"), pl.col("plays") >= 2)  # noqa: PLR2004 - once is chance
        .join(declared, on="device_key", how="anti")
        .join(numbered, on="group")
        .sort("device_key", "incident_id", "attack_type")
        .unique("device_key", keep="first", maintain_order=True)
        .select(*columns)
        .cast(columns)
        .lazy()
    )


def _declared(listening: pl.LazyFrame, confirmed: pl.DataFrame) -> pl.DataFrame:
    """The devices that each incident declares, directly or by their account or address; `group` numbers the incidents."""
    ids = confirmed.get_column("incident_id").unique().sort()
    numbers = pl.DataFrame({"incident_id": ids, "group": pl.int_range(len(ids), eager=True).cast(pl.UInt64)})
    found = [
        listening.select("device_key", entity_key=column)
        .join(confirmed.lazy().filter(pl.col("entity_type") == kind), on="entity_key")
        .select("incident_id", "attack_type", "device_key")
        .unique()
        .collect(engine="streaming")
        for kind, column in _DECLARED_BY.items()
    ]
    return pl.concat(found).unique().join(numbers, on="incident_id").sort("group", "device_key")


def _campaigns(heard: pl.LazyFrame, declared: pl.DataFrame) -> pl.DataFrame:
    """The items of each incident's campaign: one row per `group` and `item`."""
    plays = pl.col("plays")
    of_items = heard.group_by("item").agg(usual=plays.sum()).collect(engine="streaming")
    all_plays = of_items.get_column("usual").sum()
    theirs = heard.join(declared.lazy(), on="device_key").group_by("group", "item")
    by_item = theirs.agg(plays.sum(), devices=pl.col("device_key").n_unique()).collect(engine="streaming")
    total = pl.col("plays").sum().over("group")
    lift = pl.col("plays") * all_plays / (pl.col("usual") * total)
    return (
        by_item.join(of_items, on="item")
        .filter(pl.col("devices") >= FEWEST_DECLARED, lift >= LEAST_LIFT)
        .select("group", "item")
        .sort("group", "item")
    )
