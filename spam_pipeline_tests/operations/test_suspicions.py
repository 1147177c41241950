"""Suspicions as people meet them, over simple stages that suspect."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.suspicions import Suspicion, UnknownSuspicion
from spam_pipeline.protocol import NotPublished, WrongPartition
from spam_pipeline.trust_and_safety.suspicions_contract import SuspectedIncidents
from spam_pipeline_tests.conftest import open_home
from spam_pipeline_tests.suspicion_stages import CRUDE, FARM, FARM_DAYS, FIRST_DAY


@pytest.fixture
def pipeline(suspicious_home: Path) -> Iterator[Pipeline]:
    opened = open_home(suspicious_home)
    yield opened
    opened.engine.ledger.close()


def test_a_suspicion_is_a_row_of_its_contract_without_the_keys_of_its_devices() -> None:
    assert [*Suspicion._fields, "device_keys"] == sorted(
        SuspectedIncidents.columns(), key=[*Suspicion._fields, "device_keys"].index
    )


def test_suspicions_are_those_of_the_latest_day_by_queue_and_rank(pipeline: Pipeline) -> None:
    found = pipeline.suspicions()
    assert found.day == FARM_DAYS[-1]
    assert [(item.queue, item.rank, item.suspicion_id) for item in found.suspicions] == [
        ("behaviour", 1, FARM),
        ("automation", 1, CRUDE),
    ]


def test_suspicions_of_another_day_and_of_one_queue_are_asked_for(pipeline: Pipeline) -> None:
    assert [item.suspicion_id for item in pipeline.suspicions(FARM_DAYS[0]).suspicions] == [FARM]
    assert [item.suspicion_id for item in pipeline.suspicions(queue="automation").suspicions] == [CRUDE]


def test_a_day_that_is_none_or_has_nothing_published_is_an_error(pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(WrongPartition, match="expected YYYY-MM-DD"):
        pipeline.suspicions("2026-02-30")
    with pytest.raises(NotPublished, match="suspected_incidents 2026-03-01 is not published"):
        pipeline.suspicions("2026-03-01")
    with pytest.raises(NotPublished, match="spam-pipeline converge"):
        open_home(tmp_path / "nothing").suspicions()


def test_one_suspicion_has_its_last_state_every_device_it_ever_held_and_titles(pipeline: Pipeline) -> None:
    found = pipeline.suspicion(FARM)
    held = pipeline.read("suspected_incidents", FARM_DAYS).filter(pl.col("suspicion_id") == FARM).collect()
    assert (found.standing.first_day, found.standing.latest.last_day) == (FIRST_DAY, date(2026, 1, 6))
    assert found.standing.latest.devices == 3
    assert list(found.standing.device_keys) == sorted(set(held["device_keys"].explode()))
    assert len(found.standing.device_keys) > 3, "it held other devices on other days"
    assert set(found.titles) == set(found.standing.latest.track_ids)
    assert all(found.titles.values())
    assert found.decided == []


def test_an_id_that_no_suspicion_has_is_an_error(pipeline: Pipeline) -> None:
    with pytest.raises(
        UnknownSuspicion, match=r"'nothing' is the id of no suspicion in production: spam-pipeline suspi"
    ):
        pipeline.suspicion("nothing")
