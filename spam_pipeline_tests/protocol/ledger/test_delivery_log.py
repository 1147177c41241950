"""The log of deliveries: the last place of each stage, by environment."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.records import PRODUCTION
from spam_pipeline_tests.protocol.execution.test_delivering import converged, home_of
from spam_pipeline_tests.protocol.toy_pipeline import land


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger with versions, of which nothing was delivered."""
    land(tmp_path, "2026-01-01", "a", "2026-01-01 1")
    engine = home_of(tmp_path, tmp_path / "home")
    assert converged(engine)
    return engine.ledger


def test_the_last_place_of_a_stage_counts_and_each_environment_has_its_own(ledger: Ledger) -> None:
    for environment, stage, place in (
        ("branch", "warehouse", "first:/w"),
        ("branch", "pages", "first:/p"),
        ("branch", "warehouse", "second:/w"),
        ("other", "warehouse", "third:/w"),
    ):
        ledger.deliveries.record(environment, stage, place, version_id=1)
    assert ledger.deliveries.last_places("branch") == {"warehouse": "second:/w", "pages": "first:/p"}
    assert ledger.deliveries.last_places("other") == {"warehouse": "third:/w"}
    assert ledger.deliveries.last_places("nobody") == {}


def test_a_delivery_is_of_a_version_that_there_is(ledger: Ledger) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        ledger.deliveries.record(PRODUCTION, "warehouse", "first:/w", version_id=10_000)
