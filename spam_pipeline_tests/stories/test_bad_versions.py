"""Stories of what must not reach anybody: broken deliveries, wrong code, refused days, and what happens after each of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.ingestion.assets import received_plays
from spam_pipeline.ingestion.received_plays import received_batches
from spam_pipeline.operations.pipeline import STAGES, Pipeline
from spam_pipeline.protocol import LandedFile, NotPublished
from spam_pipeline.protocol.operating import PRODUCTION, AnyStage, Converged, StageGraph, converge
from spam_pipeline.reporting.assets import daily_plays
from spam_pipeline.simulation import simulate
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import START, a_play, land, open_pipeline

DAYS = 8
QUIET = ["office_network", "shop_radio"]
"""What runs on every day from the first one on."""


def received_in_seconds(
    landed_plays: LandedFile, identifier_key: str, start_date: date
) -> Iterator[tuple[str, pl.DataFrame]]:
    """What was received, with a mistake in the unit of a column."""
    for part, frame in received_batches(landed_plays, identifier_key, start_date):
        has_plays = "ms_played" in frame.columns
        yield part, frame.with_columns(pl.col("ms_played") // 1000) if has_plays else frame


IN_SECONDS: AnyStage = replace(received_plays, function=received_in_seconds)


def with_code(home: Path, *changed: AnyStage) -> Pipeline:
    """The pipeline with other code for some stages."""
    pipeline = open_pipeline(home)
    other = {stage.name: stage for stage in changed}
    stages = [other.get(stage.name, stage) for stage in STAGES]
    pipeline.graph = StageGraph(
        stages, pipeline.graph.sources.values(), pipeline.settings.configuration(), own_packages=["spam_pipeline"]
    )
    return pipeline


def run(pipeline: Pipeline) -> Converged:
    pipeline.engine.observe()
    done = converge(pipeline.engine)
    assert done.converged
    return done


def held(done: Converged) -> set[str]:
    """The stages that are held for themselves, and not for another one."""
    return {line.split(" ")[0] for line in done.held if "its version was refused" in line}


def digests(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    published = pipeline.engine.ledger.published(PRODUCTION, list(pipeline.graph.stages))
    return {(name, key): item.content for name, by_key in published.items() for key, item in by_key.items()}


@pytest.fixture(scope="module")
def converged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("quiet") / "home"
    simulate(home, days=DAYS, plays_per_day=1500, seed=21, start=START, scenarios=QUIET)
    done = run(open_pipeline(home))
    assert done.held == ()
    return home


@pytest.fixture
def home(converged: Path, tmp_path: Path) -> Path:
    return copied(converged, tmp_path / "home")


@pytest.fixture(scope="module")
def refused(converged: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Converged]:
    """The same after a convergence with the mistake, and what came of that."""
    home = copied(converged, tmp_path_factory.mktemp("refused") / "home")
    wrong = with_code(home, IN_SECONDS)
    done = run(wrong)
    wrong.engine.ledger.close()
    return home, done


@pytest.fixture
def home_with_refusals(refused: tuple[Path, Converged], tmp_path: Path) -> Path:
    return copied(refused[0], tmp_path / "home")


def test_a_unit_error_is_refused_where_it_shows_and_everything_after_it_keeps_its_data(
    converged: Path, refused: tuple[Path, Converged]
) -> None:
    home, done = refused
    wrong = with_code(home, IN_SECONDS)
    assert held(done) == {"received_plays"}
    assert digests(wrong) == digests(open_pipeline(converged))
    refused_version = wrong.versions("received_plays", "2026-01-05")[-1][1]
    assert {finding.rule for finding in refused_version.refusing} == {"drift"}
    assert any(finding.about.startswith("ms_played") for finding in refused_version.refusing)


def test_reverting_wrong_code_converges_without_a_hand_and_without_computing(
    converged: Path, home_with_refusals: Path
) -> None:
    reverted = open_pipeline(home_with_refusals)
    done = run(reverted)
    assert (done.computed, done.held) == (0, ())
    assert digests(reverted) == digests(open_pipeline(converged))


def test_a_change_of_definition_is_accepted_once_for_all_days_that_it_touches(home_with_refusals: Path) -> None:
    changed = with_code(home_with_refusals, IN_SECONDS)
    version = changed.versions("received_plays", "2026-01-05")[-1][0].recipe
    decided = changed.decide("accept", version, by="Ada", reason="we count seconds now", all_matching=True)
    assert len(decided) >= DAYS - 1
    done = run(changed)
    assert "received_plays" not in held(done)
    longest = changed.read("received_plays", "2026-01-05").select(pl.col("ms_played").max()).collect().item()
    assert longest < 30_000


def break_records(home: Path, arrival: str, count: int) -> None:
    """Break some of the records that arrived on a day."""
    for file in sorted((home / "landing" / "plays" / arrival).rglob("*.jsonl")):
        lines = file.read_text(encoding="utf-8").splitlines()
        broken = [line.replace('"ms_played"', '"was_played"') for line in lines[:count]]
        file.write_text("".join(f"{line}\n" for line in [*broken, *lines[count:]]), encoding="utf-8")
        count -= len(broken)
    assert count == 0


@pytest.mark.parametrize(("broken", "is_refused"), [(1, False), (80, True)])
def test_few_broken_records_pass_and_many_refuse_their_arrival_day_alone(
    home: Path,
    broken: int,
    is_refused: bool,  # noqa: FBT001 - drawn
) -> None:
    pipeline = open_pipeline(home)
    before = digests(pipeline)
    break_records(home, "2026-01-05", broken)
    done = run(pipeline)
    lacking = "its day is not settled: it lacks received_plays 2026-01-05"
    refused = (
        "received_plays 2026-01-05: its version was refused",
        *(f"royalty_usage 2026-01-0{day}: {lacking}" for day in (3, 4, 5)),
    )
    assert done.held == (refused if is_refused else ())
    after = digests(pipeline)
    changed = {key for key in before if before[key] != after[key]}
    assert changed.isdisjoint({("plays", f"2026-01-0{day}") for day in (1, 2, 3, 6, 7, 8)}), (
        "the other days are as they were"
    )
    assert (("plays", "2026-01-05") in changed) is not is_refused


def test_a_quarantined_version_is_found_by_nobody(home: Path) -> None:
    pipeline = open_pipeline(home)
    land(
        home, "2026-01-09", "new", [a_play("2026-01-09", event_id="x", device_id="d", track_id="t", ms_played=-1)] * 40
    )
    land(
        home,
        "2026-01-09",
        "more",
        [a_play("2026-01-09", event_id=f"y{n}", device_id="d", track_id="t") for n in range(9)],
    )
    done = run(pipeline)
    assert held(done) == {"received_plays"}
    assert len(pipeline.versions("received_plays", "2026-01-09")) == 1
    with pytest.raises(NotPublished):
        pipeline.read("received_plays", "2026-01-09")
    with pytest.raises(NotPublished):
        pipeline.read("plays", "2026-01-09")
    asked = "select count(*) from ingestion.received_plays where partition_key = '2026-01-09'"
    with pipeline.query() as connection:
        assert connection.sql(asked).fetchall() == [(0,)]
    listed = pipeline.read("warehouse").filter(pl.col("partition") == "2026-01-09").collect()
    assert listed.is_empty()


def daily_plays_in_seconds(classified_plays: pl.LazyFrame) -> pl.LazyFrame:
    """The report of a day, with a mistake in the unit of a column."""
    return daily_plays(classified_plays).with_columns(pl.col("listened_ms", "listened_ms_without_spam") // 1000)


def test_a_unit_error_in_a_report_is_refused_there_and_reaches_nobody_else(home: Path) -> None:
    before = digests(open_pipeline(home))
    wrong = with_code(home, replace(daily_plays, function=daily_plays_in_seconds))
    done = run(wrong)
    assert held(done) == {"daily_plays"}
    assert len(done.held) == DAYS
    assert digests(wrong) == before
