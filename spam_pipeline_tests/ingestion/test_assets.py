from pathlib import Path

import polars as pl

from spam_pipeline.ingestion.assets import STAGES, plays, received_plays, rejected, rejected_reference, tracks
from spam_pipeline.ingestion.contracts import Plays, Rejected
from spam_pipeline.protocol import code_version_of
from spam_pipeline_tests.contract_helpers import as_declared, findings_about, needless_columns
from spam_pipeline_tests.ingestion.landing import EVENT, HOUR, KEY, START, landed


def test_stages_belong_to_ingestion_and_say_what_they_are() -> None:
    for stage in STAGES:
        assert (stage.context, stage.owner) == ("ingestion", "team:ingestion")
        assert stage.description
        assert code_version_of(stage.function, libraries=stage.libraries).digest


def test_a_file_that_was_delivered_twice_gives_each_play_once(tmp_path: Path) -> None:
    content = str(dict(EVENT)).replace("'", '"').encode() + b"\nbroken\n"
    files = [landed(tmp_path, f"{HOUR}{name}.jsonl", content) for name in ("a", "b")]
    batches = [batch for file in files for batch in received_plays(file, KEY, START)]
    arrived = pl.concat([frame for part, frame in batches if part == "2026-01-05"]).lazy()
    refused = pl.concat([frame for part, frame in batches if part == "rejected"]).lazy()
    assert arrived.collect().height == 2
    assert plays(arrived).collect().height == 1
    assert findings_about(Plays, plays(arrived)) == []
    assert rejected(refused).collect()["file"].to_list() == [f"{HOUR}a.jsonl", f"{HOUR}b.jsonl"]


def test_plays_read_the_columns_that_they_declare_and_no_others(tmp_path: Path) -> None:
    content = str(dict(EVENT)).replace("'", '"').encode()
    arrived = [frame for part, frame in received_plays(landed(tmp_path, f"{HOUR}a.jsonl", content), KEY, START)]
    inputs = {"received_plays": pl.concat([*arrived, *arrived]).lazy()}
    assert plays(**as_declared(plays, inputs)).collect().equals(plays(**inputs).collect())
    assert needless_columns(plays, inputs) == []


def test_rejected_rows_of_all_reference_files_come_together(tmp_path: Path) -> None:
    parts = tracks(landed(tmp_path, "reference/tracks.csv", b"track_id\nx\n"), KEY)
    together = rejected_reference(parts["rejected"], *[Rejected.empty()] * 5).collect()
    assert together.select("file", "line").rows() == [("reference/tracks.csv", 1)]
