"""A day in slices is the day as a whole, byte for byte, also with a track and a network that have a fifth of its plays each.

`benchmarks.huge_day` tells what slices are for: memory and speed on days of millions of plays.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.ingestion.contracts import Plays
from spam_pipeline.ingestion.plays import distinct_plays
from spam_pipeline.protocol import column_types
from spam_pipeline.protocol.execution.audit import findings_on_data
from spam_pipeline.protocol.operating import Store
from spam_pipeline.protocol.storage.writer import write_result
from spam_pipeline.trust_and_safety.classification import Groups, classify
from spam_pipeline.trust_and_safety.labelled_examples import examples_of_day
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline_tests.benchmarks.huge_day import (
    CONTRACTS,
    DAY,
    everything,
    model,
    plays_of_day,
    prepare,
    read,
    report,
    week,
)

PLAYS, SLICE_ROWS = 3_000, 700

IN_SLICES: Mapping[str, Callable[[Path], pl.LazyFrame]] = {
    "plays": lambda folder: distinct_plays(read(folder, "received", *column_types(Plays)), SLICE_ROWS),
    "play_signals": lambda folder: signals_of_day(week(folder), read(folder, "entity_facts"), DAY, SLICE_ROWS),
    "labelled_examples": lambda folder: examples_of_day(
        plays_of_day(folder),
        *(read(folder, name) for name in ("play_signals", "entity_facts", "incidents", "suspected_plays")),
        slice_rows=SLICE_ROWS,
    ),
    "classified_plays": lambda folder: classify(
        plays_of_day(folder),
        read(folder, "play_signals"),
        model(),
        read(folder, "incidents"),
        Groups(read(folder, "carried_devices"), read(folder, "suspected_plays")),
        slice_rows=SLICE_ROWS,
    ),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of a small day that the benchmark has been through, and its lines."""
    folder = tmp_path_factory.mktemp("huge day")
    prepare(folder, PLAYS)
    return folder, {what: report(what, folder) for what in everything()}


def test_the_benchmark_measures_each_stage_its_fingerprint_and_its_audit(
    measured: tuple[Path, dict[str, str]],
) -> None:
    folder, lines = measured
    assert len(lines) == 3 * len(CONTRACTS)
    assert all(" plays/s" in line and " GiB" in line for line in lines.values())
    plays = read(folder, "plays").select("track_key", "network_key").collect()
    assert plays.height >= PLAYS
    for key in plays.columns:
        assert plays[key].value_counts(normalize=True)["proportion"].max() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("stage", IN_SLICES)
def test_a_stage_gives_the_same_bytes_in_slices(
    stage: str, measured: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, _ = measured
    (whole,) = (folder / stage).iterdir()
    rows = read(folder, stage).select(pl.len()).collect().item()
    assert rows > (0 if stage == "labelled_examples" else SLICE_ROWS)
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    (made,) = write_result(store, "sliced", IN_SLICES[stage](folder))["all"]
    assert Path(made.path).name == whole.name
    assert findings_on_data(CONTRACTS[stage], read(folder, stage), stage, SLICE_ROWS) == []
