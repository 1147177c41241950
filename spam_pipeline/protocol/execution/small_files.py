"""Which landed files of a partition become one shard, so that small ones cost by the byte and not by the file.

A shard is a file for each part, and each of those costs about five milliseconds to write, whatever is in it. Only the division is
decided here; `computation` makes the shards.
"""

import zlib
from collections.abc import Iterator, Mapping

from spam_pipeline.protocol.definition.landed_file import LandedFile
from spam_pipeline.protocol.ledger.recipe import InputRef

_SMALL_BYTES = 1024 * 1024
"""From this size on, a file is a shard of its own."""

_TOGETHER_BYTES = 4 * 1024 * 1024
"""A group ends when it has so many bytes: another file that lands among them has all of them decoded again."""

_MEAN_FILES = 16
"""The files of a group on average, unless it has too many bytes before."""


def decoded_together(items: tuple[InputRef, ...], landed: Mapping[int, LandedFile]) -> Iterator[tuple[InputRef, ...]]:
    """Divide the files of a recipe into groups of neighbours, in their order; `landed` has each by its observation.

    Where a group ends follows from the last file's own path and size, so what lands later changes the group around it and leaves
    the others as they are.
    """
    group, size = list[InputRef](), 0
    for item in items:
        file = landed[item.record]
        is_large = file.size >= _SMALL_BYTES
        if is_large and group:
            yield tuple(group)
            group, size = [], 0
        group.append(item)
        size += file.size
        if is_large or size >= _TOGETHER_BYTES or zlib.crc32(file.path.encode()) % _MEAN_FILES == 0:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)
