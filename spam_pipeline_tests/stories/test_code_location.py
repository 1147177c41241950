"""The code location of a deployment, before anything of it runs."""

from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.definitions import build_definitions
from spam_pipeline.operations.identifier_key import DevelopmentKeyRefused
from spam_pipeline.settings import Settings


@pytest.mark.usefixtures("no_settings")
def test_it_is_loaded_without_a_key_and_observes_nothing_that_was_not_simulated(tmp_path: Path) -> None:
    file = tmp_path / "landing" / "plays" / "2026-01-01" / "00" / "a.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}\n", encoding="utf-8")
    sensor = build_definitions(Settings(home=tmp_path)).resolve_sensor_def("landing")
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(DevelopmentKeyRefused):
        sensor(dg.build_sensor_context(instance=instance))
