"""The hard question, through the whole pipeline: a day spikes. A release passes; of an attack that the verdicts miss, its plays alone wait.

The attack of these stories is patient: it hears its track to the end, so nothing is cut off as soon as it is paid, which is
what the verdicts go by. What still gives it away is whom its audience hears, how evenly, and that it never sleeps. Some of its
devices hear another track as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.deciding import SuspicionAction
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import Finding, Severity
from spam_pipeline.royalties.contracts import EARNING, PAYOUT, PRO_RATA, SPAM, WITHHELD
from spam_pipeline.simulation import simulate
from spam_pipeline.simulation.user_agents import OFFICE_BROWSER
from spam_pipeline.trust_and_safety.contracts import SUSPICION
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import START, Digests, a_play, digests, land, open_pipeline, run
from spam_pipeline_tests.stories.people import at_work

EVERYDAY = ["office_network", "shop_radio"]
DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
ATTACKED, NEXT_DAY = "2026-01-08", "2026-01-11"
PLAYS, DEVICES, ELSEWHERE = 300, 90, 5
"""The plays of the attack, its devices, and the plays of another track by some of them."""

DAILY_REPORTS = {
    *("daily_plays", "top_countries", "plays_by_spam_probability", "spam_by_type", "track_play_counts"),
    "incident_plays",
    "incident_listeners",
}


def spikes(pipeline: Pipeline) -> Mapping[str, list[Finding]]:
    """What the last audit of each day says of spikes."""
    found = {day: pipeline.versions("classified_plays", day)[-1][1].findings for day in DAYS}
    return {day: [item for item in findings if item.rule == "spike"] for day, findings in found.items()}


def simulated(home: Path, *scenarios: str) -> Pipeline:
    simulate(home, days=len(DAYS), plays_per_day=2500, seed=8, start=START, scenarios=[*EVERYDAY, *scenarios])
    return open_pipeline(home)


def longer_tracks(home: Path) -> pl.DataFrame:
    return pl.read_csv(home / "landing/reference/tracks.csv").filter(pl.col("duration_ms") > 120_000)


def land_patient_attack(home: Path) -> None:
    """Plays of one track around the clock, each heard to the end, by devices in one network that nobody knows."""
    track, another = longer_tracks(home).row(7, named=True), longer_tracks(home).row(8, named=True)

    def played(name: str, number: int, heard: Mapping[str, object]) -> dict[str, object]:
        return a_play(
            ATTACKED,
            event_id=f"{name} {number}",
            occurred_at=f"{ATTACKED}T{number * 24 // PLAYS:02}:{number % 60:02}:00Z",
            track_id=heard["track_id"],
            device_id=f"patient device {number % DEVICES}",
            ip=f"91.3.7.{number % DEVICES + 1}",
            country="DE",
            user_agent=OFFICE_BROWSER,
            source="playlist",
            ms_played=heard["duration_ms"],
        )

    patient = (played("patient", number, track) for number in range(PLAYS))
    land(home, ATTACKED, "patient", [*patient, *(played("elsewhere", number, another) for number in range(ELSEWHERE))])


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything converged after the attack. Copy it before changing it."""
    home = tmp_path_factory.mktemp("attacked") / "home"
    pipeline = simulated(home)
    land_patient_attack(home)
    done, _ = run(pipeline)
    assert done.held == ()
    pipeline.engine.ledger.close()
    return home


@dataclass(frozen=True)
class Decided:
    """A copy of the attacked home in which a person decided the suspicion; what was published before, and what then ran."""

    pipeline: Pipeline
    before: Digests
    did: set[tuple[str, str]]

    def changed(self, stage: str) -> set[str]:
        """The partitions of a stage whose published content is another one now."""
        after = digests(self.pipeline)
        return {key for name, key in self.before if name == stage and self.before[name, key] != after[name, key]}

    def ran(self, stage: str) -> set[str]:
        return {partition for name, partition in self.did if name == stage}


def decide(attacked: Path, home: Path, action: SuspicionAction) -> Decided:
    pipeline = open_pipeline(copied(attacked, home))
    before = digests(pipeline)
    pipeline.decide_suspicion(action, suspicion_of(pipeline), by="Ada", reason="asked the label")
    done, did = run(pipeline)
    assert done.held == ()
    return Decided(pipeline, before, did)


@pytest.fixture(scope="module")
def confirmed(attacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Decided:
    return decide(attacked, tmp_path_factory.mktemp("confirmed") / "home", SuspicionAction.CONFIRM)


@pytest.fixture(scope="module")
def cleared(attacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Decided:
    return decide(attacked, tmp_path_factory.mktemp("cleared") / "home", SuspicionAction.CLEAR)


def suspicion_of(pipeline: Pipeline) -> str:
    """The id of the first suspicion of the day of the attack; others are only listed."""
    groups = pipeline.read("suspicious_groups", ATTACKED).collect().sort("evidence", descending=True)
    suspicion: str = groups["suspicion_id"][0]
    return suspicion


def plays_of_day(pipeline: Pipeline) -> pl.DataFrame:
    """The verdicts of the attacked day; `name` says whose play it is."""
    name = pl.col("event_id").str.extract("^(patient|elsewhere) ")
    classified = pipeline.read("classified_plays", ATTACKED).with_columns(name=name).collect()
    assert isinstance(classified, pl.DataFrame)
    return classified


def usage(pipeline: Pipeline) -> dict[str, int]:
    """The plays of the suspicion by royalty status, over all settled days."""
    settled = pipeline.read("royalty_usage", DAYS[: DAYS.index(ATTACKED) + 1])
    of_suspicion = settled.filter(pl.col("incident_id") == suspicion_of(pipeline))
    return dict(of_suspicion.group_by("status").agg(pl.col("plays").sum()).collect().rows())


def reported(pipeline: Pipeline) -> tuple[int, int]:
    """Plays of the day in the report: all of them, and those without spam."""
    return pipeline.read("daily_plays", ATTACKED).select(pl.col("plays", "plays_without_spam").sum()).collect().row(0)


def money(pipeline: Pipeline) -> tuple[int, int, int]:
    """In the pool of the attack, pro rata: what its payee is paid, what is withheld for it, and the whole pool."""
    rights = pl.read_csv(pipeline.settings.landing / "reference" / "rights.csv")
    track = longer_tracks(pipeline.settings.home)["track_id"][7]
    payee = rights.filter(pl.col("track_id") == track)["payee_id"].item()
    in_pool = (pl.col("country") == "DE") & (pl.col("tier") == "free") & (pl.col("rule") == PRO_RATA)
    lines = pipeline.read("royalty_statements", "2026-01").filter(in_pool).collect()
    amount, line = pl.col("amount_minor"), pl.col("line")
    sums = lines.select(
        paid=amount.filter(line == PAYOUT, pl.col("payee_id") == payee).sum(),
        withheld=amount.filter(line == WITHHELD, pl.col("incident_id") == suspicion_of(pipeline)).sum(),
        pool=amount.sum(),
    )
    return sums.row(0)


def test_a_release_passes_and_its_evidence_is_noted(tmp_path: Path) -> None:
    pipeline = simulated(tmp_path / "home", "viral_release")
    done, _ = run(pipeline)
    assert done.held == ()
    noted = {day: findings for day, findings in spikes(pipeline).items() if findings}
    found = [finding for findings in noted.values() for finding in findings]
    assert {finding.severity for finding in found} == {Severity.NOTE}
    assert any("looks like a release" in finding.seen for finding in found)
    for day in noted:
        assert pipeline.read("daily_plays", day).select(pl.col("plays").sum()).collect().item() > 0
        assert pipeline.read("suspected_plays", day).collect().is_empty()


def test_an_attack_that_the_verdicts_miss_is_warned_of_with_its_evidence(attacked: Path) -> None:
    (warned,) = (item for item in spikes(open_pipeline(attacked))[ATTACKED] if item.severity is Severity.WARN)
    evidence = warned.evidence
    assert evidence is not None
    assert [clue for clue in evidence.clues if clue.supports == "attack"]
    assert any(name.startswith("track ") for name in evidence.behind)
    assert any(name.startswith("network ") for name in evidence.behind)


def test_its_day_is_published_and_exactly_its_plays_are_suspected(attacked: Path) -> None:
    pipeline = open_pipeline(attacked)
    plays = plays_of_day(pipeline)
    held = plays.filter(pl.col("incident_id") == suspicion_of(pipeline))
    assert set(held["name"]) == {"patient"}
    assert held.height == PLAYS
    assert held.select("class", "incident_status").unique().rows() == [("unknown", "suspected")]
    assert held["reasons"].to_list() == [[{"signal": SUSPICION, "value": None, "usual": None}]] * PLAYS


def test_other_plays_of_the_track_of_the_devices_and_of_the_day_go_on(attacked: Path) -> None:
    plays = plays_of_day(open_pipeline(attacked))
    patient = plays.filter(pl.col("name") == "patient")
    others = plays.filter(pl.col("name").is_null() | (pl.col("name") == "elsewhere"))
    of_devices = others.filter(pl.col("device_key").is_in(patient["device_key"].implode()))
    of_track = others.filter(pl.col("track_key").is_in(patient["track_key"].implode()))
    assert of_devices.height == ELSEWHERE
    assert of_track.height > 0
    assert set(others["incident_id"]) == {None}
    assert set(pl.concat([of_devices, of_track])["class"]) == {"legitimate"}


def test_its_plays_are_counted_in_reports_and_wait_in_royalties(attacked: Path) -> None:
    pipeline = open_pipeline(attacked)
    plays = plays_of_day(pipeline)
    assert reported(pipeline) == (plays.height, plays.filter(pl.col("class") != "spam").height)
    assert usage(pipeline) == {WITHHELD: PLAYS}
    _, withheld, _ = money(pipeline)
    assert withheld > 0


def test_confirming_makes_the_plays_of_its_devices_spam_and_pays_nobody_for_them(
    attacked: Path, confirmed: Decided
) -> None:
    before, after = open_pipeline(attacked), confirmed.pipeline
    decided = plays_of_day(after).filter(pl.col("incident_id") == suspicion_of(after))
    assert decided.height == decided.filter(pl.col("name").is_not_null()).height == PLAYS + ELSEWHERE
    assert decided.select("class", "spam_probability", "incident_status").unique().rows() == [
        ("spam", 1.0, "confirmed")
    ]
    plays, without_spam = reported(before)
    assert reported(after) == (plays, without_spam - PLAYS - ELSEWHERE)
    assert usage(after) == {SPAM: PLAYS + ELSEWHERE}
    (paid_before, waited, pool), (paid, withheld, same_pool) = money(before), money(after)
    assert (withheld, same_pool) == (0, pool)
    assert paid - paid_before < waited / 10, "the payee has a small share of what the others now get"


def test_clearing_pays_what_waited(attacked: Path, cleared: Decided) -> None:
    before, after = open_pipeline(attacked), cleared.pipeline
    decided = plays_of_day(after).filter(pl.col("incident_id") == suspicion_of(after))
    assert decided.height == decided.filter(pl.col("name").is_not_null()).height == PLAYS + ELSEWHERE
    assert decided.select("class", "spam_probability", "incident_status").unique().rows() == [
        ("legitimate", 0.0, "cleared")
    ]
    assert reported(after) == reported(before)
    assert usage(after) == {EARNING: PLAYS + ELSEWHERE}
    (paid_before, waited, pool), (paid, withheld, same_pool) = money(before), money(after)
    assert (withheld, same_pool) == (0, pool)
    assert paid >= paid_before + waited


@pytest.mark.parametrize("action", ["confirmed", "cleared"])
def test_a_decision_recomputes_nothing_of_days_without_its_plays(action: str, request: pytest.FixtureRequest) -> None:
    decided: Decided = request.getfixturevalue(action)
    for stage in (*DAILY_REPORTS, "royalty_usage"):
        assert decided.ran(stage) == {ATTACKED}, stage
    for stage in ("suspected_plays", "classified_plays", "royalty_usage"):
        assert decided.changed(stage) == {ATTACKED}, stage
    assert not {stage for stage, _ in decided.did} & {"plays", "listening", "suspicious_groups", "play_signals"}


def test_only_clearing_is_a_label_and_of_that_day_alone(confirmed: Decided, cleared: Decided) -> None:
    assert confirmed.changed("labelled_examples") == set()
    assert cleared.changed("labelled_examples") == {ATTACKED}


def test_on_the_next_day_a_cleared_group_is_as_suspicious_as_before_and_is_not_suspected_again(
    cleared: Decided, tmp_path: Path
) -> None:
    home = copied(cleared.pipeline.settings.home, tmp_path / "home")
    land(home, NEXT_DAY, "new", at_work(home, NEXT_DAY, people=60, plays=4))
    pipeline = open_pipeline(home)
    run(pipeline)
    suspicion = pl.col("suspicion_id") == suspicion_of(pipeline)
    assert pipeline.read("suspicious_groups", NEXT_DAY).filter(suspicion).collect().height == 1
    for stage in ("suspected_incidents", "suspected_plays"):
        assert pipeline.read(stage, NEXT_DAY).filter(suspicion).collect().is_empty(), stage
