"""The entrance: what a contributor reads and runs first is there and does what it says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent
SET_UP = "python3.11 -m venv "
"""How a command of README begins that sets everything up."""

RECORDING_PYTHON = """#!/bin/sh
record() { echo "$PWD $*" >> "$RECORDED"; }
record python3.11 "$@"
mkdir -p .venv/bin
for tool in pip pytest; do
  printf '#!/bin/sh\\necho "$PWD .venv/bin/%s $*" >> "$RECORDED"\\n' $tool > .venv/bin/$tool
  chmod +x .venv/bin/$tool
done
echo 'ls -A; echo "1 failed"; exit 5' >> .venv/bin/pytest
"""
"""Stands in for Python: writes down what is run, and makes an environment whose test run fails with status 5."""


def set_up_commands() -> list[str]:
    return [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith(SET_UP)]


def is_room(path: Path) -> bool:
    return path.joinpath("__init__.py").exists() or (path.suffix == ".py" and path.name != "__init__.py")


# The map


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_room_is_on_the_map(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rooms = [path for path in (ROOT / "spam_pipeline").iterdir() if is_room(path)]
    names = [f"`spam_pipeline/{path.name}{'/' if path.is_dir() else ''}`" for path in rooms]
    assert [name for name in names if name not in text] == []


def test_every_wing_of_the_protocol_is_on_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    wings = text.partition("## Wings of the protocol\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", wings, re.MULTILINE)
    assert sorted(listed) == sorted(
        path.stem for path in (ROOT / "spam_pipeline" / "protocol").iterdir() if is_room(path)
    )


def jobs() -> Iterator[list[str]]:
    """The commands of CONTRIBUTING's table of jobs, without the variables before them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## One command per job\n")[2].partition("\n## ")[0]
    for command in re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", table, re.MULTILINE):
        yield [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]


def test_every_job_has_a_tool_and_a_place() -> None:
    commands = list(jobs())
    tools = {tool for tool, *_ in commands}
    places = {word for command in commands for word in command if "/" in word}
    modules = {command[2] for command in commands if command[:2] == ["python", "-m"]}
    assert {tool for tool in tools if not (TOOLS / tool).exists() and shutil.which(tool) is None} == set()
    assert {place for place in places if not (ROOT / place).exists()} == set()
    assert {module for module in modules if find_spec(module) is None} == set()
    assert tools >= {"spam-pipeline", "pytest", "ruff", "mypy", "lint-imports", "zensical", "pre-commit"}


# The docs site


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy of what the docs site is built from; the site lies in it once it is built."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    (tmp_path / "spam_pipeline").symlink_to(ROOT / "spam_pipeline")
    return tmp_path


def build_site(docs: Path) -> subprocess.CompletedProcess[str]:
    command = [TOOLS / "zensical", "build", "--strict"]
    return subprocess.run(command, cwd=docs, capture_output=True, text=True, check=False)


def pages_of(navigation: Any) -> Iterator[str]:
    if isinstance(navigation, str):
        yield navigation
    else:
        for item in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from pages_of(item)


def test_the_site_has_every_page_and_the_reference_and_loads_nothing_from_elsewhere(docs: Path) -> None:
    built = build_site(docs)
    assert built.returncode == 0, built.stdout + built.stderr
    navigation = tomllib.loads((docs / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert sorted(pages_of(navigation)) == sorted(
        path.relative_to(docs / "docs").as_posix() for path in (docs / "docs").rglob("*.md")
    )
    assert 'id="spam_pipeline.Pipeline.read"' in (docs / "site" / "reference" / "pipeline" / "index.html").read_text()
    loaded = {
        tag
        for page in (docs / "site").rglob("*.html")
        for tag in re.findall(r"<(?:script|link|img)[^>]+", page.read_text())
    }
    assert loaded
    assert [tag for tag in loaded if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag)] == []


def test_links_that_lead_nowhere_stop_the_site(docs: Path) -> None:
    with (docs / "docs" / "protocol.md").open("a", encoding="utf-8") as page:
        page.write("[a page](nowhere.md), [a heading](royalties.md#nowhere), [a name][spam_pipeline.Nowhere]\n")
    built = build_site(docs)
    assert built.returncode == 1
    messages = ("page does not exist", "anchor does not exist", "unresolved link reference")
    # each once, above the line of the page and again below it
    assert [built.stderr.count(message) for message in messages] == [2, 2, 2]


# Before a commit


def test_a_commit_is_formatted_by_the_environment_of_the_project(tmp_path: Path) -> None:
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(TOOLS)
    (tmp_path / "untidy.py").write_text("A = [1,2]\n", encoding="utf-8")
    subprocess.run(["git", "-C", tmp_path, "init", "--quiet"], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "untidy.py", ".pre-commit-config.yaml"], check=True)

    done = subprocess.run(
        [TOOLS / "pre-commit", "run", "ruff-format"],
        cwd=tmp_path,
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "files were modified by this hook" in done.stdout
    assert (tmp_path / "untidy.py").read_text(encoding="utf-8") == "A = [1, 2]\n"


# Continuous integration


def test_the_continuous_integration_runs_the_test_command_of_the_readme_on_a_copy(tmp_path: Path) -> None:
    tree, temporary, tools, recorded = (tmp_path / name for name in ("tree", "temporary", "tools", "recorded"))
    for folder in (tree / ".ci", tree / ".venv", temporary, tools):
        folder.mkdir(parents=True)
    for name in (".ci/run", ".gitignore", "README.md"):
        shutil.copy(ROOT / name, tree / name)
    (tree / "removed").touch()
    subprocess.run(["git", "-C", tree, "init", "--quiet"], check=True)
    subprocess.run(["git", "-C", tree, "add", "."], check=True)
    (tree / "removed").unlink()
    (tree / "not added").touch()
    (tree / ".venv" / "of somebody").touch()
    (tools / "python3.11").write_text(RECORDING_PYTHON, encoding="utf-8")
    (tools / "chromium").touch()  # or it would be installed here
    for tool in tools.iterdir():
        tool.chmod(0o755)

    done = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tree,
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "TMPDIR": str(temporary),
            "RECORDED": str(recorded),
            "CI": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    ran = [line.rstrip().split(" ", 1) for line in recorded.read_text(encoding="utf-8").splitlines()]
    _, test_command = set_up_commands()
    assert [command for _, command in ran] == [" ".join(shlex.split(part)) for part in test_command.split("&&")]
    assert {Path(folder).parent for folder, _ in ran} == {temporary}, "it runs in a folder of its own"
    assert done.stdout.splitlines() == [".ci", ".gitignore", ".venv", "README.md", "not added", "1 failed"]
    assert done.returncode == 5
    assert list(temporary.iterdir()) == [], "the folder is gone"
    assert [path.name for path in (tree / ".venv").iterdir()] == ["of somebody"]
