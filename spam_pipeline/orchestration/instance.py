"""The Dagster instance that the command line reports to: that of `DAGSTER_HOME`, or one under the pipeline's home."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock

_CONFIGURATION = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
retention:
  sensor:
    purge_after_days:
      skipped: 1
"""
"""Configuration of an instance that we create: nothing about this pipeline leaves the machine, and nothing asks for it; a
requested convergence starts soon; and ticks that found nothing are forgotten after a day.
"""


@contextmanager
def only_one_at(home: Path) -> Iterator[None]:
    """Let one process at a time create an instance or report to it: two first convergences at once broke the one they created."""
    with FileLock(home / "spam_pipeline.lock"):
        yield


def open_instance(default_home: Path) -> dg.DagsterInstance:
    """The instance of `DAGSTER_HOME` where that is set, otherwise the one at `default_home`, created at its first use."""
    if not os.environ.get("DAGSTER_HOME"):
        default_home.mkdir(parents=True, exist_ok=True)
        configuration = default_home / "dagster.yaml"
        if not configuration.exists():
            configuration.write_text(_CONFIGURATION, encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(default_home)
    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with only_one_at(home):
        instance = dg.DagsterInstance.get()
        instance.get_runs(limit=1)  # each storage creates its tables when it is first used
        instance.get_latest_materialization_event(dg.AssetKey("plays"))
        instance.all_instigator_state()
    return instance
