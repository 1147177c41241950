"""What reporting's stages declare."""

from typing import Any

import pytest

from spam_pipeline.protocol import DaysOfMonth, EveryPartition, EveryStage, PartsOfMonth, PartsUpToMonth, SamePartition
from spam_pipeline.reporting.assets import (
    STAGES,
    incident_listeners,
    incident_plays,
    report_pages,
    track_play_counts,
    warehouse,
    widget_counts,
)
from spam_pipeline_tests.contract_helpers import as_declared, needless_columns, partitions_read, with_columns_declared
from spam_pipeline_tests.reporting.conftest import PlaysOf


def test_reporting_owns_its_stages() -> None:
    assert [stage.name for stage in STAGES] == [
        "daily_plays",
        "top_countries",
        "plays_by_spam_probability",
        "spam_by_type",
        "track_play_counts",
        "widget_counts",
        "incident_plays",
        "incident_listeners",
        "reports",
        "report_pages",
        "warehouse",
    ]
    assert {(stage.context, stage.owner) for stage in STAGES} == {("reporting", "team:reporting")}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_says_what_it_is(stage: object) -> None:
    assert len(getattr(stage, "description", "")) > 80


def test_daily_stages_read_their_own_day_and_the_others_read_everything() -> None:
    assert [partitions_read(stage) for stage in STAGES] == [{"classified_plays": SamePartition()}] * 5 + [
        {"track_play_counts": EveryPartition()},
        {"classified_plays": SamePartition()},
        {"classified_plays": SamePartition()},
        {
            "daily_plays": DaysOfMonth(),
            "spam_by_type": DaysOfMonth(),
            "incident_plays": DaysOfMonth(),
            "incident_listeners": DaysOfMonth(),
            "incidents": PartsOfMonth(),
            "royalty_usage": DaysOfMonth(),
            "statement_basis": SamePartition(),
            "royalty_statements": SamePartition(),
            "royalty_adjustments": SamePartition(),
            "suspected_incidents": DaysOfMonth(),
            "tracks": PartsUpToMonth(),
            "rights": SamePartition(),
        },
        {"reports": EveryPartition()},
        {"catalogue": EveryStage()},
    ]


def test_three_stages_are_delivered_to_the_places_that_the_settings_name() -> None:
    assert [stage for stage in STAGES if stage.delivery] == [widget_counts, report_pages, warehouse]
    assert [stage.delivery.target for stage in STAGES if stage.delivery] == [
        "widget_store",
        "reports_folder",
        "warehouse_file",
    ]


@pytest.mark.parametrize("stage", [*STAGES[:6], incident_plays, incident_listeners], ids=lambda stage: stage.name)
def test_a_stage_reads_the_columns_that_it_declares_and_no_others(stage: Any, plays_of: PlaysOf) -> None:
    classified = plays_of([{"track_key": key, "spam_probability": key / 3} for key in range(4)])
    inputs = {"classified_plays": classified}
    if stage is widget_counts:
        inputs = {"track_play_counts": track_play_counts(classified)}
    assert with_columns_declared(stage) == inputs.keys()
    assert stage(**as_declared(stage, inputs)).collect().equals(stage(**inputs).collect())
    assert needless_columns(stage, inputs) == []


def test_counts_take_anything_timely() -> None:
    assert not any(stage.settled_after_days for stage in STAGES)
    assert not any(reads.expectations for stage in STAGES for reads in stage.inputs.values())
