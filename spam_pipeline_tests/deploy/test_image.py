"""The image: what it copies is there, it is installed from the lock, and it runs as nobody in particular."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


def copied() -> set[str]:
    return {path for line in instructions("COPY") if "--from" not in line for path in line.split()[:-1]}


def test_what_it_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    assert copied() == sent
    assert all((ROOT / path).exists() for path in sent)
    assert fnmatch("spam_pipeline/protocol/__pycache__", ignored[-1]), "bytecode of this machine stays here"


def test_it_is_installed_from_the_lock_with_what_a_deployment_adds() -> None:
    installs = [line for line in instructions("RUN") if "pip --python" in line]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    locked, own = installs
    assert locked.endswith('install --constraint requirements.lock ".[deploy]"')
    assert own.endswith("install --no-deps --force-reinstall .")
    assert "deploy" in extras


def test_the_result_has_no_root_and_nothing_of_the_build_but_the_environment() -> None:
    result = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", result, re.MULTILINE) == ["10001"]
    assert "--uid 10001" in result
    assert re.findall(r"^COPY (.+)$", result, re.MULTILINE) == ["--from=build /opt/venv /opt/venv"]
    assert "pip" not in result.replace("spam_pipeline", "")


def test_its_health_check_asks_the_port_that_its_command_listens_on() -> None:
    command = json.loads(instructions("CMD")[0])
    asked = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[-1] == asked[-1]
