"""What a person sees in the Dagster UI of a refused day, and decides there: from the list of what waits to the published version.

The home was converged by the command line; only Dagster's web server runs, and a browser.
"""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import URLError

import dagster as dg
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.reported_convergence import converge_and_report
from spam_pipeline_tests.browser import Chromium
from spam_pipeline_tests.conftest import DAYS, KEY, START, open_home

ROOT = Path(__file__).parents[2]
CUT = DAYS[3]
PATIENCE_SECONDS = 180
INSTANCE = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
"""
"""An instance that launches a run at once, without the daemon that would take it from a queue."""


@pytest.fixture
def refused(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A home in which most of a day was taken away by a sync, converged and reported to an instance that launches runs at once."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for folder in sorted((own_home / "landing/plays" / CUT).iterdir())[2:]:
        for file in folder.iterdir():
            file.unlink()
    pipeline = open_home(own_home)
    pipeline.settings.dagster_home.mkdir()
    (pipeline.settings.dagster_home / "dagster.yaml").write_text(INSTANCE, encoding="utf-8")
    done = converge_and_report(pipeline)
    assert f"received_plays {CUT}: its version was refused" in done.held
    return pipeline


@contextmanager
def served(home: Path, dagster_home: Path, log: Path) -> Iterator[str]:
    """Dagster's web server over a home, and its address."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "SPAM_PIPELINE_HOME": str(home),
        "SPAM_PIPELINE_IDENTIFIER_KEY": KEY,
        "SPAM_PIPELINE_START_DATE": START.isoformat(),
        "DAGSTER_HOME": str(dagster_home),
    }
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            wait(lambda: answers(f"{address}/server_info"), "an answer of the web server")
            yield address
        finally:
            server.terminate()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except URLError:
        return False


def wait(until: Callable[[], bool], what: str) -> None:
    started = time.monotonic()
    while not until():
        assert time.monotonic() - started < PATIENCE_SECONDS, f"waited in vain for {what}"
        time.sleep(0.2)


def test_a_refused_day_is_found_decided_and_gone(refused: Pipeline, chromium: Chromium, tmp_path: Path) -> None:
    home, dagster_home = refused.settings.home, refused.settings.dagster_home
    [waiting] = refused.waiting()
    with (
        served(home, dagster_home, tmp_path / "server.log") as address,
        chromium.window() as window,
        dg.DagsterInstance.from_config(str(dagster_home)) as instance,
    ):
        page = window.page
        page.set_default_timeout(PATIENCE_SECONDS * 1000)

        page.goto(f"{address}/overview")
        for job in ("done_elsewhere", "refused"):
            page.get_by_role("link", name=job).wait_for()

        page.goto(f"{address}/assets/convergence")
        page.get_by_text("refused, quarantined").wait_for()

        page.goto(f"{address}/assets/waiting_for_decision")
        page.get_by_text(f"received_plays {CUT}").first.wait_for()
        evidence = page.get_by_role("link", name="evidence").get_attribute("href")
        launchpad = page.get_by_role("link", name="accept it").get_attribute("href")

        page.goto(f"{address}{evidence}")
        page.get_by_text("failed, and did not materialize this asset").wait_for()
        page.get_by_text("Failed (1)").wait_for()
        page.get_by_text(re.compile(f"decide accept {waiting.recipe[:16]}")).first.wait_for()

        page.goto(f"{address}{launchpad}")
        editor = page.locator(".CodeMirror").first
        editor.wait_for()
        asked = str(editor.evaluate("editor => editor.CodeMirror.getValue()"))
        assert asked.splitlines() == ['action: "accept"', f'version: "{waiting.recipe[:16]}"', 'by: ""', 'reason: ""']
        decided = asked.replace('by: ""', "by: anna").replace('reason: ""', "reason: it was a holiday")
        editor.evaluate("(editor, text) => editor.CodeMirror.setValue(text)", decided)
        page.get_by_role("button", name="Launch Run").click()
        wait(lambda: ended(instance) == dg.DagsterRunStatus.SUCCESS, "the decision to be launched and done")

        assert [decision.by for decision in refused.decisions()] == ["anna"]
        assert refused.engine.reader.version("received_plays", CUT).recipe == waiting.recipe
        converge_and_report(refused)
        page.goto(f"{address}/assets/waiting_for_decision")
        page.get_by_text("nothing waits for anybody").wait_for()
        page.goto(f"{address}{evidence}")
        page.get_by_text("Failed (0)").wait_for()
        assert window.errors == []


def ended(instance: dg.DagsterInstance) -> dg.DagsterRunStatus | None:
    """The status of the run of `decide`; None as long as there is none."""
    runs = instance.get_runs(dg.RunsFilter(job_name="decide"))
    return runs[0].status if runs else None
