"""The demo: it prints what was published, can be run again on its home, and leaves a Dagster instance that names nobody."""

import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.command_line.demonstration import NotSimulated, demonstrate, settings_of_demonstration
from spam_pipeline.command_line.versions import compared_versions
from spam_pipeline.protocol.operating import no_progress
from spam_pipeline.settings import FILE, PREFIX, LandingElsewhere, settings_from_environment
from spam_pipeline_tests.conftest import open_home
from spam_pipeline_tests.forked_reporter import forked_reporters
from spam_pipeline_tests.simulation.landing_reader import read_landing

NOTHING = "0 partitions computed, 0 reused"


def printed(home: Path) -> list[str]:
    return list(demonstrate(open_home(home), no_progress, days=3, plays_per_day=200))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A home of the demo, and the lines of two runs of it."""
    home = tmp_path_factory.mktemp("demo") / "home"
    with forked_reporters():
        return home, printed(home), printed(home)


def test_the_first_run_simulates_and_converges(runs: tuple[Path, list[str], list[str]]) -> None:
    home, first, _ = runs
    landed = read_landing(home / "landing")
    plays = len({event["event_id"] for event in landed.events}) - 1
    assert first[0] == f"simulated 3 days into {home}/landing: {plays:,} plays in {len(landed.files) - 1} files"
    assert re.fullmatch(r"converged in [\d.]+ s: [1-9]\d* partitions computed, 0 reused", first[1])
    assert not [line for line in first if "held: " in line or "failed: " in line]


def test_the_tour_adds_up(runs: tuple[Path, list[str], list[str]]) -> None:
    _, first, _ = runs
    [records] = [line for line in first if line.startswith("records: ")]
    landed, plays, duplicates, rejected = (int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", records))
    of_classes = [
        int(found[1].replace(",", "")) for line in first if (found := re.fullmatch(r"  \w+ +([\d,]+)  mean .*", line))
    ]
    assert landed == plays + duplicates + rejected
    assert sum(of_classes) == plays


def test_every_play_is_compared_with_the_ground_truth(runs: tuple[Path, list[str], list[str]]) -> None:
    home, first, _ = runs
    [line] = [line for line in first if line.startswith("against the ground truth: ")]
    caught, attacks, wrong, others = (int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", line))
    [records] = [line for line in first if line.startswith("records: ")]
    assert attacks == pl.read_parquet(home / "truth.parquet")["is_spam"].sum()
    assert f" {attacks + others:,} plays " in records
    assert 0 < caught <= attacks
    assert wrong <= others


def test_a_late_play_recomputes_something_once(runs: tuple[Path, list[str], list[str]]) -> None:
    _, first, _ = runs
    at = first.index("One play of 2026-01-01 lands late, in a file of its own:")
    assert re.fullmatch(r"  converged in [\d.]+ s: [1-9]\d* partitions computed, 0 reused", first[at + 1])
    assert first[at + 2].endswith(NOTHING)


def test_what_is_suspected_and_why_a_play_is_spam_is_printed(runs: tuple[Path, list[str], list[str]]) -> None:
    _, first, second = runs
    assert re.match(r"suspected on 2026-01-\d\d: \d+ groups; the strong ones hold their slice of a day", first[2])
    at = next(number for number, line in enumerate(second) if line.startswith("a verdict: "))
    assert re.fullmatch(
        r"a verdict: a play of track \w+ on 2026-01-0\d is spam with probability [01]\.\d\d, .*:", second[at]
    )
    assert re.fullmatch(r"  \w+ is [\d.e-]+, usually [\d.e-]+", second[at + 1])
    assert [line for line in second if line.startswith("the model: ")]


def test_confirming_a_suspicion_reaches_the_statements_and_leaves_the_plays_alone(
    runs: tuple[Path, list[str], list[str]],
) -> None:
    home, first, second = runs
    at = first.index("An expert confirms incident-device_farm-1, suspected until now, in incidents.csv:")
    assert first[at + 2].startswith("  content changed: ")
    assert {"labelled_examples", "spam_model", "classified_plays", "royalty_statements"} <= set(first[at + 2].split())
    assert not {"received_plays", "plays", "play_signals"} & set(first[at + 2].split())
    assert "No incident is suspected, so there is nothing for an expert to confirm:" in second
    assert "  content changed: nothing" in second
    assert "suspected" not in set(pl.read_csv(home / "landing" / "incidents.csv")["status"])


def test_a_second_run_on_the_same_home_computes_nothing(runs: tuple[Path, list[str], list[str]]) -> None:
    home, _, second = runs
    assert second[0] == f"using what has landed in {home}/landing"
    assert "One play of 2026-01-01 landed late in an earlier run, in a file of its own:" in second
    converged = [line for line in second if "partitions computed" in line]
    assert len(converged) == 4
    assert all(line.endswith(NOTHING) for line in converged)


def test_the_dagster_instance_names_no_person_device_or_address(runs: tuple[Path, list[str], list[str]]) -> None:
    home, _, _ = runs
    events = read_landing(home / "landing").events
    people = sorted({event[field] for event in events for field in ("user_id", "device_id", "ip") if event[field]})
    files = [file for file in (home / "dagster").rglob("*") if file.is_file()]
    texts = pl.Series([file.read_bytes().decode("latin-1") for file in files])
    assert texts.str.contains("classified_plays").any(), "something was reported"
    assert not texts.str.contains_any(people).any()


def test_the_demo_lands_nothing_in_a_home_that_it_did_not_simulate(tmp_path: Path) -> None:
    (tmp_path / "landing" / "plays").mkdir(parents=True)
    with pytest.raises(NotSimulated, match="set SPAM_PIPELINE_HOME to another home"):
        printed(tmp_path)
    assert not list((tmp_path / "landing" / "plays").iterdir())


def test_a_version_is_compared_with_what_was_published_before_unless_two_are_named(
    runs: tuple[Path, list[str], list[str]],
) -> None:
    pipeline = open_home(runs[0])
    versions = [version.recipe for version, _ in pipeline.versions("plays", "2026-01-01")]
    compared = compared_versions(pipeline, "plays", "2026-01-01", None, None)
    assert compared.differs, "a late play came"
    assert not compared_versions(pipeline, "plays", "2026-01-01", versions[-1], None).differs
    assert not compared_versions(pipeline, "plays", "2026-01-03", None, None).differs, "it has one version"


def test_the_simulated_days_end_yesterday_and_every_later_command_knows(
    tmp_path: Path, no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert no_settings is None
    home = tmp_path / "home"
    monkeypatch.setenv(f"{PREFIX}HOME", str(home))
    settings = settings_of_demonstration(settings_from_environment(), date(2026, 3, 5))
    assert settings.start_date == date(2026, 2, 23)
    assert settings_from_environment().start_date == date(2026, 2, 23)
    (home / "landing").mkdir()
    assert settings_of_demonstration(settings_from_environment(), date(2027, 1, 1)).start_date == date(2026, 2, 23)


def test_a_first_day_that_somebody_named_stays(
    tmp_path: Path, no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert no_settings is None
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path))
    monkeypatch.setenv(f"{PREFIX}START_DATE", "2026-01-01")
    assert settings_of_demonstration(settings_from_environment(), date(2026, 3, 5)).start_date == date(2026, 1, 1)
    assert not (tmp_path / FILE).exists()


def test_other_settings_of_the_home_stay_in_its_file(
    tmp_path: Path, no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert no_settings is None
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path))
    (tmp_path / FILE).write_text('executor = "processes"\n[run_tags]\nplays = {team = "x"}\n', encoding="utf-8")
    settings_of_demonstration(settings_from_environment(), date(2026, 3, 5))
    again = settings_from_environment()
    assert (again.start_date, again.executor.kind) == (date(2026, 2, 23), "processes")
    assert again.run_tags == {"plays": {"team": "x"}}


def test_where_files_land_elsewhere_nothing_is_kept(
    tmp_path: Path, no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert no_settings is None
    monkeypatch.setenv(f"{PREFIX}HOME", str(tmp_path / "home"))
    monkeypatch.setenv(f"{PREFIX}LANDING_URL", str(tmp_path / "elsewhere"))
    with pytest.raises(LandingElsewhere):
        settings_of_demonstration(settings_from_environment(), date(2026, 3, 5))
    assert not (tmp_path / "home").exists()
