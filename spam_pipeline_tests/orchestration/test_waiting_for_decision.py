"""The asset that lists what waits for somebody, with links to the evidence and to the launchpad that decides."""

from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.orchestration.waiting_for_decision import WAITING
from spam_pipeline.protocol.operating import Overview
from spam_pipeline_tests.orchestration.toy_location import materialize, observed
from spam_pipeline_tests.protocol.toy_pipeline import land


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    land(home, "2026-01-01", "a", "2026-01-01 1")
    return home


def shown(instance: dg.DagsterInstance) -> str:
    event = instance.get_latest_materialization_event(dg.AssetKey(WAITING))
    assert event is not None
    assert event.asset_materialization is not None
    return str(event.asset_materialization.metadata["waiting"].value)


def test_a_convergence_leaves_the_list_of_what_it_could_not_bring_on(home: Path, instance: dg.DagsterInstance) -> None:
    materialize(observed(home), instance)
    assert shown(instance) == "nothing waits for anybody"
    land(home, "2026-01-02", "a", "2026-01-02 -5")
    engine = observed(home)
    materialize(engine, instance)
    [item] = Overview.of(engine).waiting
    text = shown(instance)
    assert text.startswith(
        f"- **received\\_numbers 2026-01-02**, of team:toys, waits since {item.since:%Y-%m-%d %H:%M} UTC: "
    )
    assert "numbers, board have nothing of it" in text
    assert "[evidence](/assets/received_numbers?view=partitions&partition=2026-01-02)" in text
    assert (
        f"[accept it](/locations/spam_pipeline/jobs/decide/playground/setup?config=action%3A+%22accept%22%0Aversion%3A+%22{item.recipe[:16]}"
        in text
    )
    latest = [instance.get_latest_materialization_event(dg.AssetKey(name)) for name in ("convergence", WAITING)]
    assert latest[0] is not None
    assert latest[1] is not None
    assert latest[0].timestamp <= latest[1].timestamp, "or it is shown as out of date"


def test_materialized_by_hand_it_looks_again(home: Path, instance: dg.DagsterInstance) -> None:
    land(home, "2026-01-02", "a", "2026-01-02 -5")
    engine = observed(home)
    materialize(engine, instance, WAITING)
    assert shown(instance) == "nothing waits for anybody", "nothing has been refused yet"
