"""Stories of suspicions that a person decides: it reaches the verdicts, from the launchpad, the command line or the file alike."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from spam_pipeline.definitions import build_definitions
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import converge
from spam_pipeline_tests.conftest import DAYS, open_home
from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.suspicion_stages import CRUDE, FARM

ENTERED = {"action": "confirm", "suspicion": FARM, "by": "Ada", "reason": "one landlord", "last_day": "2026-01-05"}
IN_WINDOW = pl.col("occurred_at").dt.date() <= pl.date(2026, 1, 5)


def launched(home: Path, entered: dict[str, Any]) -> dg.ExecuteInProcessResult:
    """The job `decide_suspicion` with what a person enters."""
    job = build_definitions(open_home(home).settings).resolve_job_def("decide_suspicion")
    return job.execute_in_process(run_config=entered, raise_on_error=False)


def plays_of(pipeline: Pipeline, devices: list[int]) -> pl.DataFrame:
    verdicts = pipeline.read("classified_plays", DAYS).select("event_id", "class", "incident_id")
    plays = pipeline.read("plays", DAYS).filter(pl.col("device_key").is_in(devices)).select("event_id", "occurred_at")
    found = plays.join(verdicts, on="event_id", how="left").collect()
    assert isinstance(found, pl.DataFrame)
    return found


def test_a_suspicion_confirmed_in_the_launchpad_is_spam_until_it_is_cleared(suspicious_home: Path) -> None:
    pipeline = open_home(suspicious_home)
    devices = list(pipeline.suspicion(FARM).standing.device_keys)
    before = pipeline.read("classified_plays", DAYS).filter(pl.col("incident_id").is_not_null()).collect()

    assert launched(suspicious_home, ENTERED).success
    converge(pipeline.engine, ["classified_plays"])
    confirmed = plays_of(pipeline, devices)
    within = confirmed.filter(IN_WINDOW, pl.col("incident_id") == FARM)
    assert set(within["class"]) == {"spam"}
    assert within.height > 0
    assert FARM not in set(confirmed.filter(~IN_WINDOW)["incident_id"])
    covered = pipeline.read("classified_plays", DAYS).filter(pl.col("incident_id") == FARM).collect()
    assert set(covered["event_id"]) == set(within["event_id"]), "nobody else's plays are touched"

    assert launched(suspicious_home, {**ENTERED, "action": "clear", "by": "Eve"}).success
    converge(pipeline.engine, ["classified_plays"])
    cleared = plays_of(pipeline, devices).filter(pl.col("incident_id") == FARM)
    assert set(cleared["class"]) == {"legitimate"}
    others = pipeline.read("classified_plays", DAYS).filter(pl.col("incident_id") != FARM).collect()
    assert set(others["incident_id"]) == set(before["incident_id"])


def test_a_suspicion_that_cannot_be_decided_is_a_failed_run_with_the_reason(suspicious_home: Path) -> None:
    failed = launched(suspicious_home, {**ENTERED, "suspicion": "nothing"})
    data = failed.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert data is not None
    assert "'nothing' is the id of no suspicion" in str(data.description)


def written_by_hand(home: Path, decided_at: str, devices: list[int]) -> None:
    """Add the lines that a person would write, in the opposite order and with dates."""
    with (home / "landing" / "incidents.csv").open("a", encoding="utf-8") as file:
        for key in reversed(devices):
            file.write(f'{CRUDE},cleared,bot_farm,device,key:{key:016X},2026-01-01,2026-01-07,"Ada",{decided_at}\n')


def test_a_persons_lines_and_the_command_lead_to_the_same_state(suspicious_home: Path, tmp_path: Path) -> None:
    by_hand = copied(suspicious_home, tmp_path / "by hand")
    decided, written = open_home(suspicious_home), open_home(by_hand)
    landed = decided.decide_suspicion("clear", CRUDE, by="Ada", reason="a school")
    written_by_hand(by_hand, landed.decided_at, list(written.suspicion(CRUDE).standing.device_keys))
    for pipeline in (decided, written):
        pipeline.engine.observe()
        converge(pipeline.engine, ["incidents"])
    contents = [pipeline.engine.reader.version("incidents", "all").content for pipeline in (decided, written)]
    assert contents[0] == contents[1]
    assert CRUDE in set(decided.read("incidents").collect()["incident_id"])
