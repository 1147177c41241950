from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from spam_pipeline.ingestion.assets import (
    STAGES,
    plays,
    received_files,
    received_plays,
    rejected,
    rejected_reference,
    tracks,
)
from spam_pipeline.ingestion.contracts import Plays, ReceivedFiles, Rejected
from spam_pipeline.protocol import code_version_of
from spam_pipeline_tests.contract_helpers import as_declared, findings_about, needless_columns
from spam_pipeline_tests.ingestion.landing import EVENT, HOUR, KEY, START, landed, plays_of, received


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


def test_every_landed_file_has_an_account_also_one_that_gave_nothing(tmp_path: Path) -> None:
    content = str(dict(EVENT)).replace("'", '"').encode() + b"\nbroken\n"
    files = [landed(tmp_path, f"{HOUR}b.jsonl", content), landed(tmp_path, f"{HOUR}a.jsonl", b"")]
    accounts = pl.concat([part for file in files for name, part in received_plays(file, KEY, START) if name == "files"])
    found = received_files(accounts.lazy())
    assert findings_about(ReceivedFiles, found) == []
    hour = datetime(2026, 1, 5, 13, tzinfo=UTC)
    assert found.collect().rows() == [
        (f"{HOUR}a.jsonl", hour, 0, 0, 0, 0, False, None),
        (f"{HOUR}b.jsonl", hour, len(content), 1, 1, 0, False, None),
    ]


def test_plays_read_the_columns_that_they_declare_and_no_others(tmp_path: Path) -> None:
    content = str(dict(EVENT)).replace("'", '"').encode()
    arrived = plays_of(received(landed(tmp_path, f"{HOUR}a.jsonl", content)))
    inputs = {"received_plays": pl.concat([*arrived, *arrived]).lazy()}
    assert plays(**as_declared(plays, inputs)).collect().equals(plays(**inputs).collect())
    assert needless_columns(plays, inputs) == []


def test_rejected_rows_of_all_reference_files_come_together(tmp_path: Path) -> None:
    parts = tracks(landed(tmp_path, "reference/tracks.csv", b"track_id\nx\n"), KEY)
    together = rejected_reference(parts["rejected"], *[Rejected.empty()] * 5).collect()
    assert together.select("file", "line").rows() == [("reference/tracks.csv", 1)]
