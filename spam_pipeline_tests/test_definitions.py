"""The code location, as Dagster's own tools find it."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from dagster_dg_cli.cli import create_dg_cli

from spam_pipeline.definitions import build_definitions
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.orchestration.automation import RunByConvergence
from spam_pipeline.settings import Settings, WrongSetting

ROOT = Path(__file__).parents[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the tool's own libraries
def test_dg_finds_the_project_and_its_definitions_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    checked = CliRunner().invoke(create_dg_cli(), ["check", "defs", "--use-active-venv"])
    assert checked.exit_code == 0, checked.output
    assert "All definitions loaded successfully" in checked.output


def test_tags_of_a_stage_that_there_is_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match=r"SPAM_PIPELINE_RUN_TAGS: no stage is named play_signal$"):
        build_definitions(Settings(home=tmp_path, run_tags={"play_signal": {}, "plays": {}}))


def test_the_page_of_every_stage_names_the_sensor_that_really_starts_it(tmp_path: Path) -> None:
    repository = build_definitions(Settings(home=tmp_path)).get_repository_def()
    graph = repository.asset_graph
    [converge] = [item for item in repository.sensor_defs if item.name == "converge"]
    assert converge.asset_selection is not None
    started = converge.asset_selection.resolve(graph)
    conditions = {key.path[-1]: graph.get(key).automation_condition for key in started}
    assert set(conditions) == {*Pipeline(Settings(home=tmp_path)).graph.stages, "convergence"}
    assert not isinstance(conditions.pop("convergence"), RunByConvergence)
    assert all(isinstance(condition, RunByConvergence) for condition in conditions.values())
