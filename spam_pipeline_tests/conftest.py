"""One small home, simulated and converged once in a run, and the command line in this process."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from spam_pipeline.command_line import terminal
from spam_pipeline.command_line.cli import main
from spam_pipeline.operations import pipeline as pipeline_module
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import converge, run_partition
from spam_pipeline.settings import PREFIX, Settings
from spam_pipeline.simulation import simulate
from spam_pipeline_tests import suspicion_stages
from spam_pipeline_tests.browser import chromium, pytest_terminal_summary  # noqa: F401 - a fixture and a hook
from spam_pipeline_tests.forked_reporter import forked_reporters
from spam_pipeline_tests.shared_homes import copied, filled_once

START = date(2026, 1, 1)
DAYS = tuple(f"2026-01-0{day}" for day in range(1, 7))
KEY = "the key of the tests, long enough"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


CommandLine = Callable[..., Ended]

_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it; nothing depends on it
_ROOM_IN_MEMORY = 8 * 2**30


def pytest_configure() -> None:
    """Keep temporary folders in memory where there is room: homes are flushed to disk at every step, for nobody.

    The whole run writes 3 GiB. On a disk it took 24 minutes, of which two thirds were waiting for it. And no property has a deadline: its
    200 ms failed one test or another whenever the machine was busy.
    """
    profile = hypothesis.settings.get_profile(hypothesis.settings.get_current_profile_name())
    hypothesis.settings.register_profile("no deadline", parent=profile, deadline=None)
    hypothesis.settings.load_profile("no deadline")
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_IN_MEMORY:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def open_home(home: Path, **settings: Any) -> Pipeline:
    return Pipeline(Settings(home=home, start_date=START, identifier_key=KEY, **settings))


@pytest.fixture(scope="session")
def converged_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with six days, all of it published, and no Dagster instance. To be read only."""
    return filled_once(tmp_path_factory, "six_days", _converge_six_days)


def _converge_six_days(home: Path) -> None:
    simulate(home, days=len(DAYS), plays_per_day=500, seed=5, start=START)
    pipeline = open_home(home)
    pipeline.engine.observe()
    done = converge(pipeline.engine)
    assert (done.failed, done.held) == ((), ())
    pipeline.engine.ledger.close()


@pytest.fixture
def own_home(converged_home: Path, tmp_path: Path) -> Path:
    """A copy of the converged home, to be changed."""
    return copied(converged_home, tmp_path / "home")


@pytest.fixture
def suspicious_home(own_home: Path, no_settings: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with what `suspicion_stages` suspect on the last three days; every pipeline of the test has these stages."""
    assert no_settings is None
    monkeypatch.setenv(f"{PREFIX}OWN_PACKAGES", "spam_pipeline")
    simple = {stage.name: stage for stage in suspicion_stages.STAGES}
    others = [stage for stage in pipeline_module.STAGES if stage.name not in simple]
    monkeypatch.setattr(pipeline_module, "STAGES", (*others, *simple.values()))
    pipeline = open_home(own_home)
    for name in simple:
        for day in DAYS:
            run_partition(pipeline.engine, name, day)
    pipeline.engine.ledger.close()
    return own_home


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings of this project, in a folder of its own."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def spam_pipeline(no_settings: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """Run a command of the command line; an error that would end in a traceback ends the test."""
    assert no_settings is None
    monkeypatch.setattr(terminal.out, "width", 240)  # that of a pipe: xdist says that it is a terminal of 80 columns

    def run(*arguments: str, home: Path, **variables: str) -> Ended:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setenv(f"{PREFIX}ENVIRONMENT", "")
            patch.delenv(f"{PREFIX}ENVIRONMENT")  # so that what --environment sets is taken back
            for name, value in {"HOME": str(home), "IDENTIFIER_KEY": KEY, **variables}.items():
                patch.setenv(PREFIX + name, value)
            patch.setattr("sys.argv", ["spam-pipeline", *arguments])
            with forked_reporters(), pytest.raises(SystemExit) as ended:
                main()
        return Ended(int(ended.value.code or 0), *capfd.readouterr())

    return run
