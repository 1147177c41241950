"""The report of a month as a stage's result: one HTML file that is versioned like any other."""

from pathlib import Path

from spam_pipeline.protocol.contract import ArtifactContract


def write_page(page: str, path: Path) -> None:
    """Write a page in UTF-8, the same bytes on every system."""
    path.write_bytes(page.encode("utf-8"))


def read_page(path: Path) -> str:
    """The text of a page. Raises `UnicodeDecodeError` for a file that is none."""
    return path.read_bytes().decode("utf-8")


MONTH_REPORT = ArtifactContract(".html", write_page, read_page)
"""The promise of `month_reports`. What stands on a page is fingerprinted with the stages that it shows."""
