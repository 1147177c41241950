"""Benchmarks that no story runs still run, and print what they promise: here as their command line does, at toy size.

`cost_of_fingerprints` had read by a name that was gone. Figures are of no interest here.
"""

import re
import runpy
import sys
from pathlib import Path

import pytest

from spam_pipeline.operations.pipeline import STAGES
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.benchmarks.against_duckdb import DUCKDB, KINDS, START, table

BENCHMARKS = {
    "cost_of_fingerprints 60 1": r"(?m)^received_plays +\d+ rows.*%$[\s\S]+^all +\d",
    "decode_json 1": r"ratio +\d",
    "idle_look 50 5": r"look at everything: \d.*MB",
    "ledger_growth 5": r"5 days: inputs in",
    "plan_years 1": r"one late file: .*received_plays 2016",
    "side_by_side 1 60 1 in_process:1 in_process": r'(?s)"in_process:1".*"in_process"',
    "warehouse_history 3": r"3 days, \d+ files",
}


@pytest.mark.parametrize("command", BENCHMARKS)
def test_it_runs_at_toy_size(command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    name, *arguments = command.split()
    module = f"spam_pipeline_tests.benchmarks.{name}"
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.delitem(sys.modules, module, raising=False)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    printed = capfd.readouterr().out
    assert re.search(BENCHMARKS[command], printed), printed


def test_every_stage_is_compared_with_duckdb_which_finds_the_same_plays(tmp_path: Path) -> None:
    simulate(tmp_path, start=START, days=2, plays_per_day=400)
    found = [taken for kind in ("duckdb", "stages") for taken in KINDS[kind](tmp_path)]
    rows = {taken.what: taken.rows for taken in found}
    assert set(rows) == {DUCKDB, *(stage.name for stage in STAGES)}
    assert 0.8 < rows[DUCKDB] / rows["plays"] < 1, "it reads ten files in eleven"
    assert table(found).count("\n") == len(found) + 2
    (again,) = KINDS["everything"](tmp_path)
    assert again.rows == sum(rows.values()) - rows[DUCKDB]
