"""Groups of tracks that may be one campaign: a track, an uploader, or tracks that share an audience beyond chance.

A track with few plays is pooled with its uploader's others, so that a campaign spread thin over an upload is one item. Shared
audiences are compared with a configuration model: items meet as often as the breadths of their listeners make them. Real fans
share audiences too, so only overlaps far beyond it link items; how suspicious a group is, is in `families`.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

FEWEST_PLAYS_OF_ITEM: Final = 20
"""A track with fewer plays in the window is pooled with its uploader's others."""

FEWEST_LISTENERS, MOST_LISTENERS = 5, 3_000
"""An overlap of fewer listeners is chance, and what more of them hear is the charts: their overlaps say nothing about anybody."""

BROADEST: Final = 60
"""A device with more items shares only those that it heard twice: somebody who hears everything overlaps with everybody."""

LEAST_LIFT: Final = 4.0
LEAST_OVERLAPS: Final = (0.4, 0.5, 0.6, 0.7, 0.8)
"""Items are linked from four times the overlap of the configuration model on, and from the first of these cosines of their
audiences, of which three listeners are taken off as chance; where that links too many, from the next. Among 650,000 pairs of
honest items of simulated platforms 20 to 100 reach both."""

_CHANCE: Final = 3
MEETINGS_AT_ONCE: Final = 4_000_000
"""Two items that meet in a device take up to 40 bytes while their overlaps are looked at."""

MOST_ITEMS: Final = 40
"""A larger cluster is a genre or a scene, not a campaign."""

TRACK_ITEM, UPLOADER_ITEM, CLUSTER = "track", "uploader", "cluster"


def with_items(listening: pl.LazyFrame) -> pl.DataFrame:
    """Assign tracks to items: one row per track with `item`, `uploader_key`, `track_id` and `plays`."""
    tracks = listening.group_by("track_key").agg(
        pl.col("track_id").min(), pl.col("uploader_key").min(), pl.col("plays").sum()
    )
    is_alone = (pl.col("plays") >= FEWEST_PLAYS_OF_ITEM) | pl.col("uploader_key").is_null()
    return (
        tracks.with_columns(item=pl.when(is_alone).then("track_key").otherwise("uploader_key"))
        .sort("track_key")
        .collect(engine="streaming")
    )


def clusters(pairs: Iterable[pl.DataFrame], items: pl.Series, meetings_at_once: int = MEETINGS_AT_ONCE) -> pl.DataFrame:
    """Link items with far more common listeners than chance; return each linked `item` with its `cluster`, the least item's key.

    `pairs` has a row for each `device_key` and `item`, with `plays`, in frames that have no device in common; `items` is every item in order.
    """
    return _components(items, *_links(*_known(pairs, items), len(items), meetings_at_once))


_Positions = npt.NDArray[np.int64]
_Numbers = npt.NDArray[np.int32]
_Overlaps = npt.NDArray[np.float64]


def _known(pairs: Iterable[pl.DataFrame], items: pl.Series) -> tuple[_Numbers, _Numbers]:
    """Number the devices and the items of the pairs whose overlap says something."""
    devices, heard, count = [np.empty(0, np.int32)], [np.empty(0, np.int32)], 0
    is_kept = (pl.len().over("device_key") <= BROADEST) | (pl.col("plays") >= 2)  # noqa: PLR2004 - heard again
    for of_range in pairs:
        kept = of_range.filter(is_kept)
        keys = kept.get_column("device_key").unique().sort()
        devices.append(keys.search_sorted(kept.get_column("device_key")).to_numpy().astype(np.int32) + np.int32(count))
        heard.append(items.search_sorted(kept.get_column("item")).to_numpy().astype(np.int32))
        count += len(keys)
    device, item = np.concatenate(devices), np.concatenate(heard)
    listeners = np.bincount(item, minlength=len(items))
    is_audience = ((listeners >= FEWEST_LISTENERS) & (listeners <= MOST_LISTENERS))[item]
    device, item = device[is_audience], item[is_audience]
    is_shared = (np.bincount(device, minlength=count) >= 2)[device]  # noqa: PLR2004 - one item overlaps with none
    return device[is_shared], item[is_shared]


def _links(
    device: _Numbers, item: _Numbers, items: int, meetings_at_once: int
) -> tuple[_Positions, _Positions, _Overlaps]:
    """Find the numbers of the items that are linked, and how much they overlap, by a range of the first ones after another."""
    from scipy import sparse  # type: ignore[import-untyped]  # noqa: PLC0415 - it loads a second, and most commands suspect nobody

    breadth = np.bincount(device).astype(np.float64)
    listeners = np.bincount(item, minlength=items).astype(np.float64)
    meetings = (breadth * (breadth - 1)).sum() / max(listeners.sum() ** 2, 1.0)
    heard = sparse.csr_matrix((np.ones(len(device), np.float32), (device, item)), shape=(len(breadth), items))
    audience = heard.T.tocsr()
    first, second, overlap = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    for low, high in _ranges(audience @ breadth, meetings_at_once):
        common = (audience[low:high] @ heard).tocoo()
        one, other = common.row.astype(np.int64) + low, common.col.astype(np.int64)
        product = listeners[one] * listeners[other]
        likeness = (common.data - _CHANCE) / np.sqrt(product)
        is_linked = (common.data >= LEAST_LIFT * product * meetings) & (likeness >= LEAST_OVERLAPS[0]) & (one < other)
        first.append(one[is_linked])
        second.append(other[is_linked])
        overlap.append(likeness[is_linked])
    return np.concatenate(first), np.concatenate(second), np.concatenate(overlap)


def _ranges(meetings: _Overlaps, at_once: int) -> Iterator[tuple[int, int]]:
    """Divide the items into ranges with so many meetings with other items that they can be counted at once."""
    number = np.cumsum(meetings) // at_once
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(meetings)]
    return pairwise(bounds)


def _components(keys: pl.Series, first: _Positions, second: _Positions, overlap: _Overlaps) -> pl.DataFrame:
    """Label the items that links connect. Where they connect too many, only the stronger links of those count."""
    from scipy import sparse  # noqa: PLC0415 - as above

    found: list[pl.DataFrame] = []
    for least in LEAST_OVERLAPS:
        is_strong = overlap >= least
        first, second, overlap = first[is_strong], second[is_strong], overlap[is_strong]
        edges = sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=(len(keys), len(keys)))
        _, label = sparse.csgraph.connected_components(edges, directed=False)
        size = np.bincount(label, minlength=len(keys))[label]
        is_campaign = (size > 1) & (size <= MOST_ITEMS)
        labelled = pl.DataFrame({"item": keys, "label": label}).filter(pl.Series(is_campaign))
        found.append(labelled.select("item", cluster=pl.col("item").min().over("label")))
        is_too_large = size[first] > MOST_ITEMS
        first, second, overlap = first[is_too_large], second[is_too_large], overlap[is_too_large]
    return pl.concat(found).sort("item")


def candidates(tracks: pl.DataFrame, linked: pl.DataFrame) -> pl.DataFrame:
    """List every group: one row per `kind`, `group` (a key) and `item`.

    Groups are each item, each uploader with several items, and each cluster.
    """
    items = tracks.select("item", "uploader_key").unique()
    alone = items.select("item").unique().select(pl.lit(TRACK_ITEM).alias("kind"), group="item", item="item")
    several = items.drop_nulls().filter(pl.len().over("uploader_key") >= 2)  # noqa: PLR2004 - one item is listed already
    by_uploader = several.select(pl.lit(UPLOADER_ITEM).alias("kind"), group="uploader_key", item="item")
    by_cluster = linked.select(pl.lit(CLUSTER).alias("kind"), group="cluster", item="item")
    return pl.concat([alone, by_uploader, by_cluster]).sort("kind", "group", "item")
