"""The values for Dagster's Helm chart: what the chart makes of them is built here as it does, down to the job of a run.

The chart itself cannot be had in tests. Its names for things were read once, in its templates and in the models of its schema.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterRun
from dagster._config import process_config
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_k8s.launcher import K8sRunLauncher
from dagster_postgres.utils import pg_url_from_config

from spam_pipeline import dagster_links
from spam_pipeline.operations.pipeline import STAGES
from spam_pipeline.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
VERSION: str = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
LOCATION: dict[str, Any] = VALUES["dagster-user-deployments"]["deployments"][0]
LAUNCHER: dict[str, Any] = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
SECRET = dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / "secret.example.env").read_text(encoding="utf-8"), re.MULTILINE))


def launcher_config() -> dict[str, Any]:
    """The launcher's part of `dagster.yaml`, as the chart's template writes it."""
    return {
        "load_incluster_config": True,
        "image_pull_policy": LAUNCHER["imagePullPolicy"],
        "service_account_name": "dagster",
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "fail_pod_on_run_failure": LAUNCHER["failPodOnRunFailure"],
        "security_context": LAUNCHER["securityContext"],
        "run_k8s_config": {"job_spec_config": LAUNCHER["runK8sConfig"]["jobSpecConfig"]},
    }


def of_the_location() -> dict[str, Any]:
    """What the code location says of its runs, as the chart's template writes it."""
    return {
        "k8s": {
            "image_pull_policy": LOCATION["image"]["pullPolicy"],
            "env_config_maps": ["dagster-spam-pipeline-user-env"],
            "env_secrets": [secret["name"] for secret in LOCATION["envSecrets"]],
            "resources": LOCATION["resources"],
        }
    }


def job_of_a_run(**tags: str) -> dict[str, Any]:
    """The job of Kubernetes for a run with these tags."""
    config = process_config(K8sRunLauncher.config_type(), launcher_config())
    assert config.success, config.errors
    run = DagsterRun(job_name="converge_batch", tags=tags)
    launcher = K8sContainerContext(
        security_context=config.value["security_context"],
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config.value["run_k8s_config"]),
    )
    context = launcher.merge(K8sContainerContext.create_from_config(of_the_location()))
    context = context.merge(K8sContainerContext.create_for_run(run, None, include_run_tags=True))
    image = "{repository}:{tag}".format(**LOCATION["image"])
    job = DagsterK8sJobConfig(image, "/opt/dagster/dagster_home")
    return construct_dagster_k8s_job(job, ["dagster"], "run", context.run_k8s_config).to_dict()


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]["containers"][0]


def test_a_run_is_the_image_of_the_code_server_with_its_secrets_and_without_root() -> None:
    job = job_of_a_run()
    container = container_of(job)
    assert container["image"] == f"registry.example.com/spam-pipeline:{VERSION}"
    assert {item["secret_ref"]["name"] for item in container["env_from"] if item["secret_ref"]} == {"spam-pipeline"}
    assert container["security_context"]["run_as_non_root"] is True
    assert job["spec"]["ttl_seconds_after_finished"] == 3600


def test_a_run_has_the_resources_of_the_code_server_unless_tags_of_its_stage_say_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{PREFIX}RUN_TAGS", LOCATION["env"][f"{PREFIX}RUN_TAGS"])
    tags = Settings().run_tags
    assert container_of(job_of_a_run())["resources"]["limits"] == LOCATION["resources"]["limits"]
    assert container_of(job_of_a_run(**tags["play_signals"]))["resources"]["limits"] == {"memory": "24Gi"}
    assert tags.keys() <= {stage.name for stage in STAGES}


def test_the_user_is_that_of_the_image() -> None:
    users = {LOCATION["podSecurityContext"]["runAsUser"], LAUNCHER["securityContext"]["runAsUser"]}
    dockerfile = (FOLDER.parent / "Dockerfile").read_text(encoding="utf-8")
    assert users == {int(user) for user in re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE)}


def test_dagster_keeps_its_storage_in_postgresql_by_the_driver_that_it_is_written_for() -> None:
    server = VALUES["postgresql"]
    url = pg_url_from_config(
        {
            "postgres_db": {
                "username": server["postgresqlUsername"],
                "hostname": server["postgresqlHost"],
                "db_name": server["postgresqlDatabase"],
                "scheme": server["postgresqlScheme"],
            }
        }
    )
    assert url == "postgresql+psycopg2://dagster@postgresql.example.com:5432/dagster"
    assert server["enabled"] is False


def test_its_settings_are_settings_and_its_secrets_are_in_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**LOCATION["env"], **{name: value for name, value in SECRET.items() if name.startswith(PREFIX)}}
    assert {name.removeprefix(PREFIX).lower() for name in settings} <= Settings.model_fields.keys()
    assert {f"{PREFIX}IDENTIFIER_KEY", f"{PREFIX}LEDGER_URL", "AWS_SECRET_ACCESS_KEY"} <= SECRET.keys()
    for name, value in settings.items():
        monkeypatch.setenv(name, value or "a" * 32)
    assert Settings().store == LOCATION["env"][f"{PREFIX}STORE_URL"]


def test_the_location_has_the_name_that_links_lead_to_and_the_server_is_the_deployment() -> None:
    workspace = VALUES["dagsterWebserver"]["workspace"]
    server = {"host": LOCATION["name"], "port": LOCATION["port"], "name": dagster_links.LOCATION}
    assert (workspace["enabled"], workspace["servers"]) == (True, [server])
