"""Homes that many tests start from: filled once in a run of the tests, by the worker that needs one first, and copied by links.

What a home holds and how it is filled is said by the fixture that asks for it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

IMMUTABLE = ("store", "rejected")
"""The folders of a home whose files are named by their content and are never written again."""


def filled_once(folders: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """The home of a name, which all workers of a run share. To be read, or copied by `copied`."""
    base = folders.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "homes" / name
    home.parent.mkdir(exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        filled = home.with_suffix(".filled")
        if not filled.exists():
            shutil.rmtree(home, ignore_errors=True)
            fill(home)
            filled.touch()
    return home


def copied(home: Path, elsewhere: Path) -> Path:
    """A copy of a home, to be changed; it shares the files that nobody writes again."""
    immutable = [os.fspath(home / folder) + os.sep for folder in IMMUTABLE]

    def copy(source: str, target: str) -> str:
        if source.startswith(tuple(immutable)):
            os.link(source, target)
            return target
        return str(shutil.copy2(source, target))

    return Path(shutil.copytree(home, elsewhere, copy_function=copy))
