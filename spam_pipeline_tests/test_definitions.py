"""The code location, as Dagster's own tools find it."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from dagster_dg_cli.cli import create_dg_cli

ROOT = Path(__file__).parents[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the tool's own libraries
def test_dg_finds_the_project_and_its_definitions_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    checked = CliRunner().invoke(create_dg_cli(), ["check", "defs", "--use-active-venv"])
    assert checked.exit_code == 0, checked.output
    assert "All definitions loaded successfully" in checked.output
