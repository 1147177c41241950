from dataclasses import replace
from datetime import UTC, datetime

import pytest

from spam_pipeline.ingestion.sources import (
    GAP,
    MANIFEST,
    arrival_hour,
    classify,
    erased_records_file,
    hours_of,
    incidents_file,
    landed_plays,
    sources,
    stated_in,
    tracks_file,
    why_passed_over,
)
from spam_pipeline.protocol import HOURS, Cadence


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".pb", ".pb.gz", ".pb.zst"])
def test_files_of_plays_belong_to_their_arrival_day(ending: str) -> None:
    assert classify(f"plays/2026-01-05/13/any name{ending}") == (landed_plays, "2026-01-05")


def test_the_single_files_are_not_partitioned() -> None:
    assert classify("reference/tracks.csv") == (tracks_file, "all")
    assert classify("incidents.csv") == (incidents_file, "all")
    assert len({source.name for source in sources(Cadence.DAY)}) == 8


def test_the_account_of_erased_records_belongs_to_its_arrival_day() -> None:
    assert classify("erasures/2026-01-05/records.json") == (erased_records_file, "2026-01-05")
    assert classify("erasures/people.csv") is None, "it is read by whoever observes, and by no stage"


def test_plays_have_to_land_as_often_as_one_says() -> None:
    plays, *others = sources(Cadence.HOUR)
    assert plays == replace(landed_plays, cadence=Cadence.HOUR)
    assert {other.cadence for other in others} == {None}


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


def test_a_gap_belongs_to_the_day_of_arrival_that_it_speaks_for() -> None:
    for path, hour, hours in (
        ("plays/2026-01-05/gap.json", None, HOURS),
        ("plays/2026-01-05/07/gap.json", 7, ("07",)),
    ):
        assert classify(path) == (landed_plays, "2026-01-05")
        assert stated_in(path) == (GAP, hour)
        assert tuple(hours_of(path)) == hours
    assert hours_of("plays/2026-01-05/13/a.jsonl") == ("13",)
    assert stated_in("plays/2026-01-05/13/a.jsonl") is None


def test_a_manifest_belongs_to_the_day_of_arrival_that_it_speaks_for_and_delivers_nothing() -> None:
    for path, hour in (("plays/2026-01-05/manifest.json", None), ("plays/2026-01-05/07/manifest.json", 7)):
        assert classify(path) == (landed_plays, "2026-01-05")
        assert stated_in(path) == (MANIFEST, hour)
        assert tuple(hours_of(path)) == ()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("plays/2026-01-05/5/a.jsonl", "its hour is 5: expected two digits, 00 to 23"),
        ("plays/2026-01-05/24/a.jsonl", "its hour is 24: expected two digits, 00 to 23"),
        ("plays/2026-13-05/05/a.jsonl", "its day is 2026-13-05: expected YYYY-MM-DD"),
        ("plays/20260105/05/a.jsonl", "its day is 20260105: expected YYYY-MM-DD"),
        ("plays/2026-01-05/a.jsonl", "expected plays/YYYY-MM-DD/HH/name"),
        ("plays/2026-01-05/05/06/a.jsonl", "expected plays/YYYY-MM-DD/HH/name"),
        ("plays/2026-01-05/05/a.json", "its ending is none of .jsonl, .jsonl.gz, .jsonl.zst, .pb, .pb.gz, .pb.zst"),
        ("plays/2026-01-05/05/a.JSONL", "its ending is none of .jsonl, .jsonl.gz, .jsonl.zst, .pb, .pb.gz, .pb.zst"),
        ("plays/2026-01-05/05/a\x01.jsonl", "its name has characters that cannot be printed"),
    ],
)
def test_what_almost_fits_is_passed_over_with_the_reason(path: str, why: str) -> None:
    assert classify(path) is None
    assert why_passed_over(path) == why


@pytest.mark.parametrize("path", ["reference/Tracks.csv", "reference/tracks.csv.gz", "incidents.CSV", "Incidents.csv"])
def test_files_that_almost_have_the_name_of_a_reference_file_are_passed_over(path: str) -> None:
    assert classify(path) is None
    assert "reference/tracks.csv" in (why_passed_over(path) or "")


@pytest.mark.parametrize(
    "path",
    [
        "plays/2026-01-05/05/.a.jsonl",
        "plays/2026-01-05/05/_SUCCESS",
        "plays/.staging/05/a.jsonl",
        "plays/2026-01-05/_temporary/a.jsonl",
        "notes.md",
        "other/2026-01-05/05/a.jsonl",
    ],
)
def test_files_in_the_making_marks_and_what_is_not_ours_are_nothing(path: str) -> None:
    assert why_passed_over(path) is None
