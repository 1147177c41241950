"""The walls hold: an import against the arrows, or a file without a room, makes the test command fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = Path(sys.executable).parent / "lint-imports"

PLANTED = {
    "an import between two wings that runs upward": (
        "protocol/code_version/normal_form.py",
        "from spam_pipeline.protocol.execution import engine",
        "Wings of the protocol",
    ),
    "a type-checking import that closes a circle": (
        "protocol/definition/stage.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from spam_pipeline.protocol.storage import reader",
        "Wings of the protocol",
    ),
    "a wing that nobody listed": ("protocol/new_wing.py", '"""New."""', "Wings of the protocol"),
    "a room that nobody listed": ("new_room.py", '"""New."""', "Rooms"),
    "a context behind the door": (
        "royalties/pools.py",
        "from spam_pipeline.protocol.ledger import records",
        "Contexts know the protocol by its door",
    ),
    "a context that operates the engine": (
        "royalties/pools.py",
        "from spam_pipeline.protocol import operating",
        "Contexts know the protocol by its door",
    ),
    "an entrance behind the doors": (
        "operations/pipeline.py",
        "from spam_pipeline.protocol.planning import staleness",
        "Whoever operates the engine",
    ),
    "the orchestrator in a context": ("reporting/month.py", "import dagster", "The orchestrator stays out"),
}


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_against_the_walls_is_found(tmp_path: Path, file: str, line: str, contract: str) -> None:
    for package in ("spam_pipeline", "examples"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "spam_pipeline" / file).open("a", encoding="utf-8") as planted:
        planted.write(f"\n{line}\n")
    done = subprocess.run(
        [TOOL, "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode != 0
    _, _, broken = done.stdout.partition("Broken contracts\n")
    assert contract in broken, done.stdout + done.stderr
