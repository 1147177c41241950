"""The history of a partition: the published partitions nearest to it, which an audit compares it with.

Published versions come from the ledger or from a snapshot of it; `drift` makes the comparison.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from spam_pipeline.protocol.foundation.partition import Partitions
from spam_pipeline.protocol.ledger.recipe import digest_of_read, read_line
from spam_pipeline.protocol.ledger.records import VersionSummary

LENGTH = 28
"""Partitions in a history: four weeks of days, so that every weekday is there four times."""


def nearest(
    published: Mapping[str, VersionSummary], partition: str, count: int = LENGTH, keys: Sequence[str] | None = None
) -> list[tuple[str, VersionSummary]]:
    """The `count` published partitions nearest to `partition`, and itself if it is published, in the order of their keys.

    Distance is the number of published partitions in between, not of days; of two equally near ones the earlier counts.
    `keys` are the sorted published partitions, for callers that need many histories.

    >>> [key for key, _ in nearest(dict.fromkeys(["01", "02", "05", "08", "20"]), "05", count=3)]
    ['01', '02', '05', '08']
    """
    ordered = sorted(published) if keys is None else keys
    start, end = bisect_left(ordered, partition), bisect_right(ordered, partition)
    later = min(len(ordered) - end, count // 2)
    earlier = min(start, count - later)
    later = min(len(ordered) - end, count - earlier)
    return [(key, published[key]) for key in ordered[start - earlier : end + later]]


def series(published: Iterable[str], grid: Partitions) -> defaultdict[str, list[str]]:
    """The published partitions of a grid in order, by the series that they are comparable in: see `Partitions.series_of`."""
    found = defaultdict[str, list[str]](list)
    for key in sorted(published):
        found[grid.series_of(key)].append(key)
    return found


def history_digest(found: Iterable[tuple[str, VersionSummary]]) -> str:
    """The digest of a history's partitions and of their contents."""
    return digest_of_read(read_line(key, "", version.content) for key, version in found)
