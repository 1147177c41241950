"""The suspicious groups of a window, with the devices that make each suspicious: its slice.

Of groups with the same devices the one with the most evidence stands for them. What people decided is not known here.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import SUSPICION_ID
from spam_pipeline.trust_and_safety.suspicions.families import (
    FAMILIES,
    FEWEST_DEVICES,
    measured,
    members_of,
    own_share,
    weighed,
)
from spam_pipeline.trust_and_safety.suspicions.groups import CLUSTER, candidates, clusters, with_items
from spam_pipeline.trust_and_safety.suspicions.window import ROWS_AT_ONCE, Window, window_of
from spam_pipeline.trust_and_safety.suspicions_contract import (
    AUTOMATION,
    BEHAVIOUR,
    QUEUES,
    SuspiciousGroups,
    is_held,
)

LISTED_FROM: Final = {BEHAVIOUR: 5.0, AUTOMATION: 12.0}
"""The evidence from which a group is listed, by queue. It is low, so that a campaign that hides from one family is still among the
first twenty: without devotion or overlap farms that listen like people have 6 to 9."""

MOST_SUSPICIONS: Final = 20
"""The most suspicions of a queue: more than a person can decide helps nobody, and would hold what is only odd."""

_CONSIDERED: Final = 6
"""So many times as many groups are looked at, because several tracks of one campaign are one suspicion."""

DEVOTED: Final = 0.5
"""A device is in the slice whose share of the group is at least this part of the share of the listener of its mean play."""

NAMED_TRACKS: Final = 10

LEAST_STAKE: Final = 200
"""A slice with fewer plays of the group is no suspicion: they earn about half a dollar, which is less than a person's minute."""


def suspicious_groups(listening: pl.LazyFrame, rows_at_once: int = ROWS_AT_ONCE) -> pl.LazyFrame:
    """Find the suspicious groups of the window's `listening`, as `SuspiciousGroups`, by queue and evidence.

    About `rows_at_once` rows are in memory together; no result depends on it.
    """
    tracks = with_items(listening)
    if tracks.is_empty():
        return SuspiciousGroups.empty()
    window = window_of(listening, tracks, rows_at_once)
    grouped = candidates(tracks, clusters(_pairs(window), tracks.get_column("item").unique().sort()))
    groups = weighed(measured(window, grouped))
    slices = _disjoint(_chosen(window, groups, grouped))
    days = listening.select(last_day=pl.col("day").max(), days=pl.col("day").n_unique()).collect(engine="streaming")
    columns = pl.Schema(column_types(SuspiciousGroups))
    return (
        _described(slices, groups, listening, grouped, tracks)
        .join(days, how="cross")
        .lazy()
        .cast(columns)
        .select(*columns)
        .sort("queue", "evidence", "suspicion_id", descending=[False, True, False])
    )


def _pairs(window: Window) -> Iterator[pl.DataFrame]:
    """Sum the listening of each range by device and item."""
    for of_range in window.ranges:
        yield of_range.group_by("device_key", "item").agg(pl.col("plays").sum()).collect(engine="streaming")


def _chosen(window: Window, groups: pl.DataFrame, grouped: pl.DataFrame) -> pl.DataFrame:
    """Choose the devices of the strongest groups of each queue: one row per group and device, by `place` of the group in its queue."""
    strongest = pl.concat([_strongest(queue, groups) for queue in QUEUES])
    items = grouped.join(strongest, on=["kind", "group"], how="semi")
    is_core = (pl.col("kind") != CLUSTER) | (pl.col("items") >= 2)  # noqa: PLR2004 - it heard what they have in common
    is_devoted = own_share() >= DEVOTED * 1_000_000 * pl.col("devotion")
    devoted = [
        members_of(of_range, items).join(strongest, on=["kind", "group"]).filter(is_devoted, is_core)
        for of_range in window.ranges
    ]
    return (
        pl.concat(devoted)
        .filter(pl.col("plays").sum().over("queue", "kind", "group") >= LEAST_STAKE)
        .select("queue", "place", "kind", "group", "evidence", "device_key", "first_day")
    )


def _strongest(queue: str, groups: pl.DataFrame) -> pl.DataFrame:
    return (
        groups.filter(pl.col(queue) >= LISTED_FROM[queue])
        .sort(queue, "plays", "kind", "group", descending=[True, True, False, False])
        .head(MOST_SUSPICIONS * _CONSIDERED)
        .with_row_index("place")
        .select(pl.lit(queue).alias("queue"), "place", "kind", "group", "devotion", evidence=queue)
    )


def _disjoint(chosen: pl.DataFrame) -> pl.DataFrame:
    """Keep each device in its first suspicion; drop groups of which an earlier one has half of the devices, or that are too small.

    Groups are few, so they are taken one after another.
    """
    taken = chosen.get_column("device_key").clear()
    kept: list[pl.DataFrame] = []
    count = dict.fromkeys(QUEUES, 0)
    # Groups that hold before those that are only listed; then behaviour, which has the narrower slices and sorts after "automation".
    ordered = chosen.sort(is_held(), "queue", "place", "device_key", descending=[True, True, False, False])
    for (queue, _), group in ordered.partition_by("queue", "place", as_dict=True, maintain_order=True).items():
        is_new = ~group.get_column("device_key").is_in(taken.implode())
        is_enough = group.height >= FEWEST_DEVICES and 2 * int(is_new.sum()) >= group.height
        if is_enough and count[str(queue)] < MOST_SUSPICIONS:
            count[str(queue)] += 1
            kept.append(group.filter(is_new))
            taken = taken.append(kept[-1].get_column("device_key"))
    return pl.concat([chosen.clear(), *kept])


def _described(
    slices: pl.DataFrame, groups: pl.DataFrame, listening: pl.LazyFrame, grouped: pl.DataFrame, tracks: pl.DataFrame
) -> pl.DataFrame:
    """Describe each slice: its families, tracks, uploaders, plays and pools; one row per suspicion."""
    key = ["queue", "kind", "group"]
    of_slice = slices.group_by(*key, "evidence").agg(
        pl.struct("device_key", "first_day").sort_by("device_key").alias("slice")
    )
    of_tracks = (
        grouped.join(slices.select("kind", "group").unique(), on=["kind", "group"])
        .join(tracks, on="item")
        .sort("plays", "track_key", descending=[True, False])
    )
    named = of_tracks.group_by("kind", "group", maintain_order=True).agg(
        pl.col("uploader_key").drop_nulls().unique().sort().alias("uploader_keys"),
        pl.col("track_key").alias("track_keys"),
        pl.col("track_id").head(NAMED_TRACKS).alias("track_ids"),
        # Not the most played track's: a campaign plays its tracks alike, and would have another id every few days.
        anchor=pl.coalesce(pl.col("uploader_key").min(), pl.col("track_key").min()),
    )
    held = (
        listening.join(of_tracks.lazy().select("kind", "group", "track_key"), on="track_key")
        .join(slices.lazy().select(*key, "device_key"), on=["kind", "group", "device_key"])
        .group_by(*key, "country", "tier")
        .agg(pl.col("plays").sum())
    )
    pool = listening.group_by("country", "tier").agg(pool_plays=pl.col("plays").sum())
    pools = (
        held.join(pool, on=["country", "tier"], nulls_equal=True)
        .collect(engine="streaming")
        .sort("country", "tier")
        .group_by(key)
        .agg(pl.struct("country", "tier", "plays", "pool_plays").alias("pools"), pl.col("plays").sum())
    )
    families = groups.select(
        "kind",
        "group",
        "peers",
        "evidence_growth",
        "evidence_setting",
        "evidence_address",
        families=_families(),
    )
    described = of_slice.join(named, on=["kind", "group"]).join(pools, on=key).join(families, on=["kind", "group"])
    ordered = described.sort("queue", "evidence", "kind", "group", descending=[True, True, False, False])
    return ordered.with_columns(suspicion_id=_ids(ordered.get_column("anchor")), attack_type=_attack_type())


def _ids(anchors: pl.Series) -> pl.Series:
    """Name each group after its least uploader, and further groups of the same one by number, the strongest first.

    The key of a cluster changes with its items and its most played track from day to day; who uploaded them hardly ever does, and a
    person wants to be asked once.
    """
    numbered = anchors.to_frame("anchor").with_columns(number=pl.int_range(1, pl.len() + 1).over("anchor"))
    names = [f"{SUSPICION_ID}{key:016x}" + (f"-{number}" if number > 1 else "") for key, number in numbered.iter_rows()]
    return pl.Series(names, dtype=pl.String)


def _families() -> pl.Expr:
    """List the families with evidence, strongest first."""
    each = [
        pl.struct(
            family=pl.lit(family.name),
            value=pl.col(family.name).round(4),
            usual=pl.col(f"usual_{family.name}").round(4),
            evidence=pl.col(f"evidence_{family.name}"),
        )
        for family in FAMILIES
    ]
    evidence = pl.element().struct.field("evidence")
    listed = pl.concat_list(each).list.eval(pl.element().filter(evidence > 0))
    return listed.list.eval(pl.element().sort_by(evidence, descending=True, maintain_order=True))


def _attack_type() -> pl.Expr:
    """Name the type that the group resembles most, for whoever decides; no verdict rests on it."""
    return (
        pl.when(pl.col("evidence_address") > 0)
        .then(pl.lit("device_farm"))
        .when(pl.col("evidence_growth") > 0)
        .then(pl.lit("paid_plays"))
        .otherwise(pl.lit("low_and_slow"))
    )
