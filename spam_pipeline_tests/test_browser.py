"""The browser of the tests sees what a reader would complain of, and a run without one says so."""

import subprocess
import sys
from pathlib import Path

from spam_pipeline_tests.browser import PHONE, REMEDY, Chromium

_PAGE = """<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>
<p style="width: 500px; color: #ddd">wider than a phone, and too pale</p></main><script>console.error("broken"); gone()</script></html>"""


def test_a_window_finds_overflow_errors_and_violations(chromium: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(_PAGE)
    with chromium.window(PHONE) as window:
        window.page.goto(page.as_uri())
        assert window.overflow() > 100
        assert window.errors == ["broken", "gone is not defined"]
        assert [found.split(":")[0] for found in window.violations()] == ["color-contrast"]
    with chromium.window() as window:
        window.page.goto(page.as_uri())
        assert window.overflow() == 0


def test_a_run_without_chromium_names_the_tests_that_did_not_run_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "test_pages.py").write_text("def test_with_a_browser(chromium): pass\n\n\ndef test_without(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "spam_pipeline_tests.browser", "-p", "no:cacheprovider"]
    environment = {"PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line]
    title = next(place for place, line in enumerate(lines) if "did not run: no Chromium on this machine" in line)
    assert lines[title + 1 :][:2] == ["test_pages.py::test_with_a_browser", REMEDY]
    assert "1 passed, 1 skipped" in lines[-1]
