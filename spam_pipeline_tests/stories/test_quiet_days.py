"""Quiet days raise next to no alarm, whatever the size; `benchmarks.quiet_days` counts over more seeds and up to a million plays."""

from pathlib import Path

import pytest

from spam_pipeline_tests.benchmarks.quiet_days import quiet_days


@pytest.mark.parametrize("plays_per_day", [1_000, 6_000])
def test_fewer_than_one_stage_day_in_a_hundred_raises_an_alarm(tmp_path: Path, plays_per_day: int) -> None:
    found = quiet_days(tmp_path / "home", plays_per_day, seed=400 + plays_per_day)
    alarms = [item for item in found if item.alarms]
    assert len(found) > 90
    assert len(alarms) * 100 < len(found), [(item.stage, item.day, list(map(str, item.alarms))) for item in alarms]
