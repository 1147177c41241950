"""Launchers of runs that launch nothing outside this process, and what can go wrong with one."""

from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from typing_extensions import override

JOBS: dict[str, dg.JobDefinition] = {}
"""The jobs that workers know, by name: a code location, which a test deploys here."""


class Launcher(RunLauncher, ConfigurableClass):
    """The base of all of them."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    @override
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    @override
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    @override
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data)

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        raise NotImplementedError

    @override
    def terminate(self, run_id: str) -> bool:
        return False


class Working(Launcher):
    """Runs at once what it is asked for."""

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        execute_run(InMemoryJob(JOBS[context.dagster_run.job_name]), context.dagster_run, self._instance)


class Dying(Launcher):
    """Starts a run whose worker is dead before it does anything, and never says so."""

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        started = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
        self._instance.report_dagster_event(started, run_id=run.run_id)


class Cancelling(Launcher):
    """Starts a run that a person cancels."""

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        self._instance.report_run_canceled(context.dagster_run)


class Unreachable(Launcher):
    """Launches nothing, as one whose broker is away."""

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        raise ConnectionError("the broker is away")
