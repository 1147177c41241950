"""Stories of what experts say days later: it reaches every consumer without a hand, and taking it back costs nothing."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import Converged
from spam_pipeline.reporting.page_contents.places import place_of
from spam_pipeline.royalties.contracts import EARNING, LINE, SPAM, WITHHELD
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE
from spam_pipeline_tests.pages.parsed_page import ParsedPage
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import declare, digests, open_pipeline, run

DAY = "2026-01-03"
CONSUMERS = ("classified_plays", "daily_plays", "track_play_counts", "royalty_usage")
"""What has a version of each day that says what became of its plays."""


def about(users: list[str], status: str) -> list[str]:
    """The lines of an incident about these accounts on the day."""
    window = f"{DAY}T00:00:00Z,2026-01-04T00:00:00Z,ann@example.org,2026-01-08T00:00:00Z,found late"
    return [f"story,{status},low_and_slow,user,{user},{window}" for user in users]


@pytest.fixture
def sleeper(home: Path) -> list[str]:
    """An honest account that plays around the clock."""
    return users_of(home, "sleep_listener")


def users_of(home: Path, scenario: str) -> list[str]:
    truth = pl.read_parquet(home / "truth.parquet").filter(pl.col("scenario") == scenario)
    return truth["user_id"].unique().sort().to_list()


def verdicts(pipeline: Pipeline) -> pl.DataFrame:
    """The verdicts that belong to the incident of the story."""
    frame = pipeline.read("classified_plays", DAY).filter(pl.col("incident_id") == "story").collect()
    assert isinstance(frame, pl.DataFrame)
    return frame


def usage(pipeline: Pipeline) -> dict[str, int]:
    """What the plays of the incident are worth, by status."""
    of_story = pipeline.read("royalty_usage", DAY).filter(pl.col("incident_id") == "story").collect()
    return dict(of_story.group_by("status").agg(pl.col("plays").sum()).rows())


def plays_reported(pipeline: Pipeline) -> tuple[int, int]:
    """Plays of the day in the report: all of them, and those without spam."""
    sums = pipeline.read("daily_plays", DAY).select(pl.col("plays", "plays_without_spam").sum()).collect()
    return sums.row(0)


def spam_of_day(pipeline: Pipeline) -> int:
    """How many plays of the day are spam to reports."""
    classified = pipeline.read("classified_plays", DAY)
    return int(classified.select((pl.col("spam_probability") >= REPORTING_TOLERANCE).sum()).collect().item())


def withheld_for_story(pipeline: Pipeline) -> int:
    """The money that the statement withholds for the incident, under both rules and in all currencies: zero or not."""
    lines = paid(pipeline).filter(pl.col("line") == WITHHELD, pl.col("incident_id") == "story")
    return int(lines["amount_minor"].sum())


def page_of_story(home: Path) -> Path:
    return home / "reports" / place_of("2026-01", "story")


def paid(pipeline: Pipeline) -> pl.DataFrame:
    return pipeline.read("royalty_statements", "2026-01").select(*LINE, "amount_minor").sort(LINE).collect()


@dataclass(frozen=True)
class Told:
    """A home in which an attack that nobody had declared was confirmed, and what that led to."""

    home: Path
    done: Converged
    did: set[tuple[str, str]]


@pytest.fixture(scope="module")
def confirmed(converged: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    home = copied(converged, tmp_path_factory.mktemp("confirmed") / "home")
    pipeline = open_pipeline(home)
    declare(home, *about(users_of(home, "low_and_slow"), "confirmed"))
    done, did = run(pipeline)
    pipeline.engine.ledger.close()
    return Told(home, done, did)


def test_an_incident_confirmed_days_later_reaches_verdicts_reports_usage_and_statements(
    converged: Path, confirmed: Told
) -> None:
    pipeline = open_pipeline(confirmed.home)
    found = verdicts(pipeline)
    assert confirmed.done.held == ()
    assert found.height >= 5
    assert found.select("class", "spam_probability", "attack_type").unique().rows() == [("spam", 1.0, "low_and_slow")]
    reported, without_spam = plays_reported(pipeline)
    assert reported - without_spam == spam_of_day(pipeline) >= found.height
    assert usage(pipeline) == {SPAM: found.height}
    assert not paid(pipeline).equals(paid(open_pipeline(converged)))
    touched = {(stage, DAY) for stage in CONSUMERS} | {("royalty_statements", "2026-01"), ("warehouse", "all")}
    assert touched <= confirmed.did


def test_withdrawing_it_brings_the_very_same_versions_back_without_computing(
    converged: Path, confirmed: Told, tmp_path: Path
) -> None:
    home, before = copied(confirmed.home, tmp_path / "home"), digests(open_pipeline(converged))
    pipeline = open_pipeline(home)
    assert digests(pipeline) != before
    assert page_of_story(home).exists()
    shutil.copy(converged / "landing" / "incidents.csv", home / "landing")
    done, _ = run(pipeline)
    assert (done.computed, done.held) == (0, ())
    assert digests(pipeline) == before
    assert not page_of_story(home).exists()


def test_clearing_a_suspicion_pays_what_it_withheld(home: Path, sleeper: list[str]) -> None:
    pipeline = open_pipeline(home)
    original = declare(home, *about(sleeper, "suspected"))
    run(pipeline)
    plays = usage(pipeline)
    assert plays.keys() == {WITHHELD}
    assert withheld_for_story(pipeline) > 0
    (home / "landing" / "incidents.csv").write_text(original, encoding="utf-8")
    declare(home, *about(sleeper, "cleared"))
    done, _ = run(pipeline)
    assert done.held == ()
    assert verdicts(pipeline).select("class", "spam_probability").unique().rows() == [("legitimate", 0.0)]
    assert usage(pipeline) == {EARNING: plays[WITHHELD]}
    assert withheld_for_story(pipeline) == 0
    page = page_of_story(home).read_text(encoding="utf-8")
    waited = f"{plays[WITHHELD]:,}"
    changed = [["status", "suspected", "cleared", ""], ["withheld plays", waited, "0", f"-{waited}"]]
    assert all(row in ParsedPage(page).rows for row in changed)
    assert "<ul><li>The file incidents.csv changed.</li></ul>" in page


def test_a_person_who_calls_an_honest_listener_spam_is_obeyed_but_teaches_no_model(
    home: Path, sleeper: list[str]
) -> None:
    pipeline = open_pipeline(home)
    champion = digests(pipeline)["spam_model", "all"]
    declare(home, *about(sleeper, "confirmed"))
    done, _ = run(pipeline)
    assert done.held == ("spam_model all: its version was refused",)
    assert digests(pipeline)["spam_model", "all"] == champion
    assert set(verdicts(pipeline)["class"]) == {"spam"}
