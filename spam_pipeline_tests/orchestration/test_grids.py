"""What a backfill from the UI asks for, over the pipeline's own grids and mappings."""

import dagster as dg

from spam_pipeline_tests.orchestration.backfills import asked_for, launch, workspace

TEN_DAYS = [f"2026-03-{day:02d}" for day in range(1, 11)]


def test_a_backfill_of_ten_days_asks_for_those_days_of_what_arrived_and_of_what_happened(
    instance: dg.DagsterInstance,
) -> None:
    """A play may come from any arrival day, but lineage that says so asked for the whole grid, 332 days."""
    assets = [dg.AssetKey("received_plays"), dg.AssetKey("plays")]
    with workspace(instance, "spam_pipeline.definitions", "defs") as process:
        asked = asked_for(process, launch(process, assets, TEN_DAYS))
    assert asked == {"received_plays": TEN_DAYS, "plays": TEN_DAYS}


def test_a_backfill_asks_for_the_days_after_it_where_a_window_reaches_back(instance: dg.DagsterInstance) -> None:
    assets = [dg.AssetKey("received_plays"), dg.AssetKey("plays"), dg.AssetKey("play_signals")]
    with workspace(instance, "spam_pipeline.definitions", "defs") as process:
        asked = asked_for(process, launch(process, assets, TEN_DAYS))
    assert asked["plays"] == TEN_DAYS
    assert asked["play_signals"][0] == TEN_DAYS[0]
    assert set(TEN_DAYS) < set(asked["play_signals"]) < {f"2026-03-{day:02d}" for day in range(1, 32)}
