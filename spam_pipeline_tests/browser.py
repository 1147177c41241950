"""Chromium for the tests of what people see: pages at the widths of a phone and a desktop, and what was wrong with them.

Chromium is the machine's own; a machine without one runs no test that asks for it, and the run ends by saying so.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = 390, 1300
"""Widths of windows."""

_MISSING = "no Chromium on this machine"
"""The reason of tests that did not run."""

REMEDY = "Install it, with `apt-get install chromium` on Debian, or put `chromium`, `chromium-browser` or `google-chrome` on the PATH."

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Window:
    """A window of the browser, and the errors that its page wrote to the console or ended with."""

    page: "Page"
    errors: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """How many pixels the page is wider than the window: what a reader would have to scroll sideways for."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def violations(self) -> list[str]:
        """What axe-core has against the page: a line for each element, with the rule that it breaks."""
        self.page.evaluate(AXE_SCRIPT)
        found: list[dict[str, Any]] = self.page.evaluate(
            "axe.run({resultTypes: ['violations']}).then(r => r.violations)"
        )
        return [f"{rule['id']}: {node['html']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]


class Chromium:
    """A running Chromium."""

    def __init__(self, browser: "Browser") -> None:
        self._browser = browser

    @contextmanager
    def window(self, width: int = DESKTOP, *, dark: bool = False) -> Iterator[Window]:
        """Open a window of a width, on a machine set to dark or light."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        window = Window(context.new_page())
        window.page.on("console", lambda said: window.errors.append(said.text) if said.type == "error" else None)
        window.page.on("pageerror", lambda error: window.errors.append(str(error)))
        try:
            yield window
        finally:
            context.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Run Chromium for one module, whose tests cannot use `asyncio.run` meanwhile: Playwright's loop is the thread's running one."""
    place = next(filter(None, map(shutil.which, _NAMES)), None)
    if place is None:
        pytest.skip(_MISSING)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for modules that have a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place)
        yield Chromium(browser)
        browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End a run without a browser by naming the tests that did not run, and how to have them."""
    skipped: list[pytest.TestReport] = terminalreporter.getreports("skipped")
    names = sorted(report.nodeid for report in skipped if _MISSING in str(report.longrepr))
    if names:
        terminalreporter.section(f"did not run: {_MISSING}")
        for line in (*names, REMEDY):
            terminalreporter.write_line(line)
