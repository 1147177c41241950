import gzip
import hashlib
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.simulation import simulate
from spam_pipeline_tests.simulation.landing_reader import Week

START = date(2026, 1, 1)


def digests(home: Path) -> dict[str, str]:
    files = (path for path in sorted(home.rglob("*")) if path.is_file())
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_line_is_a_play_a_duplicate_of_one_broken_or_blank(week: Week) -> None:
    distinct = week.events["event_id"].n_unique()
    assert distinct == week.simulated.plays
    assert week.events.height - distinct == week.simulated.duplicates > 0
    assert week.read.broken == week.simulated.broken_lines > 0
    assert week.read.blank == week.simulated.blank_lines > 0
    assert len(week.read.files) == week.simulated.files


def test_about_one_line_in_two_thousand_is_broken(week: Week) -> None:
    assert 0.0002 < week.simulated.broken_lines / week.events.height < 0.001


def test_copies_of_an_event_say_the_same(week: Week) -> None:
    said = week.events.drop("arrival").unique()
    assert said.height == week.simulated.plays


def test_nothing_arrives_in_an_hour_before_it_happened_nor_after_the_last_day(week: Week) -> None:
    occurred_hour = pl.col("occurred_at").dt.truncate("1h")
    assert week.events.filter(pl.col("arrival") < occurred_hour).height == 0
    assert week.events["arrival"].dt.date().max() == START + timedelta(days=6)
    assert week.events["occurred_at"].dt.date().unique().sort().to_list() == [
        START + timedelta(days=d) for d in range(7)
    ]


def test_late_plays_are_those_that_first_land_two_hours_or_more_after_their_own(week: Week) -> None:
    delay = pl.col("arrival") - pl.col("occurred_at").dt.truncate("1h")
    first = week.events.group_by("event_id").agg(delay.min())
    late = first.filter(pl.col("arrival") >= timedelta(hours=2))
    assert late.height == week.simulated.late_plays > 0
    assert late["arrival"].max() > timedelta(days=2)


def test_retries_come_in_the_same_hour_in_later_hours_and_on_the_next_day(week: Week) -> None:
    spans = week.events.group_by("event_id").agg(pl.len(), span=pl.col("arrival").max() - pl.col("arrival").min())
    retried = spans.filter(pl.col("len") > 1)["span"].dt.total_hours()
    assert retried.min() == 0
    assert retried.is_between(2, 11).any()
    assert retried.is_between(17, 31).any()
    assert spans["len"].max() >= 3


def test_all_four_forms_of_file_are_there_and_nothing_unfinished(week: Week) -> None:
    suffixes = {path.name.split(".", 1)[1] for path in week.read.files}
    assert suffixes == {"jsonl", "jsonl.gz", "jsonl.zst", "pb.zst"}
    assert not [path for path in week.home.rglob(".*") if path.name.startswith(".")]


def test_unknown_fields_clients_and_sources_are_among_the_events(week: Week) -> None:
    assert any("app_version" in event for event in week.read.events)
    assert any("schema_version" not in event for event in week.read.events)
    assert "mixtape" in week.events["source"].unique().to_list()
    assert week.events.select(pl.col("ip", "country", "user_agent", "user_id").is_null().any()).row(0) == (True,) * 4


def test_files_of_a_compressed_stream_carry_no_time_stamp(week: Week) -> None:
    zipped = next(path for path in week.read.files if path.suffix == ".gz")
    assert zipped.read_bytes()[4:8] == bytes(4)
    assert gzip.decompress(zipped.read_bytes())


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(tmp_path / name, days=2, plays_per_day=3000, seed=5, start=START)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_another_seed_gives_other_plays(tmp_path: Path) -> None:
    for seed in (1, 2):
        simulate(tmp_path / str(seed), days=1, plays_per_day=500, seed=seed, start=START)
    assert digests(tmp_path / "1") != digests(tmp_path / "2")


def test_a_landing_zone_that_is_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    landed = tmp_path / "landing" / "plays" / "2026-01-01" / "00" / "mine.jsonl"
    landed.parent.mkdir(parents=True)
    landed.write_text("{}\n")
    before = digests(tmp_path)
    with pytest.raises(FileExistsError, match="is not empty"):
        simulate(tmp_path, days=1, plays_per_day=500, start=START)
    assert digests(tmp_path) == before


def test_an_empty_landing_folder_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    assert simulate(tmp_path, days=1, plays_per_day=500, start=START).files > 0


@pytest.mark.parametrize("wrong", ["days", "plays_per_day", "seed"])
def test_a_number_that_makes_no_sense_is_refused_by_name(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"{wrong} is -1: expected at least"):
        simulate(tmp_path, start=START, **{wrong: -1})


def test_progress_is_told_for_each_day(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    done = simulate(
        tmp_path, days=2, plays_per_day=500, start=START, on_day=lambda day, plays: told.append((day, plays))
    )
    assert [day for day, _ in told] == ["2026-01-01", "2026-01-02"]
    assert sum(plays for _, plays in told) == done.plays


def test_a_day_of_a_handful_of_plays_works(tmp_path: Path) -> None:
    assert simulate(tmp_path, days=1, plays_per_day=1, start=START).plays > 0
