from datetime import UTC, datetime

import pytest

from spam_pipeline.ingestion.sources import SOURCES, arrival_hour, classify, incidents_file, landed_plays, tracks_file


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".pb", ".pb.gz", ".pb.zst"])
def test_files_of_plays_belong_to_their_arrival_day(ending: str) -> None:
    assert classify(f"plays/2026-01-05/13/any name{ending}") == (landed_plays, "2026-01-05")


def test_the_single_files_are_not_partitioned() -> None:
    assert classify("reference/tracks.csv") == (tracks_file, "all")
    assert classify("incidents.csv") == (incidents_file, "all")
    assert len({source.name for source in SOURCES}) == 7


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tracks.csv",
        "reference/tracks.csv.tmp",
        "reference/more/tracks.csv",
        "plays/2026-01-05/13/a.json",
        "plays/2026-01-05/13/a.jsonl.tmp",
        "plays/2026-01-05/13/.a.jsonl",
        "plays/2026-01-05/13/.jsonl",
        "plays/2026-01-05/24/a.jsonl",
        "plays/2026-01-05/1/a.jsonl",
        "plays/2026-02-30/13/a.jsonl",
        "plays/2026-1-5/13/a.jsonl",
        "plays/2026-01-05/a.jsonl",
        "plays/2026-01-05/13/deeper/a.jsonl",
        "plays/2026-01-05/13/../a.jsonl",
        "x/plays/2026-01-05/13/a.jsonl",
        "/plays/2026-01-05/13/a.jsonl",
        "plays/2026-01-05/13/a\nb.jsonl",
        "plays/2026-01-05/13/a.jsonl\n",
        "plays/٢٠٢٦-01-05/13/a.jsonl",
        "plays/2026-01-05/13/\udcff.jsonl",
        "plays/9999-12-31/23/a.jsonl",
    ],
)
def test_anything_else_belongs_to_no_source(path: str) -> None:
    assert classify(path) is None


def test_the_arrival_hour_is_that_of_the_folder() -> None:
    assert arrival_hour("plays/2026-01-05/13/a.jsonl") == datetime(2026, 1, 5, 13, tzinfo=UTC)
    with pytest.raises(ValueError, match="no file of plays"):
        arrival_hour("incidents.csv")
