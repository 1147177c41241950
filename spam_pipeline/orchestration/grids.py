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
    HoursOfDay,
    Partitions,
    PartitionsUpTo,
    PartsOfMonth,
    TrailingDays,
)
from spam_pipeline.protocol.operating import Selection

_SPAN, _NAME = "date", "name"
"""Dimensions of a grid with both. Dagster joins a key in the order of their names, which has to be that of the protocol's keys."""


def partitions_definition(partitions: Partitions, start: date) -> dg.PartitionsDefinition[str] | None:
    """Dagster's grid for `partitions` from `start` to the current hour, day or month, which is included; None for what is not partitioned."""
    spans = _spans(partitions.grain, start)
    if not partitions.names:
        return spans
    names = dg.StaticPartitionsDefinition(list(partitions.names))
    return names if spans is None else dg.MultiPartitionsDefinition({_SPAN: spans, _NAME: names})


def _spans(grain: Grain, start: date) -> dg.TimeWindowPartitionsDefinition | None:
    if grain is Grain.HOUR:
        return dg.HourlyPartitionsDefinition(f"{start}T00", fmt="%Y-%m-%dT%H", end_offset=1)
    if grain is Grain.DAY:
        return dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=1)
    if grain is Grain.MONTH:
        return dg.MonthlyPartitionsDefinition(start_date=f"{start:%Y-%m}", fmt="%Y-%m", end_offset=1)
    return None


def key_in_dagster(partition: str) -> str | None:
    """Dagster's key of a partition: none for the one of what is not partitioned, one by dimensions for a span and a name."""
    if partition == WHOLE:
        return None
    span, _, name = partition.partition("|")
    return dg.MultiPartitionKey({_SPAN: span, _NAME: name}) if name else partition


def _by_name(upstream: Partitions, own: Partitions) -> dg.PartitionMapping | None:
    """The mapping between grids of which one has no spans: by name where both have the same ones."""
    if upstream.names != own.names:
        return dg.AllPartitionMapping()
    if upstream.grain is own.grain:
        return None
    with preview_apis():
        return dg.MultiToSingleDimensionPartitionMapping(_NAME)


def partition_mapping(selection: Selection, upstream: Partitions, own: Partitions) -> dg.PartitionMapping | None:
    """The mapping of an asset of grid `own` that reads one of grid `upstream`; None where Dagster's default will do.

    Parts are mapped as if everything arrived on the day on which it happened. They may come from any arrival day, but a mapping
    that says so made a backfill of ten arrival days ask for every event day there is (332 of them).
    """
    if upstream.is_whole or own.is_whole:
        return None
    if Grain.NONE in {upstream.grain, own.grain}:
        return _by_name(upstream, own)
    if bool(upstream.names) != bool(own.names):
        with preview_apis():
            return dg.MultiToSingleDimensionPartitionMapping(_SPAN)
    if isinstance(selection, TrailingDays | HoursOfDay | DaysOfMonth | PartsOfMonth):
        days_back = selection.days - 1 if isinstance(selection, TrailingDays) else 0
        with preview_apis():
            return dg.TimeWindowPartitionMapping(start_offset=-days_back, allow_nonexistent_upstream_partitions=True)
    return dg.AllPartitionMapping() if isinstance(selection, PartitionsUpTo) else None
