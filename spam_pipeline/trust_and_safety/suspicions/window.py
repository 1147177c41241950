"""The window's listening, whole and by ranges of devices that fit into memory together.

What is summed per device, or over devices, is summed range by range: no device is in two of them, so sums of sums are exact.
"""

from typing import Final, NamedTuple

import polars as pl

from spam_pipeline.protocol import key_ranges, rows_in, slices_of

ROWS_AT_ONCE: Final = 1_000_000
"""Rows of listening that are grouped at once, at some 400 bytes each."""


class Window(NamedTuple):
    """Listening with the `item` of each track: all of it, to be read in passes, and by ranges of devices with so many rows."""

    listening: pl.LazyFrame
    ranges: tuple[pl.LazyFrame, ...]
    rows_at_once: int


def window_of(listening: pl.LazyFrame, tracks: pl.DataFrame, rows_at_once: int = ROWS_AT_ONCE) -> Window:
    """Divide the window's `listening` into ranges of about `rows_at_once` rows. `tracks` has the item of each track."""
    heard = listening.join(tracks.lazy().select("track_key", "item"), on="track_key")
    # Listening is ordered by device, so a range reads little more than its own row groups of each day.
    ranges = key_ranges(pl.col("device_key"), slices_of(rows_in(listening), rows_at_once))
    return Window(heard, tuple(heard.filter(devices) for devices in ranges), rows_at_once)
