"""Grids and selections in Dagster's terms: partitions definitions and partition mappings. No asset and no data.

Dagster needs these to draw lineage and to order a backfill; the protocol decides which parts a version really reads.
"""

from datetime import date

import dagster as dg

from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.protocol import (
    WHOLE,
    DaysOfMonth,
    Grain,
    Partitions,
    PartitionsUpTo,
    PartsOfMonth,
    TrailingDays,
)
from spam_pipeline.protocol.operating import Selection


def partitions_definition(partitions: Partitions, start: date) -> dg.PartitionsDefinition[str] | None:
    """Dagster's grid for `partitions` from `start` to the current day or month, which is included."""
    if partitions.grain is Grain.DAY:
        return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)
    if partitions.grain is Grain.MONTH:
        return dg.MonthlyPartitionsDefinition(start_date=f"{start:%Y-%m}", fmt="%Y-%m", end_offset=1)
    return None


def key_in_dagster(partition: str) -> str | None:
    """Dagster's key of a partition: none for the one of what is not partitioned."""
    return None if partition == WHOLE else partition


def partition_mapping(selection: Selection, upstream: Partitions, own: Partitions) -> dg.PartitionMapping | None:
    """The mapping of an asset of grid `own` that reads one of grid `upstream`; None where Dagster's default will do.

    Parts are mapped as if everything arrived on the day on which it happened. They may come from any arrival day, but a mapping
    that says so made a backfill of ten arrival days ask for every event day there is (332 of them).
    """
    if Grain.NONE in (upstream.grain, own.grain):
        return None
    if isinstance(selection, TrailingDays | DaysOfMonth | PartsOfMonth):
        days_back = selection.days - 1 if isinstance(selection, TrailingDays) else 0
        with preview_apis():
            return dg.TimeWindowPartitionMapping(start_offset=-days_back, allow_nonexistent_upstream_partitions=True)
    return dg.AllPartitionMapping() if isinstance(selection, PartitionsUpTo) else None
