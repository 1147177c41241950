"""The Dagster instance that the command line tells what it did: that of `DAGSTER_HOME`, or one under the pipeline's home."""

import os
from pathlib import Path

import dagster as dg

_CONFIGURATION = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
"""Of an instance that we create: nothing about this pipeline leaves the machine, and nothing asks for it."""


def open_instance(default_home: Path) -> dg.DagsterInstance:
    """The instance of `DAGSTER_HOME` where that is set, otherwise the one at `default_home`, created at its first use."""
    if not os.environ.get("DAGSTER_HOME"):
        default_home.mkdir(parents=True, exist_ok=True)
        configuration = default_home / "dagster.yaml"
        if not configuration.exists():
            configuration.write_text(_CONFIGURATION, encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(default_home)
    return dg.DagsterInstance.get()
