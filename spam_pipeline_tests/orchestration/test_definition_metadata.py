"""What assets say of themselves: columns, where they come from, where the data and the code are, who answers, and tags."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from spam_pipeline.definitions import build_definitions
from spam_pipeline.settings import Settings

HOME = Path("/nowhere/home")
"""Building definitions opens and creates nothing."""


@cache
def nodes() -> AssetGraph:
    settings = Settings(home=HOME, start_date=date(2026, 1, 1), widget_url="redis://:secret@widgets:6379/0")
    return build_definitions(settings).resolve_asset_graph()


def metadata(name: str) -> dict[str, Any]:
    return {key: getattr(value, "value", value) for key, value in nodes().get(dg.AssetKey(name)).metadata.items()}


def passed_on(name: str) -> dict[str, list[str]]:
    lineage = metadata(name)["dagster/column_lineage"].deps_by_column
    return {
        column: [f"{item.asset_key.to_user_string()}.{item.column_name}" for item in deps]
        for column, deps in lineage.items()
    }


def column(stage: str, name: str) -> dg.TableColumn:
    (found,) = [item for item in metadata(stage)["dagster/column_schema"].columns if item.name == name]
    return found


def test_a_column_has_description_unit_and_constraints() -> None:
    percent = column("plays_by_spam_probability", "spam_percent")
    assert (percent.type, percent.description) == (
        "Int64",
        "Spam probability of the plays, rounded down. Unit: whole percent.",
    )
    assert (percent.constraints.nullable, list(percent.constraints.other)) == (
        False,
        ["key", "at least 0", "at most 100"],
    )
    assert column("plays", "user_key").constraints.nullable


def test_a_column_that_passes_through_has_its_lineage() -> None:
    assert passed_on("classified_plays")["ms_played"] == ["plays.ms_played"]
    assert passed_on("plays")["ms_played"] == ["received_plays.ms_played"]


def test_a_column_of_a_meaning_of_its_own_has_none() -> None:
    assert "plays" not in passed_on("widget_counts"), "all plays so far are no plays of a day"
    assert "payout_minor" not in passed_on("royalty_payments"), "what was paid earlier is not what is paid now"


def test_a_column_that_a_stage_does_not_read_is_not_passed_on() -> None:
    assert "event_id" not in passed_on("royalty_usage")
    assert passed_on("royalty_usage")["track_id"] == ["classified_plays.track_id"]


def test_what_is_joined_by_a_column_does_not_pass_it_on() -> None:
    assert passed_on("classified_plays")["device_key"] == ["plays.device_key"]


def test_a_relation_of_the_warehouse_is_named_as_there() -> None:
    assert metadata("daily_plays")["dagster/table_name"] == "reporting.daily_plays"
    assert "dagster/table_name" not in metadata("spam_model")
    assert "dagster/table_name" not in metadata("widget_counts"), "what is delivered elsewhere is not in the warehouse"


def test_data_elsewhere_has_a_uri_without_secrets() -> None:
    assert metadata("warehouse")["dagster/uri"] == (HOME / "warehouse.duckdb").as_uri()
    assert metadata("landed_plays")["dagster/uri"] == (HOME / "landing").as_uri()
    assert metadata("widget_counts")["dagster/uri"] == "redis://widgets:6379/0"


def test_code_is_that_of_the_stage_and_of_its_contract() -> None:
    stage, contract = metadata("daily_plays")["dagster/code_references"].code_references
    line = Path(stage.file_path).read_text(encoding="utf-8").splitlines()[stage.line_number - 1 :]
    assert next(text for text in line if text.startswith("def ")).startswith("def daily_plays(")
    assert Path(contract.file_path).parts[-2:] == ("reporting", "contracts.py")


@pytest.mark.parametrize(
    ("stage", "tags"),
    [
        ("plays", {"context": "ingestion"}),
        ("royalty_usage", {"context": "royalties", "spam_tolerance": "0.2"}),
        ("daily_plays", {"context": "reporting", "spam_tolerance": "0.8"}),
    ],
)
def test_tags_are_context_and_tolerance(stage: str, tags: dict[str, str]) -> None:
    assert nodes().get(dg.AssetKey(stage)).tags.items() >= tags.items()


def test_somebody_answers_for_every_asset() -> None:
    unowned = [key.to_user_string() for key in nodes().get_all_asset_keys() if not nodes().get(key).owners]
    assert set(unowned) <= {"convergence"}
