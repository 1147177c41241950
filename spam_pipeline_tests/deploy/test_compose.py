"""The deployment on one machine, as far as it can be checked without containers: what its files name is there, and they agree.

That its processes work together is a story: `spam_pipeline_tests/stories/test_topology.py` starts the same commands with the same
`dagster.yaml` and the same environment.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.config_schema import process_workspace_config
from dagster_celery.launcher import CeleryRunLauncher

from spam_pipeline.settings import PREFIX, Settings
from spam_pipeline_tests.deploy.test_image import instructions

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"] == "spam-pipeline"}
ENVIRONMENT: dict[str, str] = COMPOSE["x-environment"]
FILLED_IN = {"START_DATE": "2026-01-01", "NOTIFY": "", "DAGSTER_URL": "https://dagster.example.com"}


def test_it_has_every_part_of_the_topology() -> None:
    assert SERVICES.keys() - OURS == {"postgresql", "valkey", "object-store"}
    assert {"buckets", "code-server", "webserver", "daemon", "worker"} == OURS
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("service", sorted(OURS))
def test_a_command_is_one_that_the_image_has(service: str) -> None:
    program = SERVICES[service]["command"][0]
    assert shutil.which(program, path=str(Path(sys.executable).parent)), program


@pytest.mark.parametrize("service", sorted(OURS - {"buckets", "code-server"}))
def test_every_process_has_a_health_check_of_its_own(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_the_code_server_is_what_the_image_starts_by_itself_and_where_the_workspace_looks_for_it() -> None:
    command = SERVICES["code-server"]["command"]
    workspace = yaml.safe_load((FOLDER / "workspace.yaml").read_text(encoding="utf-8"))
    server = workspace["load_from"][0]["grpc_server"]
    assert process_workspace_config(workspace).success
    assert instructions("CMD") == [re.sub("'", '"', str(command))]
    assert (server["host"], str(server["port"])) == ("code-server", command[-1])


def hosts() -> Iterator[str]:
    for value in ENVIRONMENT.values():
        if "://" in value and not value.startswith("s3://"):
            yield str(sa.make_url(re.sub(r"\$\{(\w+)[^}]*\}", r"\1", value)).host)


def test_what_it_names_of_itself_is_there() -> None:
    waited_for = {name for service in SERVICES.values() for name in service.get("depends_on", ())}
    mounted = [item.split(":")[0] for service in SERVICES.values() for item in service.get("volumes", ())]
    assert set(hosts()) | waited_for <= SERVICES.keys()
    assert {name for name in mounted if not name.startswith("./")} == COMPOSE["volumes"].keys()
    assert all((FOLDER / name).is_file() for name in mounted if name.startswith("./"))


def test_its_buckets_are_the_ones_that_it_makes() -> None:
    named = {value.split("/")[2] for value in ENVIRONMENT.values() if value.startswith("s3://")}
    assert set(re.findall(r'"(\w+)"', SERVICES["buckets"]["command"][-1])) == named


def test_its_secrets_are_asked_for_and_nothing_else_is() -> None:
    asked = re.findall(r"^(\w+)=(.*)$", (FOLDER / "env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name, _ in asked} == set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert [name for name, value in asked if value] == ["START_DATE"], "secrets have no default"


def test_its_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {name: value for name, value in ENVIRONMENT.items() if name.startswith(PREFIX)}
    assert {name.removeprefix(PREFIX).lower() for name in ours} <= Settings.model_fields.keys()
    for name, value in ours.items():
        monkeypatch.setenv(name, re.sub(r"\$\{(\w+)[^}]*\}", lambda asked: FILLED_IN.get(asked[1], "a" * 32), value))
    assert Settings().store == ENVIRONMENT[f"{PREFIX}STORE_URL"]


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InstanceRef:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    shutil.copy(FOLDER / "dagster.yaml", tmp_path)
    return InstanceRef.from_dir(str(tmp_path))


def test_runs_are_launched_by_celery_over_the_broker_of_the_workers(instance: InstanceRef) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, CeleryRunLauncher)
    assert (launcher.broker, launcher.backend) == (
        ENVIRONMENT["CELERY_BROKER_URL"],
        ENVIRONMENT["CELERY_RESULT_BACKEND"],
    )


def test_dagster_keeps_its_storage_in_postgresql_by_the_driver_that_it_is_written_for(instance: InstanceRef) -> None:
    storage = instance.storage_data
    assert storage is not None
    assert (storage.module_name, storage.class_name) == ("dagster_postgres", "DagsterPostgresStorage")
    assert ENVIRONMENT["DAGSTER_POSTGRES_URL"].startswith("postgresql+psycopg2://")
    assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"


def test_as_many_runs_are_launched_as_there_are_processes_for(instance: InstanceRef) -> None:
    worker = SERVICES["worker"]
    processes = int(worker["command"][worker["command"].index("--concurrency") + 1])
    launched = instance.settings["concurrency"]["runs"]["max_concurrent_runs"]
    assert launched == processes * worker["deploy"]["replicas"]
