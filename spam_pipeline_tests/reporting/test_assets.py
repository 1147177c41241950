"""What reporting's stages declare."""

import pytest

from spam_pipeline.protocol.selection import EveryPartition, EveryStage, SamePartition
from spam_pipeline.reporting.assets import STAGES, warehouse, widget_counts


def test_reporting_owns_its_stages() -> None:
    assert [stage.name for stage in STAGES] == [
        "daily_plays",
        "top_countries",
        "track_play_counts",
        "widget_counts",
        "warehouse",
    ]
    assert {(stage.context, stage.owner) for stage in STAGES} == {("reporting", "team:reporting")}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_says_what_it_is(stage: object) -> None:
    assert len(getattr(stage, "description", "")) > 80


def test_daily_stages_read_their_own_day_and_the_others_read_everything() -> None:
    assert [stage.selections for stage in STAGES] == [{"classified_plays": SamePartition()}] * 3 + [
        {"track_play_counts": EveryPartition()},
        {"catalogue": EveryStage()},
    ]


def test_two_stages_are_delivered_to_the_places_that_the_settings_name() -> None:
    assert [stage for stage in STAGES if stage.delivery] == [widget_counts, warehouse]
    assert [stage.delivery.target for stage in STAGES if stage.delivery] == ["widget_store", "warehouse_file"]
