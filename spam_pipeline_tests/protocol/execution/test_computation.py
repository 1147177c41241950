"""Computing a version: its rows are measured and checked alike, whether they are read once or scanned again and again."""

from pathlib import Path

import pytest

from spam_pipeline.protocol.execution import computation
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.fingerprint import Fingerprint
from spam_pipeline.protocol.foundation.finding import Finding
from spam_pipeline_tests.protocol.toy_pipeline import land, toy_engine
from spam_pipeline_tests.protocol.toy_runs import run

Examined = dict[tuple[str, str], tuple[Fingerprint, tuple[Finding, ...]]]


def examined(engine: Engine) -> Examined:
    """Fingerprint and findings of all versions of a home."""
    run(engine)
    statuses = [status for by_key in engine.planner.statuses().values() for status in by_key.values()]
    versions = [engine.ledger.version(status.recipe) for status in statuses if status.recipe]
    return {(item.stage, item.partition): (item.fingerprint, audit.findings) for item, audit in filter(None, versions)}


def test_versions_of_many_rows_are_examined_like_those_of_few(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(home, "2026-01-05", "a", "2026-01-05 -7")
    few = examined(toy_engine(home))
    monkeypatch.setattr(computation, "_AT_HAND_ROWS", 0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "landing").symlink_to(home / "landing")
    many = examined(toy_engine(tmp_path / "other"))
    assert many == few
    assert [finding.about for finding in few["received_numbers", "2026-01-05"][1]] == ["2026-01-05: number|min"]
