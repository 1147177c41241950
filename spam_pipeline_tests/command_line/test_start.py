"""The start of the command line: help, the version and usage errors load the libraries of the command line and no other."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

import spam_pipeline
from spam_pipeline.command_line.arguments import OF_SUSPICIONS, SCENARIOS, Decision, Queue, Skill
from spam_pipeline.command_line.cli import app
from spam_pipeline.operations.deciding import SuspicionAction
from spam_pipeline.protocol.operating import DecisionKind
from spam_pipeline.simulation import SCENARIOS as KNOWN_SCENARIOS
from spam_pipeline.simulation.skills import SKILLS
from spam_pipeline.trust_and_safety.suspicions_contract import QUEUES

COMMANDS = [str(command.name) for command in app.registered_commands]

USAGE_ERRORS = [
    [],
    ["nosuch"],
    ["status", "--nosuch"],
    ["versions"],
    ["simulate", "--days", "many"],
    ["simulate", "--scenario", "nosuch"],
    ["simulate", "--start", "2026-02-30"],
    ["decide", "maybe", "abcd", "--by", "Ada", "--reason", "why"],
    ["decide", "confirm", "abcd", "--by", "Ada", "--reason", "why", "--all-matching"],
    ["decide", "accept", "abcd", "--by", "Ada", "--reason", "why", "--from", "2026-01-01"],
    ["suspicions", "--queue", "nosuch"],
    ["suspicions", "abcd", "--day", "2026-01-01"],
]

HEAVY = {
    *("cryptography", "dagster", "dataframely", "duckdb", "fsspec", "google", "matplotlib", "numpy", "polars"),
    *("pycountry", "redis", "scipy", "skops", "sklearn", "sqlalchemy", "upath"),
}

LOADED = """
import json, sys
from spam_pipeline.command_line.cli import main
statuses = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["spam-pipeline", *arguments]
    try:
        main()
    except SystemExit as ended:
        statuses.append(ended.code)
print(json.dumps([statuses, list(sys.modules)]))
"""


def loaded_after(*commands: list[str]) -> tuple[list[int], set[str]]:
    """The exit status of each command, and the modules that a process has loaded after them."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    statuses, modules = json.loads(done.stdout.splitlines()[-1])
    return statuses, set(modules)


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def rooms(modules: set[str]) -> set[str]:
    return {module for module in modules if module.startswith("spam_pipeline")}


def test_help_loads_nothing_that_computes() -> None:
    statuses, modules = loaded_after(["--help"])
    assert statuses == [0]
    assert not packages(modules) & (HEAVY | {"pydantic"})
    about = ("decision", "environment", "publication", "royalty", "upkeep")
    loaded = ("arguments", "cli", "narrow_table", "terminal", *(f"{what}_commands" for what in about))
    assert rooms(modules) == {
        "spam_pipeline",
        "spam_pipeline.command_line",
        *(f"spam_pipeline.command_line.{module}" for module in loaded),
    }


def test_help_of_every_command_usage_errors_and_the_version_load_nothing_that_computes() -> None:
    helps = [[command, "--help"] for command in COMMANDS]
    statuses, modules = loaded_after(*helps, *USAGE_ERRORS, ["--version"])
    assert statuses == [*(0 for _ in helps), *(2 for _ in USAGE_ERRORS), 0]
    assert not packages(modules) & HEAVY, "pydantic is Typer's own, for converting parameters"
    assert len(rooms(modules)) == 11


def test_a_command_that_runs_loads_what_it_needs() -> None:
    statuses, modules = loaded_after(["statements", "2026-01", "--sender", "nobody"])
    assert statuses == [2]
    assert packages(modules) >= {"polars", "sqlalchemy"}


def test_what_is_listed_without_loading_it_is_what_there_is() -> None:
    assert list(SCENARIOS) == list(KNOWN_SCENARIOS)
    assert [level.value for level in Skill] == list(SKILLS)
    assert [kind.value for kind in Decision if kind not in OF_SUSPICIONS] == [kind.value for kind in DecisionKind]
    assert [kind.value for kind in OF_SUSPICIONS] == [action.value for action in SuspicionAction]
    assert tuple(queue.value for queue in Queue) == QUEUES


def test_the_version_is_that_of_the_installed_package() -> None:
    assert spam_pipeline.__version__ == version("spam-pipeline")
    printed = CliRunner().invoke(app, ["--version"])
    assert (printed.exit_code, printed.stdout) == (0, f"{version('spam-pipeline')}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_every_argument_and_every_option_has_a_help_text(command: str) -> None:
    [found] = [known for known in app.registered_commands if known.name == command]
    assert found.callback is not None
    assert found.callback.__doc__
    hints = found.callback.__annotations__
    described = [get_args(hint)[1].help for name, hint in hints.items() if name != "return"]
    assert all(described)


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("status plays", ["plays", "plays_by_spam_probability"]),
        ("diff produ", ["production"]),
        ("status --environment nig", ["night"]),
        ("verif", ["verify"]),
    ],
)
def test_a_shell_completes_names_that_are_in_the_ledger_without_loading_the_engine(
    converged_home: Path, tmp_path: Path, words: str, completed: list[str]
) -> None:
    shutil.copy(converged_home / "ledger.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("update publications set environment = 'night' where id = 1")
    variables = {
        **os.environ,
        "SPAM_PIPELINE_HOME": str(tmp_path),
        "_SPAM_PIPELINE_COMPLETE": "complete_bash",
        "COMP_WORDS": f"spam-pipeline {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "[[]]"], capture_output=True, text=True, check=True, env=variables
    )
    *names, last = done.stdout.splitlines()
    assert names == completed
    assert not packages(set(json.loads(last)[1])) & HEAVY


MESSAGES = """
import logging
from spam_pipeline.command_line.terminal import log_from, log_to_terminal
log_to_terminal()
for level in ("warning", "info", "error"):
    log_from(level)
    logging.getLogger("spam_pipeline.operations").info("of the pipeline at " + level)
    logging.getLogger("elsewhere").info("of a library at " + level)
    logging.getLogger("elsewhere").warning("[warned] at " + level)
"""


def test_messages_are_printed_from_a_level_on_and_those_of_libraries_from_warnings_on() -> None:
    done = subprocess.run([sys.executable, "-c", MESSAGES], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "WARNING: [warned] at warning",
        "INFO: of the pipeline at info",
        "WARNING: [warned] at info",
    ]
