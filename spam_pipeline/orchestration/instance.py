"""Dagster instances: the one that the command line reports to, and the environment that an instance belongs to.

The command line reports to that of `DAGSTER_HOME`, or to one under the pipeline's home. An instance hears of one environment: other
teams' sensors listen to production's, where an asset has no other name in somebody's branch.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock

from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import PRODUCTION, Engine

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


_ENVIRONMENT = "spam_pipeline/environment"
"""The key under which an instance keeps the environment that it belongs to, in the storage that all its processes share."""


class InstanceOfAnother(PipelineError):
    """A Dagster instance belongs to another environment than the one that would report to it."""


def require_instance_of(instance: dg.DagsterInstance, environment: str) -> None:
    """Raise `InstanceOfAnother` unless an instance belongs to `environment`; one that belongs to none does from now on.

    One that earlier releases reported to says nothing of that, and is taken for production's.
    """
    belongs_to = instance.run_storage.get_cursor_values({_ENVIRONMENT}).get(_ENVIRONMENT)
    if belongs_to is None:
        belongs_to = PRODUCTION if _shows_anything(instance) else environment
        instance.run_storage.set_cursor_values({_ENVIRONMENT: belongs_to})
    if belongs_to != environment:
        raise InstanceOfAnother(
            f"this Dagster instance belongs to the environment {belongs_to}, and hears nothing of {environment}: "
            f"start Dagster with a DAGSTER_HOME of its own for {environment}, or set SPAM_PIPELINE_ENVIRONMENT={belongs_to}"
        )


def _shows_anything(instance: dg.DagsterInstance) -> bool:
    return any(instance.get_latest_materialization_events(instance.get_asset_keys()).values())


def engine_resource(open_engine: Callable[[], Engine]) -> dg.ResourceDefinition:
    """The engine for the runs of one instance. A run in the instance of another environment fails before anything of it is done."""

    @dg.resource(description="Runs stages over the ledger and the store of this pipeline.")
    def engine(context: dg.InitResourceContext) -> Engine:
        opened = open_engine()
        if context.instance:
            require_instance_of(context.instance, opened.environment)
        return opened

    return engine


@contextmanager
def only_one_at(home: Path) -> Iterator[None]:
    """Let one process at a time create an instance or report to it: two first convergences at once broke the one they created."""
    with FileLock(home / "spam_pipeline.lock"):
        yield


def open_instance(default_home: Path) -> dg.DagsterInstance:
    """The instance of `DAGSTER_HOME` where that is set, otherwise the one at `default_home`, created at its first use."""
    named = os.environ.get("DAGSTER_HOME")
    home = Path(named) if named else default_home
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    if not named and not configuration.exists():
        configuration.write_text(_CONFIGURATION, encoding="utf-8")
    with only_one_at(home):
        instance = dg.DagsterInstance.get() if named else dg.DagsterInstance.from_config(str(home))
        instance.get_runs(limit=1)  # each storage creates its tables when it is first used
        instance.get_latest_materialization_event(dg.AssetKey("plays"))
        instance.all_instigator_state()
    return instance
