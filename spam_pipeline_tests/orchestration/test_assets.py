"""Stages as Dagster assets, over a real instance: runs, checks, loading, re-execution."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from spam_pipeline.orchestration.assets import ENGINE, READER, source_asset, stage_asset
from spam_pipeline.orchestration.checks import stage_checks
from spam_pipeline.orchestration.io_manager import published_versions
from spam_pipeline.orchestration.metadata import format_bytes
from spam_pipeline.protocol.operating import PRODUCTION, Engine, converge
from spam_pipeline_tests.orchestration.toy_location import last_check
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land, landed_numbers, toy_engine, toy_graph
from spam_pipeline_tests.protocol.toy_runs import take_back

START = date(2026, 1, 1)


@dg.asset(partitions_def=dg.DailyPartitionsDefinition(start_date="2026-01-01"))
def other_teams_asset(context: dg.AssetExecutionContext, numbers: pl.LazyFrame) -> None:
    context.add_output_metadata({"total": numbers.select(pl.col("number").sum()).collect().item()})


@dg.asset
def other_teams_total(context: dg.AssetExecutionContext, numbers: pl.LazyFrame, model: dict[str, int]) -> None:
    context.add_output_metadata({"total": numbers.select(pl.col("number").sum()).collect().item(), "days": len(model)})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1", "2026-01-01 2", "broken")
    land(home, "2026-01-02", "a", "2026-01-02 10", "2026-01-01 2")
    return home


@pytest.fixture
def engine(home: Path) -> Engine:
    return toy_engine(home)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def definitions(engine: Engine, home: Path) -> dg.Definitions:
    graph = toy_graph(home)
    return dg.Definitions(
        assets=[
            source_asset(landed_numbers, START),
            *(stage_asset(stage, graph, START) for stage in STAGES),
            other_teams_asset,
            other_teams_total,
        ],
        asset_checks=[stage_checks(stage, graph, START) for stage in STAGES],
        jobs=[dg.define_asset_job("one_day", dg.AssetSelection.assets("received_numbers", "numbers", "two_day_total"))],
        resources={ENGINE: engine, READER: published_versions},
        executor=dg.in_process_executor,
    )


def materialize(
    engine: Engine, home: Path, instance: dg.DagsterInstance, *names: str, partition: str | None = None
) -> dg.ExecuteInProcessResult:
    job = definitions(engine, home).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(name) for name in names],
        partition_key=partition,
        instance=instance,
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    event = result.asset_materializations_for_node(name)[0]
    return {key: value.value for key, value in event.metadata.items()}


def test_a_run_of_one_partition_goes_through_all_its_stages(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    job = definitions(engine, home).resolve_job_def("one_day")
    result = job.execute_in_process(partition_key="2026-01-01", instance=instance)
    assert result.success
    assert engine.reader.read("two_day_total", ["2026-01-01"]).collect()["total"].to_list() == [3]


def test_a_materialization_says_what_the_version_is(engine: Engine, home: Path, instance: dg.DagsterInstance) -> None:
    materialize(engine, home, instance, "received_numbers", partition="2026-01-01")
    shown = metadata(materialize(engine, home, instance, "numbers", partition="2026-01-01"), "numbers")
    version = engine.reader.version("numbers", "2026-01-01")
    assert (shown["recipe"], shown["content"], shown["code_version"]) == (
        version.recipe,
        version.content,
        version.code_version,
    )
    assert (shown["dagster/partition_row_count"], shown["rows_read"], shown["size_bytes"]) == (2, 2, version.bytes)
    assert (shown["version"], shown["size"]) == (version.recipe[:16], format_bytes(version.bytes))
    assert list(shown).index("version") < list(shown).index("recipe")
    assert (shown["fingerprint/numbers"], shown["fingerprint/total"]) == (2, 3)
    assert "dagster/column_schema" not in shown, "it would hide the constraints of the definition"
    assert shown["inputs"].records[0].data["from"] == "received_numbers"


def test_a_materialization_says_why_and_how_it_came_about(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    shown = metadata(
        materialize(engine, home, instance, "received_numbers", partition="2026-01-01"), "received_numbers"
    )
    assert (shown["why"], shown["action"]) == ("missing", "computed")
    land(home, "2026-01-01", "b", "2026-01-01 3")
    shown = metadata(
        materialize(engine, home, instance, "received_numbers", partition="2026-01-01"), "received_numbers"
    )
    assert (shown["why"], shown["action"]) == ("data: 2026-01-01/b.txt", "computed")
    (home / "landing/2026-01-01/b.txt").unlink()
    shown = metadata(
        materialize(engine, home, instance, "received_numbers", partition="2026-01-01"), "received_numbers"
    )
    assert (shown["why"], shown["action"]) == ("data: 2026-01-01/b.txt (removed)", "reused")


def test_the_ledger_knows_which_run_published(engine: Engine, home: Path, instance: dg.DagsterInstance) -> None:
    run = materialize(engine, home, instance, "received_numbers", partition="2026-01-01").run_id
    assert [item.trigger.run for item, _ in engine.ledger.publications_after(0, PRODUCTION)] == [run]


def test_a_partition_that_there_is_nothing_for_any_more_is_retracted_with_a_warning(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    materialize(engine, home, instance, "received_numbers", partition="2026-01-01")
    take_back(engine, "received_numbers", "2026-01-01", home / "landing/2026-01-01/a.txt")
    result = materialize(engine, home, instance, "received_numbers", partition="2026-01-01")
    assert result.success
    assert result.asset_materializations_for_node("received_numbers") == []
    told = last_check(instance, "received_numbers", "contract", "2026-01-01")
    assert told is not None
    assert "no longer published" in str(told.description)
    assert engine.ledger.published(PRODUCTION, ["received_numbers"]) == {"received_numbers": {}}


def test_dagster_knows_the_content_as_the_data_version(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    materialize(engine, home, instance, "received_numbers", partition="2026-01-01")
    event = instance.get_latest_materialization_event(dg.AssetKey("received_numbers"))
    assert event is not None
    assert event.asset_materialization is not None
    tags = event.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == engine.reader.version("received_numbers", "2026-01-01").content


def test_running_a_fresh_partition_again_computes_nothing(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    materialize(engine, home, instance, "received_numbers", partition="2026-01-01")
    again = materialize(engine, home, instance, "received_numbers", partition="2026-01-01")
    assert metadata(again, "received_numbers")["action"] == "nothing"
    assert len(engine.ledger.versions("received_numbers", "2026-01-01")) == 1


def test_a_refused_version_fails_its_check_and_is_not_materialized(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    land(home, "2026-01-02", "b", "2026-01-02 -5")
    result = materialize(engine, home, instance, "received_numbers", partition="2026-01-02")
    assert not result.success
    assert result.asset_materializations_for_node("received_numbers") == []
    told = last_check(instance, "received_numbers", "contract", "2026-01-02")
    assert told is not None
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "number" in str(told.metadata["findings"].value)
    assert instance.get_latest_materialization_event(dg.AssetKey("received_numbers")) is None


def test_a_partition_that_is_held_is_skipped_and_says_why(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    result = materialize(engine, home, instance, "numbers", partition="2026-01-09")
    assert result.success
    assert result.asset_materializations_for_node("numbers") == []
    warning = last_check(instance, "numbers", "contract", "2026-01-09")
    assert warning is not None
    assert (warning.passed, warning.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "nothing to compute it from has landed" in str(warning.description)


def test_another_teams_asset_reads_the_published_partition_by_naming_it(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    engine.observe()
    converge(engine)
    result = materialize(engine, home, instance, "other_teams_asset", partition="2026-01-01")
    assert metadata(result, "other_teams_asset")["total"] == 3


def test_another_teams_asset_reads_what_is_published_and_nothing_else(
    engine: Engine, home: Path, instance: dg.DagsterInstance
) -> None:
    result = materialize(engine, home, instance, "other_teams_asset", partition="2026-01-01")
    assert not result.success
    failure = result.get_step_failure_events()[0].step_failure_data.error
    assert failure is not None
    assert "numbers 2026-01-01 is not published in production" in str(failure)


def test_an_asset_shows_owner_group_and_description_of_its_stage(engine: Engine, home: Path) -> None:
    graph = definitions(engine, home).resolve_asset_graph()
    node = graph.get(dg.AssetKey("numbers"))
    assert (node.group_name, node.owners, node.description) == (
        "protocol",
        ["team:toys"],
        "The day's distinct numbers.",
    )
    assert node.parent_keys == {dg.AssetKey("received_numbers")}
    assert node.code_version == toy_graph(home).code_versions["numbers"].digest
