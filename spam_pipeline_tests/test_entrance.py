"""The entrance: what a contributor reads and runs first is there and does what it says."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
    (tools / "python3.11").chmod(0o755)

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
