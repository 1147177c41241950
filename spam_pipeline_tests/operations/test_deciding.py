"""Deciding a suspicion: what lands in `incidents.csv`, what does not change, and what is refused."""

import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import polars as pl
import pytest
from typing_extensions import override

from spam_pipeline.ingestion.incidents_file import IncidentLine, WrongIncidentsFile, lines_of_incident
from spam_pipeline.ingestion.pseudonyms import key_as_text
from spam_pipeline.operations.deciding import Narrowing, NotDecided, SuspicionAction, window_of
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.suspicions import UnknownSuspicion
from spam_pipeline.protocol import PipelineError, WrongPartition
from spam_pipeline.protocol.operating import AlreadyDecided, Overview, WrongDecision, converge
from spam_pipeline_tests.conftest import KEY, open_home
from spam_pipeline_tests.suspicion_stages import CRUDE, FARM, FARM_DAYS

WHY = {"by": "Ada", "reason": 'one landlord, "six" phones; see ticket 7'}
WINDOW = ("2026-01-01T00:00:00Z", "2026-01-07T00:00:00Z")


@pytest.fixture
def pipeline(suspicious_home: Path) -> Iterator[Pipeline]:
    opened = open_home(suspicious_home)
    yield opened
    opened.engine.ledger.close()


def file_of(pipeline: Pipeline) -> Path:
    return pipeline.settings.landing / "incidents.csv"


def lines(pipeline: Pipeline, suspicion: str = FARM) -> list[IncidentLine]:
    return lines_of_incident(file_of(pipeline).read_bytes(), suspicion)


def held(pipeline: Pipeline, suspicion: str = FARM) -> list[str]:
    """The devices that were held for a suspicion on any day, as people name them."""
    slices = pipeline.read("suspected_incidents", FARM_DAYS).filter(pl.col("suspicion_id") == suspicion).collect()
    return [key_as_text(key) for key in sorted(set(slices["device_keys"].explode()))]


# What lands


def test_a_decision_is_a_line_for_every_device_of_all_days_over_the_window_of_the_suspicion(pipeline: Pipeline) -> None:
    before = file_of(pipeline).read_bytes()
    decided = pipeline.decide_suspicion("confirm", FARM, **WHY)
    landed = lines(pipeline)
    assert [line.entity_id for line in landed] == held(pipeline)
    assert {line[:4] for line in landed} == {(FARM, "confirmed", "bot_farm", "device")}
    assert {(line.starts_at, line.ends_at) for line in landed} == {WINDOW}
    assert {(line.decided_by, line.note) for line in landed} == {("Ada", WHY["reason"])}
    assert abs((datetime.now(UTC) - datetime.fromisoformat(landed[0].decided_at)).total_seconds()) < 60
    assert file_of(pipeline).read_bytes().startswith(before), "what others declared stays as it is"
    assert (decided.first_day, decided.last_day, decided.devices) == ("2026-01-01", "2026-01-06", len(landed))


def test_clearing_lands_in_the_same_way(pipeline: Pipeline) -> None:
    assert pipeline.decide_suspicion(SuspicionAction.CLEAR, CRUDE, **WHY).status == "cleared"
    assert [(line.status, line.entity_id) for line in lines(pipeline, CRUDE)] == [("cleared", held(pipeline, CRUDE)[0])]


class PipelineThatNotifiesNobody(Pipeline):
    """A pipeline whose ledger is away as soon as something is decided."""

    @override
    def notify(self, found: Overview | None = None, *, only_late: bool = False) -> None:
        raise PipelineError("the ledger is away")


def test_what_is_decided_is_no_error_where_nobody_can_be_notified_of_it(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    unheard = PipelineThatNotifiesNobody(pipeline.settings)
    assert unheard.decide_suspicion("confirm", FARM, **WHY).status == "confirmed"
    assert lines(pipeline)
    recipe = unheard.versions("daily_plays", "2026-01-02")[-1][0].recipe
    assert [item.version.recipe for item in unheard.decide("reject", recipe, **WHY)] == [recipe]
    warned = "it is done, but not everybody may have been notified of it: the ledger is away"
    assert [record.getMessage() for record in caplog.records].count(warned) == 2
    unheard.engine.ledger.close()


def test_a_decision_is_observed_at_once(pipeline: Pipeline) -> None:
    converge(pipeline.engine, ["incidents"])
    pipeline.decide_suspicion("clear", FARM, **WHY)
    assert pipeline.engine.planner.statuses(["incidents"])["incidents"]["all"].can_run


def test_the_first_decision_of_all_lands_with_the_header(pipeline: Pipeline) -> None:
    file_of(pipeline).unlink()
    pipeline.decide_suspicion("clear", CRUDE, **WHY)
    head, *landed = file_of(pipeline).read_text(encoding="utf-8").splitlines()
    assert head.split(",") == list(IncidentLine._fields)
    assert len(landed) == 1


def test_a_decision_is_landed_wherever_the_landing_zone_is(pipeline: Pipeline) -> None:
    elsewhere = open_home(pipeline.settings.home, landing_url="memory://decided/landing")
    elsewhere.landing_zone.replace("incidents.csv", io.BytesIO(file_of(pipeline).read_bytes()))
    elsewhere.decide_suspicion("confirm", FARM, **WHY)
    with elsewhere.landing_zone.open("incidents.csv") as file:
        assert [line.entity_id for line in lines_of_incident(file.read(), FARM)] == held(pipeline)
    assert lines(pipeline) == []
    elsewhere.engine.ledger.close()


# Narrowing


def test_days_narrow_a_decision(pipeline: Pipeline) -> None:
    decided = pipeline.decide_suspicion("confirm", FARM, **WHY, first_day="2026-01-02", last_day="2026-01-03")
    assert {(line.starts_at, line.ends_at) for line in lines(pipeline)} == {
        ("2026-01-02T00:00:00Z", "2026-01-04T00:00:00Z")
    }
    assert (decided.first_day, decided.last_day) == ("2026-01-02", "2026-01-03")


def test_devices_narrow_a_decision_in_either_spelling(pipeline: Pipeline) -> None:
    first, second, *_ = held(pipeline)
    pipeline.decide_suspicion("confirm", FARM, **WHY, devices=[second, f"key:{first[4:].upper()}"])
    assert [line.entity_id for line in lines(pipeline)] == [first, second]


@pytest.mark.parametrize(
    "days",
    [
        {"first_day": "2025-12-31"},
        {"last_day": "2026-01-07"},
        {"first_day": "2026-01-03", "last_day": "2026-01-02"},
    ],
)
def test_days_that_the_suspicion_does_not_have_are_an_error(pipeline: Pipeline, days: dict[str, str]) -> None:
    with pytest.raises(NotDecided, match="no part of the suspicion, which lasts from 2026-01-01 to 2026-01-06"):
        pipeline.decide_suspicion("confirm", FARM, **WHY, **days)


def test_no_window_is_longer_than_a_line_may_be(pipeline: Pipeline) -> None:
    standing = pipeline.suspicion(FARM).standing
    long_ago = standing._replace(first_day=standing.latest.last_day - timedelta(days=400))
    with pytest.raises(NotDecided, match="2024-12-02 to 2026-01-06 is more than 400 days: narrow it"):
        window_of(long_ago, Narrowing())
    assert window_of(long_ago, Narrowing(first_day="2024-12-03")) == ("2024-12-03", "2026-01-06")


def test_devices_that_the_suspicion_does_not_have_are_an_error(pipeline: Pipeline) -> None:
    for stranger in ("key:0000000000000001", "phone-1", held(pipeline, CRUDE)[0]):
        with pytest.raises(NotDecided, match=f"{stranger} is no device of the suspicion"):
            pipeline.decide_suspicion("confirm", FARM, **WHY, devices=[stranger])
    assert lines(pipeline) == []


# Deciding twice


def test_the_same_decision_again_is_an_error_that_says_who_made_it(pipeline: Pipeline) -> None:
    pipeline.decide_suspicion("confirm", FARM, **WHY)
    once = file_of(pipeline).read_bytes()
    with pytest.raises(AlreadyDecided, match=f'{FARM}: Ada confirmed it already: one landlord, "six"'):
        pipeline.decide_suspicion("confirm", FARM, by="Ben", reason="me too")
    assert file_of(pipeline).read_bytes() == once


def test_another_decision_takes_the_place_of_the_first(pipeline: Pipeline) -> None:
    before = file_of(pipeline).read_bytes()
    pipeline.decide_suspicion("confirm", FARM, **WHY)
    pipeline.decide_suspicion("confirm", FARM, by="Ben", reason="not the last day", last_day="2026-01-03")
    assert {(line.decided_by, line.ends_at) for line in lines(pipeline)} == {("Ben", "2026-01-04T00:00:00Z")}
    pipeline.decide_suspicion("clear", FARM, by="Eve", reason="a school")
    assert {(line.status, line.decided_by) for line in lines(pipeline)} == {("cleared", "Eve")}
    assert file_of(pipeline).read_bytes().startswith(before)


def test_a_decision_that_has_taken_effect_can_be_changed(pipeline: Pipeline) -> None:
    devices = held(pipeline)
    pipeline.decide_suspicion("confirm", FARM, **WHY)
    assert converge(pipeline.engine, ["suspected_incidents"]).failed == ()
    assert [item.suspicion_id for item in pipeline.suspicions().suspicions if item.suspicion_id == FARM] == []
    assert pipeline.suspicion(FARM).decided[0].status == "confirmed"
    pipeline.decide_suspicion("clear", FARM, by="Eve", reason="a school")
    assert [(line.status, line.entity_id) for line in lines(pipeline)] == [("cleared", device) for device in devices]
    assert {(line.starts_at, line.ends_at) for line in lines(pipeline)} == {WINDOW}


def test_lines_that_somebody_wrote_by_hand_are_a_decision_too(pipeline: Pipeline) -> None:
    window = ",".join(WINDOW)
    with file_of(pipeline).open("a", encoding="utf-8") as file:
        for device in held(pipeline):
            file.write(f"{FARM},cleared,bot_farm,device,{device},{window},Mira,2026-01-09,\n")
    with pytest.raises(AlreadyDecided, match="Mira cleared it already: no reason given"):
        pipeline.decide_suspicion("clear", FARM, **WHY)
    pipeline.decide_suspicion("confirm", FARM, **WHY)
    assert {(line.status, line.decided_by) for line in lines(pipeline)} == {("confirmed", "Ada")}


# What is refused


def test_what_cannot_be_decided_changes_nothing(pipeline: Pipeline) -> None:
    before = file_of(pipeline).read_bytes()
    with pytest.raises(UnknownSuspicion, match="'nothing' is the id of no suspicion"):
        pipeline.decide_suspicion("confirm", "nothing", **WHY)
    with pytest.raises(WrongDecision, match="a decision says why"):
        pipeline.decide_suspicion("confirm", FARM, by="Ada", reason=" \n")
    with pytest.raises(WrongDecision, match="a decision says by whom"):
        pipeline.decide_suspicion("confirm", FARM, by="", reason="why")
    with pytest.raises(WrongPartition, match="'soon' is no event day"):
        pipeline.decide_suspicion("confirm", FARM, **WHY, first_day="soon")
    assert file_of(pipeline).read_bytes() == before


def test_a_file_without_a_place_for_the_reason_is_not_changed(pipeline: Pipeline) -> None:
    file_of(pipeline).write_bytes(b"incident_id,status\n")
    with pytest.raises(WrongIncidentsFile, match="attack_type is not there once"):
        pipeline.decide_suspicion("confirm", FARM, **WHY)
    assert file_of(pipeline).read_bytes() == b"incident_id,status\n"


def test_a_file_that_is_a_link_is_not_replaced(pipeline: Pipeline, tmp_path: Path) -> None:
    file_of(pipeline).rename(tmp_path / "elsewhere.csv")
    file_of(pipeline).symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(NotDecided, match="a link or a folder"):
        pipeline.decide_suspicion("confirm", FARM, **WHY)


# Several at once, and who dies


def decide_at_once(home: Path, *asked: tuple[str, str, str]) -> dict[str, PipelineError | None]:
    """Decide in threads with pipelines of their own; what each of the people was answered."""
    together, answers = Barrier(len(asked)), dict[str, PipelineError | None]()

    def decide(action: str, suspicion: str, by: str) -> None:
        pipeline = open_home(home)
        together.wait()
        try:
            pipeline.decide_suspicion(action, suspicion, by=by, reason="at once")
            answers[by] = None
        except PipelineError as problem:
            answers[by] = problem
        pipeline.engine.ledger.close()

    threads = [Thread(target=decide, args=one) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_who_decide_at_once_neither_loses_the_lines_of_the_other(pipeline: Pipeline) -> None:
    before = file_of(pipeline).read_bytes()
    answers = decide_at_once(pipeline.settings.home, ("confirm", FARM, "Ada"), ("clear", CRUDE, "Ben"))
    assert answers == {"Ada": None, "Ben": None}
    assert [line.entity_id for line in lines(pipeline)] == held(pipeline)
    assert [line.status for line in lines(pipeline, CRUDE)] == ["cleared"]
    assert file_of(pipeline).read_bytes().startswith(before)


def test_of_two_who_decide_the_same_at_once_one_is_answered_that_the_other_did(pipeline: Pipeline) -> None:
    answers = decide_at_once(pipeline.settings.home, ("confirm", FARM, "Ada"), ("confirm", FARM, "Ben"))
    [winner] = [by for by, problem in answers.items() if problem is None]
    [problem] = [problem for problem in answers.values() if problem]
    assert isinstance(problem, AlreadyDecided)
    assert f"{winner} confirmed it already" in str(problem)
    assert {line.decided_by for line in lines(pipeline)} == {winner}


DECIDE_AND_DIE = """
import os, sys
from pathlib import Path
from spam_pipeline.operations import pipeline as module
from spam_pipeline_tests.suspicion_stages import FARM, STAGES
names = {stage.name for stage in STAGES}
module.STAGES = (*(stage for stage in module.STAGES if stage.name not in names), *STAGES)
pipeline = module.Pipeline()
pipeline.engine
sys.addaudithook(lambda event, args: os._exit(9) if event == "os.rename" and "incidents" in str(args[0]) else None)
pipeline.decide_suspicion("confirm", FARM, by="Ada", reason="why")
"""


def test_who_dies_between_writing_and_replacing_has_decided_nothing_and_blocks_nobody(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_of(pipeline).read_bytes()
    monkeypatch.setenv("SPAM_PIPELINE_HOME", str(pipeline.settings.home))
    monkeypatch.setenv("SPAM_PIPELINE_IDENTIFIER_KEY", KEY)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    assert subprocess.run([sys.executable, "-c", DECIDE_AND_DIE], check=False).returncode == 9
    assert file_of(pipeline).read_bytes() == before
    pipeline.decide_suspicion("confirm", FARM, by="Ben", reason="why")
    assert {line.decided_by for line in lines(pipeline)} == {"Ben"}
    assert pipeline.status(["incidents"]).passed_over == {}
